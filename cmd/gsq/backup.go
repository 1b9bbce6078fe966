package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/client"
	"gitops-squared.io/gsq/internal/backup"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/remote"
)

// backupOptions are the flags of gsq backup that are no settings.
type backupOptions struct {
	server    string
	to        string
	at        string
	keepGoing bool
	verify    bool
}

func newBackupCommand(p process) *cobra.Command {
	config := pick(serverSettings(""), settingRegistry, settingRegistryCA, settingPrefix, settingLogFormat, settingLogLevel)
	var o backupOptions
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Copy everything to a folder, a tar or another registry",
		Long: `Copy the whole history, of all namespaces, to a folder, a file whose name
ends with .tar ("-" is standard output), or another registry. It is read from the
registry that --registry names, else from the server's own, through --server.
Nobody has to stop writing: the copy is cut at one revision of each namespace.

Run it again into the same folder or registry, and it copies what is new; after
an interruption it goes on. Every byte is verified. What is damaged in the
source is named, and ends the backup unless --keep-going is given.`,
		Example: `  gsq backup --to backup
  gsq backup --to backup.tar
  gsq backup --registry https://registry.example.com --to oci://backups.example.com/gitops-squared
  gsq backup --at 14:00 --to before-the-incident`,
		Args:              usageArgs(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	config.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&o.server, "server", p.setting("GSQ_SERVER", client.DefaultServer), "URL of the server whose registry is read (env GSQ_SERVER)")
	cmd.Flags().StringVar(&o.to, "to", "", "where to: a folder, a file that ends with .tar, -, or oci://HOST/PREFIX; required")
	cmd.Flags().StringVar(&o.at, "at", "", "copy the state of that time, rather than the present one")
	cmd.Flags().BoolVar(&o.keepGoing, "keep-going", false, "copy what can be copied of a damaged registry; the exit code is 1 nevertheless")
	cmd.Flags().BoolVar(&o.verify, "verify", false, "read again what an earlier backup has copied to the same place")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		to, err := parseCopyPlace("to", o.to)
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
		source, name, err := backupSource(&config, o.server, cmd.Flags().Changed("server"))
		if err != nil {
			return err
		}
		b := backup.Options{Source: source, Prefix: config.get(settingPrefix).value, At: at, KeepGoing: o.keepGoing, Log: log}
		return runBackup(cmd.Context(), p, b, o, to, name, &config, log)
	}
	return cmd
}

// parseCopyTime reads --at, which may be empty.
func parseCopyTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	moment, err := parseMoment(text, now)
	if err != nil {
		return time.Time{}, usagef("--at: %w", err)
	}
	at, err := time.Parse(time.RFC3339, moment)
	if err != nil {
		return time.Time{}, usagef("--at %s: it must be a time: each namespace counts its revisions for itself", text)
	}
	return at, nil
}

// backupSource returns the registry that is read, and its name. The server's
// own counts if it was named by its flag, or no registry is.
func backupSource(config *settings, server string, explicit bool) (*remote.Registry, string, error) {
	setting := config.get(settingRegistry)
	if explicit && setting.source == fromFlag {
		return nil, "", usagef("--server and --registry name two places to read from; give one")
	}
	address, external, err := config.address()
	if err != nil {
		return nil, "", err
	}
	if explicit || !external {
		u, err := url.Parse(server)
		if err != nil || u.Host == "" || strings.Trim(u.Path, "/") != "" {
			return nil, "", usagef("--server %q: want http://HOST:PORT or https://HOST, without a path, as its registry is at /v2/", server)
		}
		if address, err = remote.ParseAddress(u.Scheme+"://"+u.Host, false); err != nil {
			return nil, "", usagef("--server: %w", err)
		}
	}
	r, err := connectRegistry(address, config.get(settingRegistryCA).value)
	return r, address.String(), err
}

func runBackup(ctx context.Context, p process, b backup.Options, o backupOptions, to copyPlace, name string, config *settings, log *slog.Logger) error {
	out := p.Out
	var file *newFile
	switch {
	case to.folder != "":
		folder := backup.NewFolder(to.folder, b.Prefix, o.verify)
		defer folder.Close()
		b.Target = folder
	case to.tar == "-":
		b.Target, out = backup.NewTar(p.Out, b.Prefix), p.Err
	case to.tar != "":
		var err error
		if file, err = createFile(to.tar); err != nil {
			return err
		}
		b.Target = backup.NewTar(file, b.Prefix)
	default:
		target, err := connectRegistry(to.host, config.get(settingRegistryCA).value)
		if err != nil {
			return err
		}
		if to.prefix == "" {
			to.prefix = b.Prefix
		}
		if to.host.String() == name && to.prefix == b.Prefix {
			return usagef("--to names the registry that is copied")
		}
		b.Target = backup.NewRegistry(target, to.prefix, o.verify, log)
	}
	b.Progress = new(backup.Progress)
	stop := showProgress(p.Err, p.terminal(), b.Progress)
	report, err := backup.Run(ctx, b)
	stop()
	if file != nil {
		if report.Finished {
			err = errors.Join(err, file.keep())
		} else {
			err = errors.Join(err, file.discard())
		}
	}
	if report.Finished {
		if err := printCopy(out, "backed up "+name+" under "+b.Prefix, report); err != nil {
			return err
		}
	}
	return adviseBackup(p, report, err)
}

// printCopy says what was copied.
func printCopy(w io.Writer, what string, r backup.Report) error {
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s, %s, of which %d were copied: %s in %s\n",
		what, plural(len(r.Cuts)-1, "namespace"), plural(int(r.Artifacts), "artifact"), r.Copied, volume(r.Bytes, r.Took), r.Took.Round(time.Millisecond))
	if r.Removed > 0 {
		fmt.Fprintf(&out, "%d old versions are not in it: retention has removed them\n", r.Removed)
	}
	for _, c := range r.Cuts {
		name := "namespace " + c.Namespace
		if c.Namespace == "" {
			name = "system"
		}
		fmt.Fprintf(&out, "%s is at r%d of %s, %s\n", name, c.Number, c.Time.UTC().Format(time.RFC3339), c.Digest)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// adviseBackup lists what is wrong with the source, and says what to do next.
func adviseBackup(p process, report backup.Report, err error) error {
	if report.Finished {
		for _, f := range report.Faults {
			fmt.Fprintln(p.Err, "damaged:", f)
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return withHint(fmt.Errorf("interrupted: %w", err), "run the same command again; it goes on")
	case report.Finished && errors.Is(err, backup.ErrDamaged):
		return withHint(err, "they are named above and in the backup; gsq fsck says what to do about them")
	case errors.Is(err, backup.ErrDamaged):
		return withHint(err, "gsq fsck says what to do about it; --keep-going copies the rest")
	case errors.Is(err, backup.ErrNothing):
		return withHint(err, "--prefix names where the repositories are, --registry or --server the registry; a server on an external registry has none of its own")
	case errors.Is(err, registry.ErrUnavailable), errors.Is(err, registry.ErrUnreachable):
		return withHint(err, "is it running? a server on an external registry has none of its own: name that one with --registry. Run again, a backup goes on")
	}
	return err
}
