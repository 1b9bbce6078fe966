package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
)

// gcPause is between two questions how far a collection is.
const gcPause = time.Second

type gcOptions struct {
	connection connection
	scope      scope
	output     format
	all        bool
	dryRun     bool
}

func newGCCommand(p process) *cobra.Command {
	var o gcOptions
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Delete what retention does not keep, or show what that is",
		Long: `Delete what a namespace's retention does not keep: contents of old revisions,
old versions of resources, and signatures of these. What is in use stays:
whatever a kept revision has, and what clusters run. Records of what changed
stay always. The server does this in the background, too.

It waits for the end, and shows how far it is on standard error. Interrupted,
the server goes on; the same command joins it.`,
		Example: `  gsq gc --dry-run
  gsq gc -n staging
  gsq gc --all-namespaces -o json`,
		Args:              usageArgs(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.scope.complete(cmd); err != nil {
				return err
			}
			if o.all && o.scope.explicit {
				return usagef("--all-namespaces and --namespace exclude each other")
			}
			return runGC(cmd.Context(), p, o)
		},
	}
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "show what would go, delete nothing")
	cmd.Flags().BoolVarP(&o.all, "all-namespaces", "A", false, "all namespaces, one after the other")
	o.scope.addFlags(cmd, p)
	o.connection.addFlags(cmd, p)
	o.output.addFlag(cmd, "text", "json", "yaml")
	completeFlag(cmd, "namespace", completeNamespaces(&o.connection))
	return cmd
}

func runGC(ctx context.Context, p process, o gcOptions) error {
	c, err := o.connection.connect()
	if err != nil {
		return err
	}
	names := []string{o.scope.namespace}
	if o.all {
		list, err := c.Namespaces(ctx)
		if err != nil {
			return advise(err)
		}
		names = nil
		for _, n := range list.Namespaces {
			if n.State == api.NamespaceActive {
				names = append(names, n.Name)
			}
		}
	}
	var done []*api.Collection
	failed := 0
	for _, name := range names {
		collection, err := gc(ctx, p, c, name, o.dryRun)
		if err != nil {
			return advise(err)
		}
		if collection.Problem != nil {
			failed++
		}
		if o.output.value == "text" {
			if err := printCollection(p, collection); err != nil {
				return err
			}
		}
		done = append(done, collection)
	}
	switch o.output.value {
	case "json":
		err = writeJSON(p.Out, struct {
			Collections []*api.Collection `json:"collections"`
		}{done})
	case "yaml":
		documents := make([]any, len(done))
		for i, d := range done {
			documents[i] = d
		}
		err = writeYAML(p.Out, documents...)
	}
	if err == nil && failed > 0 {
		return fmt.Errorf("%s", gcFailed(done))
	}
	return err
}

// gcFailed says why collections failed.
func gcFailed(done []*api.Collection) string {
	var lines []string
	for _, c := range done {
		if c.Problem != nil {
			lines = append(lines, fmt.Sprintf("namespace %s: %s", c.Namespace, c.Problem.Detail))
		}
	}
	return strings.Join(lines, "\n")
}

// gc runs one collection to its end.
func gc(ctx context.Context, p process, c *client.Client, namespace string, dryRun bool) (*api.Collection, error) {
	collection, err := c.Collect(ctx, namespace, dryRun)
	for err == nil && collection.State == api.CollectionRunning {
		fmt.Fprintf(p.Err, "namespace %s: %s so far\n", namespace, gcCounts(collection))
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(gcPause):
		}
		collection, err = c.Collection(ctx, namespace, dryRun)
	}
	return collection, err
}

func gcCounts(c *api.Collection) string {
	return fmt.Sprintf("%s, %s, %s, %s", plural(c.Revisions, "revision"), plural(c.Versions, "version"), plural(c.Referrers, "referrer"), byteCount(c.Bytes))
}

func printCollection(p process, c *api.Collection) error {
	var b strings.Builder
	switch {
	case c.Policy.KeepsEverything():
		fmt.Fprintf(&b, "namespace %s keeps everything\n", c.Namespace)
	case c.DryRun:
		fmt.Fprintf(&b, "namespace %s: would delete %s (dry run)\n", c.Namespace, gcCounts(c))
	case c.Problem != nil && c.Revisions+c.Versions+c.Referrers == 0:
		fmt.Fprintf(&b, "namespace %s: nothing was deleted\n", c.Namespace)
	default:
		fmt.Fprintf(&b, "namespace %s: deleted %s\n", c.Namespace, gcCounts(c))
	}
	if c.Thinned > 0 {
		fmt.Fprintf(&b, "  of the revisions up to r%d, the record is kept\n", c.Thinned)
	}
	if c.InUse > 0 {
		fmt.Fprintf(&b, "  %s more stay because a cluster runs them\n", plural(c.InUse, "revision"))
	}
	switch {
	case c.Freed != nil:
		fmt.Fprintf(&b, "  the registry has freed %s\n", byteCount(c.Freed.Bytes))
	case !c.DryRun && c.Bytes > 0:
		fmt.Fprintf(&b, "  the registry can free up to %s by means of its own\n", byteCount(c.Bytes))
	}
	_, err := p.Out.Write([]byte(b.String()))
	return err
}

func plural[N int | int64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// byteCount writes a size for people.
func byteCount(n int64) string {
	const step = 1024
	if n < step {
		return plural(int(n), "byte")
	}
	value, unit := float64(n)/step, 0
	for value >= step && unit < 3 {
		value, unit = value/step, unit+1
	}
	return fmt.Sprintf("%.1f %s", value, []string{"KiB", "MiB", "GiB", "TiB"}[unit])
}
