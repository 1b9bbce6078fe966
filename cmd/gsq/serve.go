package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/deploy/crd"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/metrics"
	"gitops-squared.io/gsq/internal/server"
)

// A stop takes at most the sum of these and of what the ledger's drain is
// bounded by (12 seconds): less than 15 seconds.
const (
	shutdownTime = 2 * time.Second        // for answers under way when the ledger has drained
	readyPause   = 5 * time.Millisecond   // between two looks at whether the ledger is loaded
	closeTime    = 500 * time.Millisecond // for what still runs when the rest has ended
)

func newServeCommand(p process) *cobra.Command {
	config := settings{list: serverSettings(defaultData(p))}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server: the API, and unless --registry names another one, an OCI
registry of its own at /v2/ of the same address.

Each setting comes from its flag, else from the environment, else from the
configuration file, else it has its default. The server says where it listens
in a line on standard output, and logs to standard error. It ends on SIGTERM or
SIGINT within 15 seconds: what was accepted is committed before, or answered
that its outcome is unknown. A second signal ends it at once.`,
		Example: `  gsq serve
  gsq serve --listen :8080 --data /var/lib/gsq
  gsq serve --registry https://registry.example.com --log-format json
  GSQ_LISTEN=127.0.0.1:9090 gsq serve`,
		Args:              usageArgs(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	config.addFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		warnings, err := config.resolve(cmd.Flags(), p)
		if err != nil {
			return err
		}
		log := config.newLog(p.Err)
		for _, w := range warnings {
			log.Warn(w)
		}
		return runServe(cmd.Context(), p, &config, log)
	}
	return cmd
}

// heapGrowth is how much the heap grows between two collections, in percent of
// what is in use: half of Go's default. Resources live long and most of a heap
// is the store's bytes, so a collection costs little and memory is what counts.
const heapGrowth = 50

func runServe(ctx context.Context, p process, config *settings, log *slog.Logger) error {
	if p.setting("GOGC", "") == "" {
		debug.SetGCPercent(heapGrowth)
	}
	schema, err := intent.NewSchema(crd.PlatformResource)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", config.get(settingListen).value)
	if err != nil {
		return fmt.Errorf("%s: %w", config.get(settingListen).origin(config.file), err)
	}
	defer listener.Close()
	stopDebug, err := serveDebug(config, log)
	if err != nil {
		return err
	}
	defer stopDebug()
	retention, every, err := config.retention()
	if err != nil {
		return err
	}
	back, err := openBackend(config, log)
	if err != nil {
		return err
	}
	if back.restoring {
		folder := config.get(settingData).value
		err := fmt.Errorf("a restore into %s was not finished; run it again: gsq restore --from BACKUP --data %s", folder, folder)
		return errors.Join(err, back.close())
	}
	prefix := config.get(settingPrefix).value
	writes, requests := metrics.NewLedger(), metrics.NewRegistry()
	book, err := ledger.New(ledger.Options{
		Registry: requests.Wrap(back.registry), Observer: writes, Prefix: prefix, Schema: schema, Exclusive: back.exclusive, Fresh: back.fresh, Log: log,
		Retention: retention, CollectEvery: every,
	})
	if err != nil {
		return errors.Join(err, back.close())
	}
	handler, err := server.New(server.Options{
		Ledger: book, Schema: schema, Prefix: prefix, Registry: back.handler,
		RegistryHost: back.host, RegistryInsecure: back.insecure, Version: readBuild().Version, Log: log,
		Streams: config.streams(), Collectors: append(back.metrics, writes, requests),
	})
	if err != nil {
		return errors.Join(err, back.close())
	}
	url := "http://" + listener.Addr().String()
	log.Info("listening", "address", url, "version", readBuild().Version)
	if _, err := fmt.Fprintln(p.Out, "listening on", url); err != nil {
		return errors.Join(err, back.close())
	}
	s := &service{ledger: book, server: handler, http: handler.HTTP(), back: back, log: log}
	return s.run(ctx, listener)
}

// service is a server that runs.
type service struct {
	ledger *ledger.Ledger
	server *server.Server
	http   *http.Server
	back   *backend
	log    *slog.Logger
}

// run serves until ctx ends, then drains. The registry is closed last.
func (s *service) run(ctx context.Context, listener net.Listener) error {
	told := ctx
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			stop(fmt.Errorf("serving: %w", err))
		}
	}()
	prepared := make(chan struct{})
	go func() {
		defer close(prepared)
		s.back.probe(ctx)
		if err := s.finishStart(ctx); err != nil {
			stop(err)
		}
	}()
	// The ledger ends before the listener does, so that whoever waits for it is
	// answered, and whoever asks meanwhile is told that the server stops.
	ledgerContext, stopLedger := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLedger()
	context.AfterFunc(ctx, func() {
		s.log.Info("stopping", "cause", context.Cause(ctx))
		s.server.Drain()
		stopLedger()
	})
	ledgerError := s.ledger.Run(ledgerContext)
	stop(nil) // of no effect unless the ledger ended by itself

	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := s.http.Shutdown(end); err != nil {
		s.log.Warn("closing connections whose answers are not finished", "error", err)
		_ = s.http.Close() // the connections are given up on
	}
	<-served
	<-prepared
	err := errors.Join(ledgerError, s.closeBackend())
	if told.Err() == nil { // it stopped because something failed
		err = errors.Join(context.Cause(ctx), err)
	}
	s.log.Info("stopped")
	return err
}

// finishStart waits until the ledger is loaded and then notes that the
// registry is not empty any more: from now on, a missing artifact is a loss.
func (s *service) finishStart(ctx context.Context) error {
	ticker := time.NewTicker(readyPause)
	defer ticker.Stop()
	for s.ledger.Ready() != nil {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
	if err := s.back.ready(); err != nil {
		return fmt.Errorf("marking the registry as initialised: %w", err)
	}
	return nil
}

// closeBackend closes the registry, but does not wait forever for a transfer
// that has not noticed that its connection was closed.
func (s *service) closeBackend() error {
	closed := make(chan error, 1)
	go func() { closed <- s.back.close() }()
	select {
	case err := <-closed:
		return err
	case <-time.After(closeTime):
		s.log.Warn("the registry is not closed yet; what it acknowledged is durable")
		return nil
	}
}
