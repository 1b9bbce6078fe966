package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/deploy/crd"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
)

// initOptions are the flags of gsq init that are no settings.
type initOptions struct {
	takeOver     bool
	useLastValid []string
	drop         []string
	confirm      bool
}

func newInitCommand(p process) *cobra.Command {
	config := pick(serverSettings(""), settingRegistry, settingRegistryCA, settingPrefix, settingLogFormat, settingLogLevel)
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Prepare an external registry, once",
		Long: `Prepare an external registry for "gsq serve", once in its life. A server
does not take a registry for empty on its own, because an unreadable one looks
the same. It takes about 15 seconds. Interrupted, it continues when it is called
again; done, it refuses. The embedded registry needs no init.

With --take-over, the registry is one that the proof of concept wrote: what its
catalog holds becomes the first revision. Everything is validated first. While an
object is invalid, nothing is published, and each one is listed: choose its last
valid version, or to leave it out.`,
		Example: `  gsq init --registry https://registry.example.com
  gsq init --registry http://127.0.0.1:5000 --prefix platform
  gsq init --registry https://registry.example.com --take-over --use-last-valid db --drop my-vm`,
		Args:              usageArgs(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	config.addFlags(cmd.Flags())
	cmd.Flags().BoolVar(&o.takeOver, "take-over", false, "take over a registry that the proof of concept wrote")
	cmd.Flags().StringArrayVar(&o.useLastValid, "use-last-valid", nil, "publish an invalid object's last valid version (may be repeated)")
	cmd.Flags().StringArrayVar(&o.drop, "drop", nil, "leave an invalid object out; Flux then deletes it (may be repeated)")
	cmd.Flags().BoolVar(&o.confirm, "confirm", false, "drop although that leaves nothing, or less than half")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		choices, err := o.choices()
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
		return runInit(cmd.Context(), p, &config, o, choices, log)
	}
	return cmd
}

// choices reads the operator's words about invalid objects.
func (o initOptions) choices() (map[string]ledger.Choice, error) {
	if !o.takeOver && (len(o.useLastValid) > 0 || len(o.drop) > 0 || o.confirm) {
		return nil, usagef("--use-last-valid, --drop and --confirm belong to --take-over")
	}
	choices := map[string]ledger.Choice{}
	for _, name := range o.useLastValid {
		choices[name] = ledger.UseLastValid
	}
	for _, name := range o.drop {
		if choices[name] == ledger.UseLastValid {
			return nil, usagef("%s is named by --use-last-valid and by --drop; choose one", name)
		}
		choices[name] = ledger.Drop
	}
	return choices, nil
}

func runInit(ctx context.Context, p process, config *settings, o initOptions, choices map[string]ledger.Choice, log *slog.Logger) error {
	if config.get(settingRegistry).value == "" {
		return usagef("name the external registry with --registry; the embedded one needs no init")
	}
	schema, err := intent.NewSchema(crd.PlatformResource)
	if err != nil {
		return err
	}
	back, err := openBackend(config, log)
	if err != nil {
		return err
	}
	back.probe(ctx)
	options := ledger.Options{Registry: back.registry, Prefix: config.get(settingPrefix).value, Schema: schema, Log: log}
	fmt.Fprintln(p.Err, "This takes about 15 seconds: a writer that may still be at work has to show itself.")
	if !o.takeOver {
		if err := ledger.Init(ctx, options); err != nil {
			return err
		}
		_, err := fmt.Fprintf(p.Out, "initialised %s under %s\n", config.get(settingRegistry).value, options.Prefix)
		return err
	}
	report, err := ledger.TakeOver(ctx, options, ledger.TakeOverOptions{Choices: choices, Confirm: o.confirm})
	return errors.Join(printTakeOver(p, report, err == nil), err)
}
