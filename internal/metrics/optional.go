package metrics

import (
	"context"
	"time"

	"gitops-squared.io/gsq/internal/registry"
)

// What a registry can also be, measured.

type measuredLister struct {
	lister registry.Lister
	m      *Registry
}

func (w measuredLister) Repositories(ctx context.Context, last string, n int) ([]string, error) {
	start := time.Now()
	names, err := w.lister.Repositories(ctx, last, n)
	w.m.done(ctx, opRepositories, start, err)
	return names, err
}

type measuredCollector struct {
	collector registry.Collector
	m         *Registry
}

func (w measuredCollector) Collect(ctx context.Context, grace time.Duration) (registry.Freed, error) {
	start := time.Now()
	freed, err := w.collector.Collect(ctx, grace)
	w.m.done(ctx, opCollect, start, err)
	return freed, err
}
