package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
	"gitops-squared.io/gsq/internal/intent"
)

type rollbackOptions struct {
	connection connection
	scope      scope
	output     format
	to         string
	dryRun     bool
	yes        bool
	confirm    bool
	reason     string
}

func newRollbackCommand(p process) *cobra.Command {
	var o rollbackOptions
	cmd := &cobra.Command{
		Use:   "rollback [NAME] --to VERSION|MOMENT",
		Short: "Bring back what was declared before",
		Long: `Give a resource an earlier version again, or a whole namespace the content that
it had at a moment: ` + momentForms + `.

No new versions are made: the new revision holds the old ones. What was deleted
since comes back, what did not exist then is deleted. A rollback is in the
history like every other change, and can be rolled back.

A namespace is rolled back after a question, which shows what would change. --yes
answers it; then deleting everything, or more than half, also needs --confirm.`,
		Example: `  gsq rollback web --to v1795263788716384
  gsq rollback web --to v1795263788716384 --dry-run -o unified
  gsq rollback --to r12 --dry-run
  gsq rollback --to 14:00 -n staging --reason "the release was bad"
  gsq rollback --to 2026-05-04T14:00:00Z --yes`,
		Args:              usageArgs(cobra.MaximumNArgs(1)),
		ValidArgsFunction: completeNames(&o.connection, &o.scope, false),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.scope.complete(cmd); err != nil {
				return err
			}
			if o.to == "" {
				return usagef("--to must say what to go back to: a version of a resource, or a moment of a namespace")
			}
			if len(args) == 1 {
				return rollBackResource(cmd.Context(), p, o, args[0])
			}
			return rollBackNamespace(cmd.Context(), p, o)
		},
	}
	o.scope.addFlags(cmd, p)
	o.connection.addFlags(cmd, p)
	o.output.addFlag(cmd, "text", "unified", "json", "yaml")
	cmd.Flags().StringVar(&o.to, "to", "", "the version (of a resource) or the moment (of a namespace) to go back to")
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "show what would change, write nothing")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask before a namespace is rolled back")
	cmd.Flags().BoolVar(&o.confirm, "confirm", false, "with --yes, let it delete everything, or more than half")
	cmd.Flags().StringVar(&o.reason, "reason", "", "why; it is kept in the history")
	completeFlag(cmd, "to", cobra.NoFileCompletions)
	completeFlag(cmd, "namespace", completeNamespaces(&o.connection))
	return cmd
}

func rollBackResource(ctx context.Context, p process, o rollbackOptions, name string) error {
	if _, err := intent.ParseVersion(o.to); err != nil {
		return withHint(usagef("--to: %w", err), `"gsq history %s" lists the versions; without a name, the namespace is rolled back`, name)
	}
	if o.confirm {
		return usagef("--confirm is about namespaces; a resource is rolled back without it")
	}
	c, err := o.connection.connect()
	if err != nil {
		return err
	}
	request := api.ResourceRollback{To: o.to, DryRun: o.dryRun, Reason: o.reason}
	answer, err := c.RollBackResource(ctx, o.scope.namespace, name, request, client.Preconditions{})
	if err != nil {
		return advisePast(err)
	}
	return printRollback(p, o.output.value, answer)
}

func rollBackNamespace(ctx context.Context, p process, o rollbackOptions) error {
	to, err := parseMoment(o.to, time.Now())
	if err != nil {
		return withHint(usagef("--to: %w", err), `to roll back a resource, name it: "gsq rollback NAME --to VERSION"`)
	}
	if !o.dryRun && !o.yes && !p.interactive() {
		return withHint(usagef("a namespace is rolled back only after a question, and nobody can answer one here"),
			"--dry-run shows what would change, --yes does it without a question")
	}
	c, err := o.connection.connect()
	if err != nil {
		return err
	}
	request := api.NamespaceRollback{To: to, Confirm: o.confirm, Reason: o.reason}
	if o.dryRun || !o.yes {
		try := request
		try.DryRun = true
		dry, err := c.RollBackNamespace(ctx, o.scope.namespace, try)
		if err != nil {
			return advisePast(err)
		}
		if o.dryRun || dry.RolledBack == 0 {
			return printRollback(p, o.output.value, dry)
		}
		if err := p.agree(ctx, o, dry); err != nil {
			return err
		}
		request.Confirm = true // what would be deleted was shown
	}
	answer, err := c.RollBackNamespace(ctx, o.scope.namespace, request)
	if client.IsCode(err, api.CodeConfirm) {
		return withHint(unconfirmed(err), `"gsq rollback --to %s --dry-run" shows what would be deleted; --yes --confirm does it`, o.to)
	}
	if err != nil {
		return advisePast(err)
	}
	return printRollback(p, o.output.value, answer)
}

// agree shows what a rollback would change, and asks whether to do it.
func (p process) agree(ctx context.Context, o rollbackOptions, dry *api.RollbackResponse) error {
	shown := p
	shown.Out = p.Err // standard output is for what was done
	style := o.output.value
	if style != "unified" {
		style = "text"
	}
	if err := showRollback(shown, style, dry); err != nil {
		return err
	}
	deleted := 0
	for _, change := range dry.Changes {
		if change.Deleted {
			deleted++
		}
	}
	yes, err := p.ask(ctx, fmt.Sprintf("Roll namespace %s back to %s? To change: %s, to delete among them: %d.", dry.Namespace, o.to, plural(dry.RolledBack, "resource"), deleted))
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: nothing was rolled back: %w", err)
	case err == nil && !yes:
		return errors.New("nothing was rolled back")
	}
	return err
}

// printRollback prints what was rolled back; of a dry run, the differences.
func printRollback(p process, output string, answer *api.RollbackResponse) error {
	switch output {
	case "json":
		return writeJSON(p.Out, answer)
	case "yaml":
		return writeYAML(p.Out, answer)
	}
	suffix := ""
	if answer.DryRun {
		if err := showRollback(p, output, answer); err != nil {
			return err
		}
		if suffix = " (dry run)"; output == "unified" {
			return nil // which patch programs read
		}
	} else {
		for _, change := range answer.Changes {
			name := answer.Namespace + "/" + printable(change.Name)
			switch {
			case change.Operation == api.Unchanged:
			case change.Deleted:
				fmt.Fprintf(p.Out, "%s deleted\n", name)
			default:
				fmt.Fprintf(p.Out, "%s is %s again\n", name, change.Version)
			}
		}
	}
	_, err := fmt.Fprintf(p.Out, "%s: %d rolled back, %d unchanged, revision %d%s\n", answer.Namespace, answer.RolledBack, answer.Unchanged, answer.Revision.Number, suffix)
	return err
}

// showRollback prints the differences that a rollback would make.
func showRollback(p process, output string, answer *api.RollbackResponse) error {
	d := newDiffer(p, output)
	for _, change := range answer.Changes {
		operation := api.Updated
		switch {
		case change.Operation == api.Unchanged:
			continue
		case change.Before == nil:
			operation = api.Created
		case change.Deleted:
			operation = api.Deleted
		}
		d.specs(operation, intent.Ref{Namespace: answer.Namespace, Name: change.Name}, change.Before, change.After)
	}
	return d.err
}
