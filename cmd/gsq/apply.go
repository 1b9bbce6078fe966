package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
	"gitops-squared.io/gsq/cmd/gsq/internal/manifest"
)

type applyOptions struct {
	connection connection
	scope      scope
	input      input
	output     format
	client.ApplyOptions
	reason string
}

func newApplyCommand(p process) *cobra.Command {
	var o applyOptions
	cmd := &cobra.Command{
		Use:   "apply -f FILE|DIR|-",
		Short: "Declare resources from files",
		Long: `Create and update the resources that the files declare: all of a namespace in
one revision, or none of them. Files hold PlatformResource manifests or the
API's form (name and spec), as YAML or JSON, in any number of documents or
lists. What is not kept (labels, annotations, unknown fields) is an error.

A declaration without a namespace gets the one of --namespace; one with another
namespace than --namespace is an error. Files of several namespaces become one
revision each: all of them are checked before the first is written.

--prune deletes what the files do not declare, in the namespaces that they
mention. Deleting everything, or more than half, needs --confirm.`,
		Example: `  gsq apply -f web.yaml
  gsq apply -f resources/ -n staging --reason "more capacity"
  cat web.yaml | gsq apply -f -
  gsq apply -f resources/ --prune --dry-run
  gsq apply -f resources/ --prune --confirm`,
		Args:              usageArgs(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.scope.complete(cmd); err != nil {
				return err
			}
			return runApply(cmd.Context(), p, o)
		},
	}
	o.input.addFlags(cmd)
	o.scope.addFlags(cmd, p)
	o.connection.addFlags(cmd, p)
	o.output.addFlag(cmd, "text", "json", "yaml")
	cmd.Flags().BoolVar(&o.Prune, "prune", false, "delete what the files do not declare")
	cmd.Flags().BoolVar(&o.Confirm, "confirm", false, "let --prune delete everything, or more than half")
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "say what would happen, write nothing")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why; it is kept in the history")
	completeFlag(cmd, "namespace", completeNamespaces(&o.connection))
	return cmd
}

func runApply(ctx context.Context, p process, o applyOptions) error {
	c, steps, err := prepare(p, o.input, o.scope, o.connection, o.reason)
	if err != nil {
		return err
	}
	if len(steps[0].request.Resources) == 0 && !(o.Prune && o.Confirm) {
		return withHint(fmt.Errorf("the input declares nothing; nothing was sent"),
			"to delete every resource of namespace %s, add --prune --confirm", o.scope.namespace)
	}
	return applySteps(ctx, c, steps, o.ApplyOptions, p.Out, o.output.value)
}

// step is the request that one namespace gets.
type step struct {
	group   manifest.Group
	request api.ApplyRequest
}

// prepare connects and reads the input: one step for each of its namespaces,
// and at least one.
func prepare(p process, in input, sc scope, cn connection, reason string) (*client.Client, []step, error) {
	if err := in.required(); err != nil {
		return nil, nil, err
	}
	c, err := cn.connect()
	if err != nil {
		return nil, nil, err
	}
	groups, err := in.groups(p, sc)
	if err != nil {
		return nil, nil, err
	}
	var steps []step
	for _, group := range groups {
		request := api.ApplyRequest{Reason: reason}
		for _, d := range group.Declarations {
			request.Resources = append(request.Resources, api.ApplyResource{Name: d.Name, Spec: d.Spec})
		}
		steps = append(steps, step{group: group, request: request})
	}
	return c, steps, nil
}

func (s step) send(ctx context.Context, c *client.Client, o client.ApplyOptions) (*api.ApplyResponse, error) {
	answer, err := c.Apply(ctx, s.group.Namespace, s.request, o)
	if err != nil {
		return nil, advise(fmt.Errorf("namespace %s: %w", s.group.Namespace, locate(err, s.group.Declarations)))
	}
	return answer, nil
}

// applySteps sends the steps and prints each answer. Several steps are first
// tried as dry runs, so that a fault in one keeps the others from being done.
func applySteps(ctx context.Context, c *client.Client, steps []step, o client.ApplyOptions, out io.Writer, output string) error {
	if len(steps) > 1 && !o.DryRun {
		try := o
		try.DryRun = true
		for _, s := range steps {
			if _, err := s.send(ctx, c, try); err != nil {
				return fmt.Errorf("nothing was written: %w", err)
			}
		}
	}
	for i, s := range steps {
		answer, err := s.send(ctx, c, o)
		if err != nil {
			return unfinished(err, steps, i)
		}
		if err := printApply(out, output, i, answer); err != nil {
			return err
		}
	}
	return nil
}

// unfinished tells how far an apply of several namespaces came.
func unfinished(err error, steps []step, failed int) error {
	if failed == 0 {
		return err
	}
	var done []string
	for _, s := range steps[:failed] {
		done = append(done, s.group.Namespace)
	}
	return fmt.Errorf("%w\nhint: done before that: %s; repeating the command is safe", err, strings.Join(done, ", "))
}

func printApply(w io.Writer, output string, index int, answer *api.ApplyResponse) error {
	switch output {
	case "json":
		return writeJSON(w, answer)
	case "yaml":
		if index > 0 {
			fmt.Fprintln(w, "---")
		}
		return writeYAML(w, answer)
	}
	done := map[api.Operation]string{api.Created: "created", api.Updated: "updated", api.Deleted: "deleted", api.Unchanged: "unchanged"}
	suffix := ""
	if answer.DryRun {
		suffix = " (dry run)"
	}
	for _, change := range answer.Changes {
		fmt.Fprintf(w, "%s/%s %s%s\n", answer.Namespace, printable(change.Name), done[change.Operation], suffix)
	}
	_, err := fmt.Fprintf(w, "%s: %d created, %d updated, %d deleted, %d unchanged, revision %d%s\n",
		answer.Namespace, answer.Created, answer.Updated, answer.Deleted, answer.Unchanged, answer.Revision.Number, suffix)
	return err
}
