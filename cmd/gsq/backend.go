package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/remote"
)

// backend is the registry that a server stands on.
type backend struct {
	registry  registry.Registry
	exclusive bool         // nobody else can write it
	fresh     bool         // it may be taken for empty
	restoring bool         // a restore into it was begun and not finished
	handler   http.Handler // its /v2/; nil when it is external
	host      string       // where others find it; empty when it is embedded
	insecure  bool         // …by plain HTTP

	metrics []prometheus.Collector // of its own

	probe func(ctx context.Context) // logs what it can do
	ready func() error              // called once, when the ledger is loaded

	beginRestore func() error // before the first write of a restore
	endRestore   func() error // when all of it is committed; instead of ready

	close func() error
}

// openBackend opens the embedded registry, or connects to the external one
// that the settings name.
func openBackend(c *settings, log *slog.Logger) (*backend, error) {
	address, external, err := c.address()
	if err != nil {
		return nil, err
	}
	certificates, err := c.certificates(address)
	if err != nil {
		return nil, err
	}
	durability, err := c.durability(external)
	if err != nil {
		return nil, err
	}
	if external {
		return connectBackend(c, address, certificates, log)
	}
	return openEmbedded(c, durability, log)
}

func openEmbedded(c *settings, durability embedded.Durability, log *slog.Logger) (*backend, error) {
	data := c.get(settingData)
	if data.value == "" {
		return nil, usagef("there is no folder for the embedded registry, because neither XDG_STATE_HOME nor HOME is set; name one with --data")
	}
	prefix := c.get(settingPrefix).value
	store, err := embedded.Open(embedded.Options{
		Folder: filepath.Join(data.value, "registry"), Durability: durability, Essential: prefix + "/writer", Log: log,
	})
	if err != nil {
		return nil, fmt.Errorf("the embedded registry in %s (%s): %w", data.value, data.origin(c.file), err)
	}
	initialised, err := store.Initialised()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the embedded registry in %s: %w", data.value, err), store.Close())
	}
	restoring, err := store.Restoring()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the embedded registry in %s: %w", data.value, err), store.Close())
	}
	log.Info("registry opened", "kind", "embedded", "data", data.value, "durability", string(durability), "new", !initialised)
	if durability == embedded.DurabilityNone {
		log.Warn("--durability none: what is acknowledged survives the end of this process, but not the loss of power")
	}
	return &backend{
		registry: store, exclusive: true, fresh: !initialised && !restoring, restoring: restoring, insecure: true,
		handler: store.Handler(embedded.HandlerOptions{ReservedPrefix: prefix}),
		metrics: []prometheus.Collector{store.Collector()},
		probe:   func(context.Context) {},
		ready:   store.MarkInitialised,
		close:   store.Close,

		beginRestore: store.BeginRestore,
		endRestore:   store.EndRestore,
	}, nil
}

func connectBackend(c *settings, address remote.Address, certificates []byte, log *slog.Logger) (*backend, error) {
	setting := c.get(settingRegistry)
	if setting.source == fromContract && address.Plain && address.String() != setting.value {
		log.Warn("a bare host in REGISTRY_HOST means plain HTTP; name the registry with --registry, where it means HTTPS, or write http:// before it", "registry", address.String())
	}
	client, err := remote.New(remote.Options{Address: address, CA: certificates, UserAgent: "gsq/" + readBuild().Version})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", setting.origin(c.file), err)
	}
	repository := c.get(settingPrefix).value + "/system"
	return &backend{
		registry: client, host: address.Host, insecure: address.Plain,
		probe: func(ctx context.Context) {
			can, err := client.Probe(ctx, repository)
			if err != nil {
				log.Warn("the registry could not be probed", "registry", address.String(), "error", err)
				return
			}
			log.Info("registry probed", "kind", "external", "registry", address.String(),
				"apiVersion", can.APIVersion, "referrers", can.Referrers, "tagPaging", can.TagPaging, "delete", can.Delete)
		},
		ready: func() error { return nil },
		close: func() error { return nil },

		// Nobody takes an external registry for empty without being told.
		beginRestore: func() error { return nil },
		endRestore:   func() error { return nil },
	}, nil
}
