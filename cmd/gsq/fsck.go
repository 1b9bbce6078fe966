package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/internal/fsck"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/remote"
)

// fsckOptions are the flags of gsq fsck that are no settings.
type fsckOptions struct {
	connection connection
	namespace  string
	since      string
	repair     bool
	yes        bool
	output     format
}

// fsckPlace is the registry that is checked.
type fsckPlace struct {
	registry *remote.Registry
	name     string
	prefix   string
	direct   bool // it was named itself, rather than a server
}

func newFsckCommand(p process) *cobra.Command {
	config := pick(serverSettings(""), settingRegistry, settingRegistryCA, settingPrefix, settingLogFormat, settingLogLevel)
	var o fsckOptions
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Verify the whole history, byte by byte",
		Long: `Read everything again that the ledger wrote, from the registry that --registry
names, else from the server's own, through --server, and verify it: the hash chain of
every namespace, each record against the catalogs before and after it, each version
of each resource, tags, checkpoints, deployment records. Nothing that a server says is
trusted. The exit code is 4 if anything is wrong. Nobody has to stop writing.

With --repair, tags are put where the history says that they belong, if that can be
derived. The server does it. With --registry and without --server, gsq does it itself,
and takes the writer claim for that, which stops a running server from writing until it
is restarted.`,
		Example: `  gsq fsck
  gsq fsck -n staging --since 7d
  gsq fsck --registry https://registry.example.com -o json
  gsq fsck --repair
  gsq fsck --registry https://registry.example.com --server https://gsq.example.com --repair`,
		Args:              usageArgs(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	config.addFlags(cmd.Flags())
	o.connection.addFlags(cmd, p)
	cmd.Flags().StringVarP(&o.namespace, "namespace", "n", "", "only this namespace; without it, all of them")
	cmd.Flags().StringVar(&o.since, "since", "", "read catalogs and versions only from that time on, or of so long (7d); records are verified wholly")
	cmd.Flags().BoolVar(&o.repair, "repair", false, "put right what can be derived")
	cmd.Flags().BoolVar(&o.yes, "yes", false, "with --repair and --registry alone: take the writer claim without asking")
	o.output.addFlag(cmd, "table", "json")
	completeFlag(cmd, "namespace", completeNamespaces(&o.connection))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		since, err := parseSince(o.since, time.Now())
		if err != nil {
			return err
		}
		if o.namespace != "" && !intent.IsLabel(o.namespace) {
			return usagef("--namespace: %q is not the name of a namespace", o.namespace)
		}
		if o.yes && !o.repair {
			return usagef("--yes belongs to --repair")
		}
		warnings, err := config.resolve(cmd.Flags(), p)
		if err != nil {
			return err
		}
		log := config.newLog(p.Err)
		for _, w := range warnings {
			log.Warn(w)
		}
		server := cmd.Flags().Changed("server")
		// With both, the registry is read, and the server repairs.
		both := server && o.repair && config.get(settingRegistry).source == fromFlag
		r, name, err := backupSource(&config, o.connection.server, server && !both)
		if err != nil {
			return err
		}
		place := fsckPlace{registry: r, name: name, prefix: config.get(settingPrefix).value, direct: !server && config.get(settingRegistry).value != ""}
		return runFsck(cmd.Context(), p, place, o, since, log)
	}
	return cmd
}

// parseSince reads a time, or a length of time before now; empty means from the
// beginning.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := parsePeriod(text); err == nil {
		return now.Add(-time.Duration(ago.seconds) * time.Second), nil
	}
	moment, err := parseMoment(text, now)
	if err != nil {
		return time.Time{}, usagef("--since: %q is neither a length of time (7d, 12h), nor a time of day (14:00), nor a time (2026-05-04T14:00:00Z, or without a zone in the local one)", text)
	}
	at, err := time.Parse(time.RFC3339, moment)
	if err != nil {
		return time.Time{}, usagef("--since %s: it must be a time: each namespace counts its revisions for itself", text)
	}
	return at, nil
}

func runFsck(ctx context.Context, p process, place fsckPlace, o fsckOptions, since time.Time, log *slog.Logger) error {
	var repairer repairer
	if o.repair {
		// A command line that is wrong is told before the long reading.
		var err error
		if repairer, err = place.repairer(p, o, log); err != nil {
			return err
		}
	}
	// What is held is little and what passes through is much: the collector of
	// garbage need not run so often.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	var found []fsck.Finding
	progress, stop := fsckProgress(p)
	began := time.Now()
	summary, err := fsck.Run(ctx, fsck.Options{
		Registry: place.registry, Prefix: place.prefix, Namespace: o.namespace, Since: since,
		Found: func(f fsck.Finding) { found = append(found, f) }, Progress: progress,
	})
	stop()
	slices.SortStableFunc(found, fsck.Finding.Compare)
	report := fsckReport{
		Registry: place.name, Prefix: place.prefix, Complete: err == nil && !summary.Truncated,
		Findings: found, Summary: summary, took: time.Since(began),
	}
	if err != nil {
		return errors.Join(report.incomplete(p, o), adviseFsck(place, err))
	}
	if o.repair {
		report.Repairs, err = repair(ctx, repairer, found)
	}
	if failed := report.print(p, o); failed != nil || err != nil {
		return errors.Join(failed, adviseFsck(place, err))
	}
	if !report.settled() {
		return &exit{code: exitFindings}
	}
	return nil
}

// adviseFsck adds what to do next.
func adviseFsck(place fsckPlace, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted; nothing can be said of what was not read: %w", err)
	case errors.Is(err, fsck.ErrNotInitialised):
		return withHint(err, "--prefix names where the repositories are, --registry or --server the registry")
	case errors.Is(err, registry.ErrUnavailable), errors.Is(err, registry.ErrUnreachable), errors.Is(err, registry.ErrRefused):
		err = fmt.Errorf("the check did not come to its end, and says nothing of what it did not read: %w", err)
		if place.direct {
			return withHint(err, "is the registry running, and may it be read?")
		}
		return withHint(err, "is the server running (gsq serve)? one on an external registry has none of its own: name that one with --registry")
	}
	return advise(err)
}
