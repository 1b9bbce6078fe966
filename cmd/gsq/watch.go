package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
	"gitops-squared.io/gsq/internal/artifact"
)

type watchOptions struct {
	connection connection
	scope      scope
	output     format
	from       string
	limit      int
}

func newWatchCommand(p process) *cobra.Command {
	var o watchOptions
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Show the revisions of a namespace as they are committed",
		Long: `Show each revision of a namespace as it is committed: when, what changed, by whom,
why. --from begins with an earlier one; none is left out or shown twice, also
when the connection breaks: then it is continued where it ended, after a pause
that grows from 0.5 to 30 seconds. Ctrl-C ends it, with exit code 0.

The output json is one object a line, as the API's events have it.`,
		Example: `  gsq watch
  gsq watch -n staging --from r12
  gsq watch --from r1 --limit 3 -o json`,
		Args:              usageArgs(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.scope.complete(cmd); err != nil {
				return err
			}
			return runWatch(cmd.Context(), p, o)
		},
	}
	o.scope.addFlags(cmd, p)
	o.connection.addFlags(cmd, p)
	o.output.addFlag(cmd, "text", "json")
	cmd.Flags().StringVar(&o.from, "from", "", "the revision to begin with, as r12; without it, the next one")
	cmd.Flags().IntVar(&o.limit, "limit", 0, "end after so many revisions; 0: never")
	completeFlag(cmd, "from", cobra.NoFileCompletions)
	completeFlag(cmd, "namespace", completeNamespaces(&o.connection))
	return cmd
}

func runWatch(ctx context.Context, p process, o watchOptions) error {
	if o.limit < 0 {
		return usagef("--limit must be 0 or more, not %d", o.limit)
	}
	options := client.WatchOptions{Interrupted: func(cause error, pause time.Duration) {
		fmt.Fprintf(p.Err, "gsq: interrupted, continuing in %s: %v\n", pause.Round(100*time.Millisecond), cause)
	}}
	if o.from != "" {
		n, err := artifact.ParseRevisionTag(o.from)
		if err != nil || n == 0 {
			return usagef("--from: %q is not a revision, as r12", o.from)
		}
		options.From = n
	}
	c, err := o.connection.connect()
	if err != nil {
		return err
	}
	shown := 0
	for commit, err := range c.Watch(ctx, o.scope.namespace, options) {
		if err != nil {
			return adviseWatch(ctx, c, o, options.From, err)
		}
		if err := printEvent(p.Out, o.output.value, commit); err != nil {
			return err
		}
		if shown++; shown == o.limit {
			break
		}
	}
	return nil
}

// adviseWatch tells of a --from that is too late what the last revision is: the
// server's answer is about the revision before it, and a parameter.
func adviseWatch(ctx context.Context, c *client.Client, o watchOptions, from int64, err error) error {
	if from > 0 && client.IsCode(err, api.CodeInvalid) {
		last, failed := c.Revision(ctx, o.scope.namespace, "latest")
		if failed == nil && from > last.Number+1 {
			return fmt.Errorf("--from %s: the last revision of namespace %s is r%d; --from r%d, or none, begins with the next one", o.from, o.scope.namespace, last.Number, last.Number+1)
		}
	}
	return advise(err)
}

// printEvent prints a revision on a line.
func printEvent(w io.Writer, output string, c *api.Commit) error {
	if output == "json" {
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false)
		return encoder.Encode(c)
	}
	line := fmt.Sprintf("r%d  %s  %s  %s", c.Number, historyTime(c.Time), printable(summary(*c)), printable(actorsCell(*c)))
	if len(c.Reasons) > 0 {
		line += "  " + printable(strings.Join(c.Reasons, "; "))
	}
	_, err := fmt.Fprintln(w, line)
	return err
}
