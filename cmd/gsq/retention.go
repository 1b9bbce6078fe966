package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/api"
)

type retentionOptions struct {
	connection connection
	scope      scope
	output     format
	reason     string

	revisions  int64
	within     period
	tombstones period
	unset      bool
	everything bool
}

func newRetentionCommand(p process) *cobra.Command {
	cmd := newRetentionGetCommand(p)
	cmd.Use = "retention"
	cmd.Short = "Show what a namespace keeps of its history, or set it"
	cmd.Long = `Show what a namespace keeps of its history at least. Without a policy, of its
own or of the server, that is everything. "gsq gc", and the server in the
background, delete what is not kept; records of what changed are kept always.`
	cmd.Example = `  gsq retention
  gsq retention -n staging -o json`
	cmd.AddCommand(newRetentionGetCommand(p), newRetentionSetCommand(p))
	return cmd
}

func newRetentionGetCommand(p process) *cobra.Command {
	var o retentionOptions
	cmd := &cobra.Command{
		Use:               "get",
		Short:             "Show what a namespace keeps of its history",
		Long:              `Show what a namespace keeps of its history at least.`,
		Example:           `  gsq retention get -n staging`,
		Args:              usageArgs(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.scope.complete(cmd); err != nil {
				return err
			}
			c, err := o.connection.connect()
			if err != nil {
				return err
			}
			r, err := c.Retention(cmd.Context(), o.scope.namespace)
			if err != nil {
				return advise(err)
			}
			return printRetention(p, r, o.output.value)
		},
	}
	o.scope.addFlags(cmd, p)
	o.connection.addFlags(cmd, p)
	o.output.addFlag(cmd, "text", "json", "yaml")
	completeFlag(cmd, "namespace", completeNamespaces(&o.connection))
	return cmd
}

func newRetentionSetCommand(p process) *cobra.Command {
	var o retentionOptions
	cmd := &cobra.Command{
		Use:   "set --revisions N [--for TIME] [--tombstones TIME] | --everything | --default",
		Short: "Set what a namespace keeps of its history",
		Long: `Set what a namespace keeps of its history at least: something goes only if none
of the flags keeps it. Nothing is deleted by this; "gsq gc --dry-run" shows what
would be. Lengths of time are numbers with w, d, h, m or s.`,
		Example: `  gsq retention set --revisions 100 --for 30d --tombstones 90d
  gsq retention set --everything -n staging --reason "audit"
  gsq retention set --default`,
		Args:              usageArgs(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.scope.complete(cmd); err != nil {
				return err
			}
			return runRetentionSet(cmd.Context(), p, o, cmd)
		},
	}
	f := cmd.Flags()
	f.Int64Var(&o.revisions, "revisions", 0, "how many of the newest revisions, and of the newest versions of each resource")
	f.Var(&o.within, "for", "whatever was in force within that time, as 30d")
	f.Var(&o.tombstones, "tombstones", "of deleted resources, the newest versions, for that time after the deletion")
	f.BoolVar(&o.everything, "everything", false, "everything, whatever the server's default is")
	f.BoolVar(&o.unset, "default", false, "what the server keeps by default")
	f.StringVar(&o.reason, "reason", "", "why; it is kept in the history")
	o.scope.addFlags(cmd, p)
	o.connection.addFlags(cmd, p)
	o.output.addFlag(cmd, "text", "json", "yaml")
	completeFlag(cmd, "namespace", completeNamespaces(&o.connection))
	return cmd
}

// keepsEverything are the largest values that a policy has.
var keepsEverything = api.RetentionPolicy{Revisions: 1_000_000, Seconds: 100 * 365 * 24 * 3600, TombstonesSeconds: 100 * 365 * 24 * 3600}

func runRetentionSet(ctx context.Context, p process, o retentionOptions, cmd *cobra.Command) error {
	chosen := 0
	for _, flag := range []string{"revisions", "everything", "default"} {
		if cmd.Flags().Changed(flag) {
			chosen++
		}
	}
	parts := cmd.Flags().Changed("for") || cmd.Flags().Changed("tombstones")
	if chosen != 1 || parts && !cmd.Flags().Changed("revisions") {
		return usagef("give --revisions, with --for and --tombstones if wanted; or --everything; or --default")
	}
	request := api.RetentionRequest{Reason: o.reason}
	switch {
	case o.everything:
		request.Revisions, request.Seconds, request.TombstonesSeconds = keepsEverything.Revisions, keepsEverything.Seconds, keepsEverything.TombstonesSeconds
	case o.unset:
	case o.revisions < 2 || o.revisions > keepsEverything.Revisions:
		return usagef("--revisions must be 2 to %d, not %d", keepsEverything.Revisions, o.revisions)
	default:
		request.Revisions, request.Seconds, request.TombstonesSeconds = o.revisions, o.within.seconds, o.tombstones.seconds
	}
	c, err := o.connection.connect()
	if err != nil {
		return err
	}
	r, err := c.SetRetention(ctx, o.scope.namespace, request)
	if err != nil {
		return advise(err)
	}
	return printRetention(p, r, o.output.value)
}

func printRetention(p process, r *api.Retention, output string) error {
	switch output {
	case "json":
		return writeJSON(p.Out, r)
	case "yaml":
		return writeYAML(p.Out, r)
	}
	from := "its own"
	if r.Own == nil {
		from = "the server's default"
	}
	if r.Effective.KeepsEverything() || r.Effective == keepsEverything {
		_, err := fmt.Fprintf(p.Out, "namespace %s keeps everything (%s)\n", r.Namespace, from)
		return err
	}
	_, err := fmt.Fprintf(p.Out, "namespace %s keeps at least (%s):\n  revisions   %s\n  for         %s\n  tombstones  %s\n", r.Namespace, from,
		strconv.FormatInt(r.Effective.Revisions, 10), period{r.Effective.Seconds}, period{r.Effective.TombstonesSeconds})
	return err
}
