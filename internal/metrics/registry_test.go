package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"gitops-squared.io/gsq/internal/metrics"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

func TestRegistryConforms(t *testing.T) {
	t.Parallel()
	store := faulty.New()
	t.Cleanup(store.Close)
	registrytest.Run(t, func(*testing.T) registry.Registry { return metrics.NewRegistry().Wrap(store) })
}

// Each method is counted as what it is, once, with the time that it took.
func TestRegistryCountsItsOperations(t *testing.T) {
	t.Parallel()
	a := registrytest.Artifact(t, nil, "content")
	tag := registry.Tag{Repository: "repo", Name: "latest", Manifest: a.Manifest}
	for operation, call := range map[string]func(context.Context, registry.Registry) error{
		"put": func(ctx context.Context, r registry.Registry) error {
			return r.Put(ctx, registry.Push{Repository: "repo", Artifact: a})
		},
		"commit": func(ctx context.Context, r registry.Registry) error { return r.Commit(ctx, tag) },
		"tag":    func(ctx context.Context, r registry.Registry) error { return r.Tag(ctx, tag) },
		"get": func(ctx context.Context, r registry.Registry) error {
			_, err := r.Get(ctx, "repo", "latest")
			return err
		},
		"resolve": func(ctx context.Context, r registry.Registry) error {
			_, err := r.Resolve(ctx, "repo", "latest")
			return err
		},
		"tags": func(ctx context.Context, r registry.Registry) error {
			_, err := r.Tags(ctx, "repo", "", 10)
			return err
		},
		"referrers": func(ctx context.Context, r registry.Registry) error {
			_, err := r.Referrers(ctx, "repo", a.Manifest.Digest, "")
			return err
		},
		"delete": func(ctx context.Context, r registry.Registry) error { return r.Delete(ctx, "repo", a.Manifest.Digest) },
	} {
		t.Run(operation, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := faulty.New()
				defer store.Close()
				if err := errors.Join(store.Put(t.Context(), registry.Push{Repository: "repo", Artifact: a}), store.Commit(t.Context(), tag)); err != nil {
					t.Fatal(err)
				}
				m := metrics.NewRegistry()
				moved(t, values(t, m), nil)
				requests := 0
				store.SetFault(func(faulty.Op) faulty.Fault {
					if requests++; requests == 1 { // of the blobs of a put, only the first
						return faulty.Delay{For: time.Second}
					}
					return nil
				})
				if err := call(t.Context(), m.Wrap(store)); err != nil {
					t.Fatal(err)
				}
				moved(t, values(t, m), map[string]float64{
					"gsq_registry_requests_total," + operation + ",ok":         1,
					"gsq_registry_request_duration_seconds_count," + operation: 1,
					"gsq_registry_request_duration_seconds_sum," + operation:   1,
				})
			})
		})
	}
}

// stub is a registry that fails, and can list its repositories.
type stub struct {
	registry.Registry
	err error
}

func (s stub) Commit(context.Context, registry.Tag) error { return s.err }

func (s stub) Repositories(context.Context, string, int) ([]string, error) {
	return []string{"a"}, s.err
}

func TestRegistryCountsOutcomes(t *testing.T) {
	t.Parallel()
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancelLate := context.WithDeadline(t.Context(), time.Unix(0, 0))
	defer cancelLate()
	for outcome, c := range map[string]struct {
		ctx context.Context
		err error
	}{
		"ok":          {},
		"not-found":   {err: fmt.Errorf("x: %w", registry.ErrNotFound)},
		"refused":     {err: registry.ErrRefused},
		"unreachable": {err: registry.ErrUnreachable},
		"unavailable": {ctx: late, err: errors.Join(registry.ErrUnavailable, context.DeadlineExceeded)},
		"corrupt":     {err: registry.ErrCorrupt},
		"too-large":   {err: errors.Join(registry.ErrRefused, registry.ErrTooLarge)},
		"no-space":    {err: errors.Join(registry.ErrNoSpace, registry.ErrRefused)},
		"unsupported": {err: errors.Join(registry.ErrUnsupported, registry.ErrRefused)},
		"canceled":    {ctx: canceled, err: errors.Join(registry.ErrUnavailable, context.Canceled)},
		"other":       {err: errors.New("x")},
	} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			if c.ctx == nil {
				c.ctx = t.Context()
			}
			m := metrics.NewRegistry()
			name := "gsq_registry_requests_total,commit," + outcome
			if _, ok := values(t, m)[name]; !ok {
				t.Errorf("%s is not exported before it happens", name)
			}
			if err := m.Wrap(stub{err: c.err}).Commit(c.ctx, registry.Tag{}); !errors.Is(err, c.err) {
				t.Errorf("the error became %v", err)
			}
			if n := values(t, m)[name]; n != 1 {
				t.Errorf("%s is %v, want 1", name, n)
			}
		})
	}
}

// What lists its repositories still does, and nothing else does.
func TestRegistryKeepsTheLister(t *testing.T) {
	t.Parallel()
	m := metrics.NewRegistry()
	if _, ok := m.Wrap(faulty.New()).(registry.Lister); ok {
		t.Error("a registry that cannot list became one that can")
	}
	l, ok := m.Wrap(stub{}).(registry.Lister)
	if !ok {
		t.Fatal("a registry that can list became one that cannot")
	}
	if names, err := l.Repositories(t.Context(), "", 1); err != nil || len(names) != 1 {
		t.Errorf("%q, %v", names, err)
	}
	if n := values(t, m)["gsq_registry_requests_total,repositories,ok"]; n != 1 {
		t.Errorf("%v requests were counted", n)
	}
}
