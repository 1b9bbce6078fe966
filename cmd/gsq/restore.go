package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/deploy/crd"
	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/backup"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
)

// restoreOptions are the flags of gsq restore that are no settings.
type restoreOptions struct {
	from      string
	at        string
	keepGoing bool
}

func newRestoreCommand(p process) *cobra.Command {
	config := pick(serverSettings(defaultData(p)), settingRegistry, settingRegistryCA, settingData, settingDurability, settingPrefix, settingLogFormat, settingLogLevel)
	var o restoreOptions
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Put a backup into an empty registry",
		Long: `Put a backup into an empty registry: the external one that --registry names,
else the embedded one in the folder --data, whose server must not run. A copy that
"oras cp -r" made is taken, too, as is another registry (oci://HOST/PREFIX).

The result has the same histories and the same digests, so Flux sees no change.
Everything is read and verified before anything becomes visible. Interrupted, run it
again: it goes on. A registry that is not empty is refused.`,
		Example: `  gsq restore --from backup --data /var/lib/gsq
  gsq restore --from backup.tar --registry https://registry.example.com
  gsq restore --from oci://backups.example.com/gitops-squared --registry https://registry.example.com
  gsq restore --from backup --at 2026-05-04T14:00:00Z --data /var/lib/gsq`,
		Args:              usageArgs(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	config.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&o.from, "from", "", "the backup: a folder, a file that ends with .tar, -, or oci://HOST/PREFIX; required")
	cmd.Flags().StringVar(&o.at, "at", "", "restore the state of that time, rather than the backup's last")
	cmd.Flags().BoolVar(&o.keepGoing, "keep-going", false, "restore what is left of a damaged backup, of which the last revision of each namespace must be whole; the exit code is 1 nevertheless")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		from, err := parseCopyPlace("from", o.from)
		if err != nil {
			return err
		}
		if err := givenMoment(cmd, o.at); err != nil {
			return err
		}
		at, err := parseCopyTime(o.at, time.Now())
		if err != nil {
			return err
		}
		warnings, err := config.resolve(cmd.Flags(), p)
		if err != nil {
			return err
		}
		log := config.newLog(p.Err)
		for _, w := range warnings {
			log.Warn(w)
		}
		source, err := openCopy(p, from, &config)
		if err != nil {
			return err
		}
		defer source.Close()
		return runRestore(cmd.Context(), p, source, at, o, &config, log)
	}
	return cmd
}

// openCopy opens what --from names.
func openCopy(p process, from copyPlace, config *settings) (*backup.Copy, error) {
	switch {
	case from.folder != "":
		return backup.Open(from.folder, "")
	case from.tar == "-":
		f, err := spool(p.In)
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		return backup.OpenTar(f, "")
	case from.tar != "":
		return backup.Open(from.tar, "")
	}
	r, err := connectRegistry(from.host, config.get(settingRegistryCA).value)
	if err != nil {
		return nil, err
	}
	if from.prefix == "" {
		from.prefix = config.get(settingPrefix).value
	}
	return &backup.Copy{Source: r, Prefix: from.prefix}, nil
}

// spool copies what can be read once into a file without a name.
func spool(in io.Reader) (*os.File, error) {
	f, err := os.CreateTemp("", "gsq-restore-*.tar")
	if err != nil {
		return nil, err
	}
	err = os.Remove(f.Name())
	if err == nil {
		_, err = io.Copy(f, in)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func runRestore(ctx context.Context, p process, source *backup.Copy, at time.Time, o restoreOptions, config *settings, log *slog.Logger) (err error) {
	prefix := config.get(settingPrefix)
	if prefix.source == fromDefault {
		prefix.value = source.Prefix
	}
	if source.Unfinished {
		log.Warn("a later backup into this folder was not finished; what is restored is the last finished one", "finished", source.Description.FinishedAt)
	}
	schema, err := intent.NewSchema(crd.PlatformResource)
	if err != nil {
		return err
	}
	back, err := openBackend(config, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, back.close()) }()
	where := config.get(settingRegistry).value
	if back.exclusive {
		where = config.get(settingData).value
	} else {
		fmt.Fprintln(p.Err, "This takes 15 seconds more than the copying: a writer that may still be at work has to show itself.")
	}
	if err := prepareRestore(ctx, back, prefix.value, where); err != nil {
		return err
	}
	progress := new(backup.Progress)
	stop := showProgress(p.Err, p.terminal(), progress)
	report, err := backup.Restore(ctx, backup.RestoreOptions{
		Copy: source, At: at, KeepGoing: o.keepGoing, Progress: progress,
		Ledger: ledger.Options{Registry: back.registry, Prefix: prefix.value, Schema: schema, Exclusive: back.exclusive, Log: log},
	})
	stop()
	if errors.Is(err, backup.ErrRestored) {
		_, err := fmt.Fprintf(p.Out, "%s under %s holds this backup already; nothing was done\n", where, prefix.value)
		return errors.Join(err, back.endRestore())
	}
	if err != nil {
		return adviseRestore(err)
	}
	if err := back.endRestore(); err != nil {
		return err
	}
	for _, f := range report.Faults {
		fmt.Fprintln(p.Err, "damaged, and not restored:", f)
	}
	err = printCopy(p.Out, "restored "+source.Prefix+" into "+where+" under "+prefix.value, report)
	if err == nil && len(report.Faults) > 0 {
		err = fmt.Errorf("%w: %d things were not restored, and are named above", backup.ErrDamaged, len(report.Faults))
	}
	return err
}

// prepareRestore notes in an empty data folder that a restore begins there, so
// that no server takes it for empty if that ends early. It refuses a folder that
// was in use and has lost its system catalog: it is not empty, but damaged.
func prepareRestore(ctx context.Context, back *backend, prefix, where string) error {
	if !back.exclusive {
		return nil
	}
	_, err := back.registry.Resolve(ctx, artifact.Layout{Prefix: prefix}.System(), artifact.Latest)
	if errors.Is(err, registry.ErrNotFound) {
		if back.fresh || back.restoring {
			return back.beginRestore()
		}
		return fmt.Errorf("%s was in use, but has no system catalog under %s: it is damaged, or has another prefix; restore into another folder", where, prefix)
	}
	return err
}

// adviseRestore says what to do next.
func adviseRestore(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return withHint(fmt.Errorf("interrupted: %w", err), "run the same command again; it goes on")
	case errors.Is(err, ledger.ErrInitialised):
		return withHint(err, "a backup is restored into an empty registry: choose another one, another --data folder, or another --prefix")
	case errors.Is(err, backup.ErrThinned):
		return err
	case errors.Is(err, backup.ErrDamaged):
		return withHint(err, "nothing was tagged. Take another backup, or --at an earlier time; --keep-going restores what is left")
	}
	return err
}
