package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/api"
)

type namespacesOptions struct {
	connection connection
	output     format
}

func newNamespacesCommand(p process) *cobra.Command {
	var o namespacesOptions
	cmd := &cobra.Command{
		Use:     "namespaces",
		Aliases: []string{"ns"},
		Short:   "Show the namespaces",
		Long: `Show all namespaces, deleted ones included. The first apply to a namespace
creates it; each is a catalog of its own, which Flux pulls.`,
		Example: `  gsq namespaces
  gsq namespaces -o wide`,
		Args:              usageArgs(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runNamespaces(cmd.Context(), p, o)
		},
	}
	o.connection.addFlags(cmd, p)
	o.output.addFlag(cmd, "table", "wide", "json", "yaml", "name")
	return cmd
}

func runNamespaces(ctx context.Context, p process, o namespacesOptions) error {
	c, err := o.connection.connect()
	if err != nil {
		return err
	}
	list, err := c.Namespaces(ctx)
	if err != nil {
		return advise(err)
	}
	switch o.output.value {
	case "json":
		return writeJSON(p.Out, list)
	case "yaml":
		return writeYAML(p.Out, list)
	case "name":
		for _, n := range list.Namespaces {
			fmt.Fprintln(p.Out, n.Name)
		}
		return nil
	}
	if len(list.Namespaces) == 0 {
		_, err := fmt.Fprintln(p.Err, "No namespaces yet; the first apply creates one.")
		return err
	}
	return printNamespaces(p, list.Namespaces, o.output.value == "wide")
}

func printNamespaces(p process, namespaces []api.Namespace, wide bool) error {
	header := []string{"NAME", "STATE", "RESOURCES", "REVISION", "AGE"}
	if wide {
		header = append(header, "DIGEST", "CATALOG")
	}
	// The column is there when somebody needs it.
	problems := slices.ContainsFunc(namespaces, func(n api.Namespace) bool { return n.Problem != "" })
	if problems {
		header = append(header, "PROBLEM")
	}
	now := time.Now()
	var rows [][]string
	for _, n := range namespaces {
		row := []string{n.Name, string(n.State), strconv.Itoa(n.Resources), strconv.FormatInt(n.Revision.Number, 10), age(now.Sub(n.CreatedAt))}
		if wide {
			row = append(row, cmp.Or(n.Revision.Digest, "-"), n.Catalog.Registry+"/"+n.Catalog.Repository)
		}
		if problems {
			row = append(row, n.Problem)
		}
		rows = append(rows, row)
	}
	return writeTable(p.Out, header, rows)
}
