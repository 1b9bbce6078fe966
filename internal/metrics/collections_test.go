package metrics_test

import (
	"context"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/metrics"
	"gitops-squared.io/gsq/internal/registry"
)

func TestCollectionsAreCounted(t *testing.T) {
	t.Parallel()
	for outcome, code := range map[string]ledger.Code{
		"interrupted": ledger.CodeNotReady, "unsupported": ledger.CodeUnsupported, "failed": ledger.CodeRegistryUnavailable,
	} {
		m := metrics.NewLedger()
		m.Collected(ledger.Collection{Ended: time.Unix(9, 0), Err: &ledger.Error{Code: code}})
		moved(t, values(t, m), map[string]float64{"gsq_gc_runs_total," + outcome: 1})
	}
	m := metrics.NewLedger()
	m.Collected(ledger.Collection{Ended: time.Unix(9, 0), Revisions: 3, Versions: 4, Referrers: 5, Bytes: 6})
	m.Freed(registry.Freed{Bytes: 7})
	moved(t, values(t, m), map[string]float64{
		"gsq_gc_runs_total,ok": 1, "gsq_gc_deleted_total,revision": 3, "gsq_gc_deleted_total,version": 4,
		"gsq_gc_deleted_total,referrer": 5, "gsq_gc_deleted_bytes_total": 6, "gsq_gc_freed_bytes_total": 7,
		"gsq_gc_last_success_timestamp_seconds": 9,
	})
}

// collector is a registry that frees space.
type collector struct{ registry.Registry }

func (collector) Collect(context.Context, time.Duration) (registry.Freed, error) {
	return registry.Freed{Bytes: 1}, nil
}

// What frees space still does, also what lists its repositories besides, and
// nothing else does.
func TestRegistryKeepsTheCollector(t *testing.T) {
	t.Parallel()
	m := metrics.NewRegistry()
	if _, ok := m.Wrap(stub{}).(registry.Collector); ok {
		t.Error("a registry that frees nothing became one that does")
	}
	for _, r := range []registry.Registry{collector{}, struct {
		collector
		registry.Lister
	}{collector{}, stub{}}} {
		wrapped := m.Wrap(r)
		c, ok := wrapped.(registry.Collector)
		if !ok {
			t.Fatalf("%T became one that frees nothing", r)
		}
		if freed, err := c.Collect(t.Context(), time.Hour); err != nil || freed.Bytes != 1 {
			t.Errorf("%+v, %v", freed, err)
		}
		_, lists := r.(registry.Lister)
		if _, ok := wrapped.(registry.Lister); ok != lists {
			t.Errorf("%T: lists is %v now", r, ok)
		}
	}
	if n := values(t, m)["gsq_registry_requests_total,collect,ok"]; n != 2 {
		t.Errorf("%v requests were counted", n)
	}
}
