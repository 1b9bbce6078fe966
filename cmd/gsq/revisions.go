package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
)

type revisionsOptions struct {
	connection connection
	scope      scope
	output     format
	length     length
}

func newRevisionsCommand(p process) *cobra.Command {
	var o revisionsOptions
	cmd := &cobra.Command{
		Use:   "revisions [REVISION]",
		Short: "Show the history of a namespace",
		Long: `Show the revisions of a namespace, newest first, or what one of them (r12, or
latest) changed. Each is one commit: when, by whom, why, and what it changed.`,
		Example: `  gsq revisions
  gsq revisions r2
  gsq revisions latest -n staging -o yaml
  gsq revisions --limit 5 -o wide`,
		Args:              usageArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.scope.complete(cmd); err != nil {
				return err
			}
			if len(args) == 1 {
				return runRevision(cmd.Context(), p, o, args[0])
			}
			return runRevisions(cmd.Context(), p, o)
		},
	}
	o.scope.addFlags(cmd, p)
	o.connection.addFlags(cmd, p)
	o.output.addFlag(cmd, "table", "wide", "json", "yaml", "name")
	o.length.addFlag(cmd)
	completeFlag(cmd, "namespace", completeNamespaces(&o.connection))
	return cmd
}

func runRevisions(ctx context.Context, p process, o revisionsOptions) error {
	if err := o.length.check(); err != nil {
		return err
	}
	c, err := o.connection.connect()
	if err != nil {
		return err
	}
	commits, more, err := followPages(o.length, func(page client.PageOptions) ([]api.Commit, string, error) {
		list, err := c.Revisions(ctx, o.scope.namespace, page)
		if err != nil {
			return nil, "", err
		}
		return list.Revisions, list.Continue, nil
	})
	if err != nil {
		return advise(err)
	}
	if err := printRevisions(p, o.output.value, commits); err != nil {
		return err
	}
	return noteMore(p.Err, more)
}

func printRevisions(p process, output string, commits []api.Commit) error {
	switch output {
	case "json":
		return writeJSON(p.Out, api.CommitList{Revisions: commits})
	case "yaml":
		return writeYAML(p.Out, api.CommitList{Revisions: commits})
	case "name":
		for _, c := range commits {
			fmt.Fprintf(p.Out, "r%d\n", c.Number)
		}
		return nil
	}
	header := []string{"REVISION", "TIME", "CHANGES", "ACTOR", "REASON"}
	if output == "wide" {
		header = []string{"REVISION", "TIME", "CHANGES", "ACTOR", "DIGEST", "PARENT", "REASON"}
	}
	var rows [][]string
	for _, c := range commits {
		row := []string{fmt.Sprintf("r%d", c.Number), historyTime(c.Time), summary(c), actorsCell(c)}
		if output == "wide" {
			row = append(row, c.Digest, cmp.Or(c.Parent, "-"))
		}
		rows = append(rows, append(row, strings.Join(c.Reasons, "; ")))
	}
	return writeTable(p.Out, header, rows)
}

// summary is what a revision changed, in a few words.
func summary(c api.Commit) string {
	switch len(c.Changes) {
	case 0:
		return "none"
	case 1:
		return string(c.Changes[0].Operation) + " " + c.Changes[0].Name
	}
	counts := map[api.Operation]int{}
	for _, change := range c.Changes {
		counts[change.Operation]++
	}
	var parts []string
	for operation, n := range counts {
		parts = append(parts, fmt.Sprintf("%d %s", n, operation))
	}
	slices.SortFunc(parts, func(a, b string) int {
		return cmp.Compare(strings.TrimLeft(a, "0123456789"), strings.TrimLeft(b, "0123456789"))
	})
	return strings.Join(parts, ", ")
}

// actorsCell is who made the changes of a revision, as a table has it.
func actorsCell(c api.Commit) string {
	unverified := slices.ContainsFunc(c.Changes, func(change api.CommitChange) bool { return change.Actor != "" && !change.ActorVerified })
	return actorCell(api.Origin{Actor: strings.Join(c.Actors, ", "), ActorVerified: !unverified})
}

func runRevision(ctx context.Context, p process, o revisionsOptions, revision string) error {
	c, err := o.connection.connect()
	if err != nil {
		return err
	}
	commit, err := c.Revision(ctx, o.scope.namespace, revision)
	if err != nil {
		return advisePast(err)
	}
	switch o.output.value {
	case "json":
		return writeJSON(p.Out, commit)
	case "yaml":
		return writeYAML(p.Out, commit)
	case "name":
		_, err := fmt.Fprintf(p.Out, "r%d\n", commit.Number)
		return err
	}
	fmt.Fprintf(p.Out, "revision   r%d\ntime       %s\ndigest     %s\nparent     %s\n", commit.Number, historyTime(commit.Time), commit.Digest, cmp.Or(commit.Parent, "-"))
	if commit.Checkpoint != nil {
		fmt.Fprintf(p.Out, "checkpoint r%d, %s\n", commit.Checkpoint.Number, commit.Checkpoint.Digest)
	}
	if len(commit.Changes) == 0 {
		_, err := fmt.Fprintln(p.Out, "\nIt changed no resource.")
		return err
	}
	fmt.Fprintln(p.Out)
	var rows [][]string
	for _, change := range commit.Changes {
		rows = append(rows, []string{change.Name, string(change.Operation), versionCell(change.Before), versionCell(change.After), actorCell(change.Origin), change.Reason})
	}
	return writeTable(p.Out, []string{"NAME", "OPERATION", "BEFORE", "AFTER", "ACTOR", "REASON"}, rows)
}

func versionCell(v *api.VersionRef) string {
	if v == nil {
		return "-"
	}
	return v.Version
}
