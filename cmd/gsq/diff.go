package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
)

type diffOptions struct {
	connection connection
	scope      scope
	input      input
	output     format
	prune      bool
	from, to   string
}

func newDiffCommand(p process) *cobra.Command {
	var o diffOptions
	cmd := &cobra.Command{
		Use:   "diff -f FILE|DIR|- | NAME VERSION [VERSION] | --from WHEN [--to WHEN]",
		Short: "Show what an apply would change, or what has changed",
		Long: `Show what differs, field by field, and change nothing: between the files and
what is declared now, as an apply would judge them (-f); between two versions of
a resource, or one and now; or between two revisions or times of a namespace, or
one and now (--from, --to: r12, 14:00, or 2026-05-04T14:00). The exit code is 0
when nothing differs, 3 when something does, 1 on an error.`,
		Example: `  gsq diff -f web.yaml
  gsq diff -f resources/ --prune
  gsq diff web $(gsq history web -o name --limit 2 | tail -n 1)
  gsq diff --from r1 --to r2 -o unified`,
		Args:              usageArgs(cobra.MaximumNArgs(3)),
		ValidArgsFunction: completeNames(&o.connection, &o.scope, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.scope.complete(cmd); err != nil {
				return err
			}
			return runDiff(cmd.Context(), p, o, args)
		},
	}
	o.input.addFlags(cmd)
	o.scope.addFlags(cmd, p)
	o.connection.addFlags(cmd, p)
	o.output.addFlag(cmd, "text", "unified", "json", "yaml")
	cmd.Flags().BoolVar(&o.prune, "prune", false, "show what the files do not declare as deleted")
	cmd.Flags().StringVar(&o.from, "from", "", "the revision or time to begin with")
	cmd.Flags().StringVar(&o.to, "to", "", "the revision or time to compare it with; default now")
	completeFlag(cmd, "namespace", completeNamespaces(&o.connection))
	return cmd
}

// runDiff tells the three forms apart.
func runDiff(ctx context.Context, p process, o diffOptions, args []string) error {
	files, times := len(o.input.paths) > 0 || o.prune || o.input.recursive, o.from != "" || o.to != ""
	switch {
	case len(args) > 0 && (files || times), files && times:
		return usagef("compare files (-f), or versions (NAME VERSION [VERSION]), or revisions and times (--from, --to); one of the three")
	case len(args) == 1:
		return usagef("name the version to compare %s with, or two versions; \"gsq history %s\" lists them", args[0], args[0])
	case len(args) > 1:
		return diffVersions(ctx, p, o, args)
	case times:
		return diffRevisions(ctx, p, o)
	}
	return diffFiles(ctx, p, o)
}

func diffFiles(ctx context.Context, p process, o diffOptions) error {
	c, steps, err := prepare(p, o.input, o.scope, o.connection, "")
	if err != nil {
		return err
	}
	if len(steps[0].request.Resources) == 0 && !o.prune {
		return errNothingDeclared
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
	d := newDiffer(p, o.output.value)
	for i, answer := range answers {
		d.document(i, answer)
		d.namespace(answer)
	}
	return d.end()
}

func diffVersions(ctx context.Context, p process, o diffOptions, args []string) error {
	c, err := o.connection.connect()
	if err != nil {
		return err
	}
	to := ""
	if len(args) == 3 {
		to = args[2]
	}
	answer, err := c.DiffVersions(ctx, o.scope.namespace, args[0], args[1], to)
	if err != nil {
		return advisePast(err)
	}
	d := newDiffer(p, o.output.value)
	d.document(0, answer)
	if len(answer.Changes) > 0 {
		operation := api.Updated
		switch {
		case answer.From.Deleted:
			operation = api.Created
		case answer.To.Deleted:
			operation = api.Deleted
		}
		d.resource(operation, answer.Namespace+"/"+answer.Name, "", answer.Changes)
	}
	d.text(answer.Text)
	return d.end()
}

func diffRevisions(ctx context.Context, p process, o diffOptions) error {
	if o.from == "" {
		return usagef("--to goes with --from: the revision or time to begin with")
	}
	now := time.Now()
	from, err := parseMoment(o.from, now)
	if err != nil {
		return usagef("--from: %w", err)
	}
	to := ""
	if o.to != "" {
		if to, err = parseMoment(o.to, now); err != nil {
			return usagef("--to: %w", err)
		}
	}
	c, err := o.connection.connect()
	if err != nil {
		return err
	}
	answer, err := c.DiffRevisions(ctx, o.scope.namespace, from, to)
	if err != nil {
		return advisePast(err)
	}
	d := newDiffer(p, o.output.value)
	d.document(0, answer)
	for _, r := range answer.Resources {
		d.resource(r.Operation, answer.Namespace+"/"+r.Name, "", r.Changes)
	}
	d.text(answer.Text)
	return d.end()
}
