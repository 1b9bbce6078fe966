package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
	"gitops-squared.io/gsq/cmd/gsq/internal/manifest"
)

type deleteOptions struct {
	connection connection
	scope      scope
	input      input
	output     format
	dryRun     bool
	reason     string
}

func newDeleteCommand(p process) *cobra.Command {
	var o deleteOptions
	cmd := &cobra.Command{
		Use:   "delete NAME... | -f FILE|DIR|-",
		Short: "Delete resources by name, or those that files declare",
		Long: `Delete resources: all of a namespace in one revision, or none of them. A name
that does not exist is an error. Flux removes from the cluster what is deleted
here; the versions stay in the registry.`,
		Example: `  gsq delete web
  gsq delete web db -n staging --reason "moved"
  gsq delete -f resources/ --dry-run`,
		ValidArgsFunction: completeNames(&o.connection, &o.scope, true),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.scope.complete(cmd); err != nil {
				return err
			}
			return runDelete(cmd.Context(), p, o, args)
		},
	}
	o.input.addFlags(cmd)
	o.scope.addFlags(cmd, p)
	o.connection.addFlags(cmd, p)
	o.output.addFlag(cmd, "text", "json", "yaml")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "say what would happen, delete nothing")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why; it is kept in the history")
	completeFlag(cmd, "namespace", completeNamespaces(&o.connection))
	return cmd
}

func runDelete(ctx context.Context, p process, o deleteOptions, names []string) error {
	if (len(names) == 0) == (len(o.input.paths) == 0) {
		return usagef("name the resources to delete, or the files that declare them (-f), one of the two")
	}
	c, err := o.connection.connect()
	if err != nil {
		return err
	}
	groups, err := deleted(p, o, names)
	if err != nil {
		return err
	}
	var steps []step
	for _, group := range groups {
		request := api.ApplyRequest{Reason: o.reason}
		for _, d := range group.Declarations {
			request.Deletes = append(request.Deletes, d.Name)
		}
		steps = append(steps, step{group: group, request: request})
	}
	return applySteps(ctx, c, steps, client.ApplyOptions{DryRun: o.dryRun}, p.Out, o.output.value)
}

// deleted returns what to delete, in groups.
func deleted(p process, o deleteOptions, names []string) ([]manifest.Group, error) {
	if len(names) > 0 {
		group := manifest.Group{Namespace: o.scope.namespace}
		given := map[string]bool{}
		for _, name := range names {
			if given[name] {
				return nil, usagef("%s is named twice", name)
			}
			given[name] = true
			group.Declarations = append(group.Declarations, manifest.Declaration{Name: name, Source: manifest.Source{File: "argument " + name}})
		}
		return []manifest.Group{group}, nil
	}
	groups, err := o.input.groups(p, o.scope)
	if err != nil {
		return nil, err
	}
	if len(groups[0].Declarations) == 0 {
		return nil, fmt.Errorf("the input declares nothing; nothing was sent")
	}
	return groups, nil
}
