package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
)

type diffOptions struct {
	connection connection
	scope      scope
	input      input
	prune      bool
}

func newDiffCommand(p process) *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:   "diff -f FILE|DIR|-",
		Short: "Show what an apply would change",
		Long: `Show, field by field, what applying the files would change, and change nothing.
The server judges the files as in an apply. The exit code is 0 when nothing
would change, 3 when something would, 1 on an error.`,
		Example: `  gsq diff -f web.yaml
  gsq diff -f resources/ --prune`,
		Args:              usageArgs(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.scope.complete(cmd); err != nil {
				return err
			}
			return runDiff(cmd.Context(), p, o)
		},
	}
	o.input.addFlags(cmd)
	o.scope.addFlags(cmd, p)
	o.connection.addFlags(cmd, p)
	cmd.Flags().BoolVar(&o.prune, "prune", false, "show what the files do not declare as deleted")
	completeFlag(cmd, "namespace", completeNamespaces(&o.connection))
	return cmd
}

func runDiff(ctx context.Context, p process, o diffOptions) error {
	c, steps, err := prepare(p, o.input, o.scope, o.connection, "")
	if err != nil {
		return err
	}
	if len(steps[0].request.Resources) == 0 && !o.prune {
		return fmt.Errorf("the input declares nothing; nothing was sent")
	}
	var answers []*api.ApplyResponse
	for _, s := range steps {
		// The guard is for those who delete; whoever looks may see it all.
		answer, err := s.send(ctx, c, client.ApplyOptions{DryRun: true, Prune: o.prune, Confirm: true})
		if err != nil {
			return err
		}
		answers = append(answers, answer)
	}
	d := differ{w: p.Out, colours: p.colourful()}
	for _, answer := range answers {
		d.namespace(answer)
	}
	if d.err != nil {
		return d.err
	}
	if d.differences > 0 {
		return &exit{code: exitDifferences}
	}
	return nil
}

// differ prints changes and counts them.
type differ struct {
	w           io.Writer
	colours     bool
	differences int
	err         error // the first of writing
}

// line prints one line; the mark chooses the colour.
func (d *differ) line(mark, text string) {
	colour := map[string]string{"+": "\x1b[32m", "-": "\x1b[31m", "~": "\x1b[33m"}[mark]
	end := "\x1b[0m"
	if !d.colours || colour == "" {
		colour, end = "", ""
	}
	if _, err := fmt.Fprintf(d.w, "%s%s %s%s\n", colour, mark, text, end); err != nil && d.err == nil {
		d.err = err
	}
}

func (d *differ) namespace(answer *api.ApplyResponse) {
	for _, change := range answer.Changes {
		name := answer.Namespace + "/" + printable(change.Name)
		switch change.Operation {
		case api.Unchanged:
			continue
		case api.Created:
			d.line("+", name+" would be created")
		case api.Deleted:
			d.line("-", name+" would be deleted")
		default:
			d.line("~", name+" would be updated")
		}
		d.differences++
		d.fields(change.Before, change.After)
	}
}

// fields prints the fields that differ.
func (d *differ) fields(before, after *api.Spec) {
	old, new := specFields(before), specFields(after)
	for i := range old {
		if old[i].value == new[i].value {
			continue
		}
		if old[i].value != "" {
			d.line("-", "  "+old[i].name+": "+old[i].value)
		}
		if new[i].value != "" {
			d.line("+", "  "+new[i].name+": "+new[i].value)
		}
	}
}

type specField struct{ name, value string }

// specFields lists a spec's fields, always the same ones; absent ones are
// empty.
func specFields(spec *api.Spec) []specField {
	if spec == nil {
		spec = &api.Spec{}
	}
	replicas := ""
	if spec.Replicas != 0 {
		replicas = strconv.Itoa(spec.Replicas)
	}
	return []specField{
		{"type", printable(spec.Type)},
		{"size", printable(spec.Size)},
		{"region", printable(spec.Region)},
		{"replicas", replicas},
	}
}
