package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
)

type historyOptions struct {
	connection connection
	scope      scope
	output     format
	length     length
}

func newHistoryCommand(p process) *cobra.Command {
	var o historyOptions
	cmd := &cobra.Command{
		Use:   "history NAME",
		Short: "Show the versions of a resource",
		Long: `Show what became of a resource, newest first: when, by whom and why it was
created, updated, deleted or rolled back. It is read from the registry's commit
records, also for a resource that does not exist any more.`,
		Example: `  gsq history web
  gsq history web -n staging -o wide
  gsq history web --limit 0 -o json`,
		Args:              usageArgs(cobra.ExactArgs(1)),
		ValidArgsFunction: completeNames(&o.connection, &o.scope, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.scope.complete(cmd); err != nil {
				return err
			}
			return runHistory(cmd.Context(), p, o, args[0])
		},
	}
	o.scope.addFlags(cmd, p)
	o.connection.addFlags(cmd, p)
	o.output.addFlag(cmd, "table", "wide", "json", "yaml", "name")
	o.length.addFlag(cmd)
	completeFlag(cmd, "namespace", completeNamespaces(&o.connection))
	return cmd
}

func runHistory(ctx context.Context, p process, o historyOptions, name string) error {
	if err := o.length.check(); err != nil {
		return err
	}
	c, err := o.connection.connect()
	if err != nil {
		return err
	}
	versions, more, err := followPages(o.length, func(page client.PageOptions) ([]api.VersionEntry, string, error) {
		list, err := c.Versions(ctx, o.scope.namespace, name, page)
		if err != nil {
			return nil, "", err
		}
		return list.Versions, list.Continue, nil
	})
	if err != nil {
		return advise(err)
	}
	if err := printHistory(p, o.output.value, versions); err != nil {
		return err
	}
	return noteMore(p.Err, more)
}

func printHistory(p process, output string, versions []api.VersionEntry) error {
	switch output {
	case "json":
		return writeJSON(p.Out, api.VersionList{Versions: versions})
	case "yaml":
		return writeYAML(p.Out, api.VersionList{Versions: versions})
	case "name":
		for _, v := range versions {
			if v.Version != "" {
				fmt.Fprintln(p.Out, v.Version)
			}
		}
		return nil
	}
	header := []string{"VERSION", "REVISION", "TIME", "OPERATION", "ACTOR", "REASON"}
	if output == "wide" {
		header = []string{"VERSION", "CURRENT", "REVISION", "TIME", "OPERATION", "ACTOR", "DIGEST", "REASON"}
	}
	var rows [][]string
	for _, v := range versions {
		version, revision := cmp.Or(v.Version, "-"), fmt.Sprintf("r%d", v.Revision.Number)
		row := []string{version, revision, historyTime(v.Time), string(v.Operation), actorCell(v.Origin), v.Reason}
		if output == "wide" {
			current := map[bool]string{true: "yes", false: "no"}[v.Current]
			row = []string{version, current, revision, historyTime(v.Time), string(v.Operation), actorCell(v.Origin), cmp.Or(v.Digest, "-"), v.Reason}
		}
		rows = append(rows, row)
	}
	return writeTable(p.Out, header, rows)
}
