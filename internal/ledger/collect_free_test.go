package ledger_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// rotten is a registry that does not free its space.
type rotten struct {
	registry.Registry
	err error
}

func (r rotten) Collect(context.Context, time.Duration) (registry.Freed, error) {
	return registry.Freed{Bytes: 7}, r.err
}

// A registry that frees no space, because of damage that nothing of the history
// need have, is told with what it met. The thinning is neither undone nor done
// again.
func TestCollectWithoutFreeing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err   error
		code  ledger.Code
		tells []string
	}{
		"damaged":     {fmt.Errorf("blob sha256:77 of a/b: %w", registry.ErrCorrupt), ledger.CodeCorrupt, []string{"what is not kept is deleted", "blob sha256:77 of a/b", "gsq fsck"}},
		"unavailable": {fmt.Errorf("another one is under way: %w", registry.ErrUnavailable), ledger.CodeRegistryUnavailable, []string{"what is not kept is deleted", "another one is under way", "tries again"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				p := start(t, store, keeping(artifact.Retention{Revisions: 2}), func(o *ledger.Options) { o.Registry = rotten{o.Registry, c.err} })
				grow(t, p, 10)
				time.Sleep(2 * time.Minute)
				for i, revisions := range []int{9, 0, 0} {
					got, err := p.Collect(context.Background(), "default", false)
					if err != nil || got.Err == nil || got.Err.Code != c.code || got.Ended.IsZero() {
						t.Fatalf("collection %d: %+v, %v", i, got, err)
					}
					for _, part := range c.tells {
						if !strings.Contains(got.Err.Message, part) {
							t.Errorf("%q does not tell %q", got.Err.Message, part)
						}
					}
					if got.Revisions != revisions || got.Thinned != 9 || got.Freed == nil || got.Freed.Bytes != 7 {
						t.Errorf("collection %d did %+v", i, got)
					}
				}
				after := prove(t, store, "default")
				after.same(t, p, "default")
				if len(after.records) != 12 || after.thinned != 9 { // the first, those that grew, the one that names the checkpoint
					t.Errorf("%d revisions, thinned to %d", len(after.records), after.thinned)
				}
				apply(t, p, "default", put("next", "small"))
				p.stop()
			})
		})
	}
}

// A probe that is gone when it is to be deleted, by an earlier probe's late
// deletion, is no damage of the history.
func TestCollectWhenItsProbeIsGone(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store, keeping(artifact.Retention{Revisions: 2}))
		grow(t, p, 10)
		time.Sleep(2 * time.Minute)
		store.SetFault(once(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.Delete {
				return faulty.NotFound
			}
			return nil
		}))
		c, err := p.Collect(context.Background(), "default", false)
		if err != nil || c.Err == nil || c.Err.Code != ledger.CodeRegistryUnavailable || c.Thinned != 0 {
			t.Errorf("%+v, %v", c, err)
		}
		collect(t, p, "default", false)
	})
}

// A registry each of whose answers takes longer than a slice is collected, too.
func TestCollectAtASlowRegistry(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store, keeping(artifact.Retention{Revisions: 2}))
		grow(t, p, 10)
		time.Sleep(2 * time.Minute)
		store.SetFault(func(faulty.Op) faulty.Fault { return faulty.Delay{For: 500 * time.Millisecond} })
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer cancel()
		if c, err := p.Collect(ctx, "default", false); err != nil || c.Err != nil || c.Ended.IsZero() || c.Revisions != 9 || c.Versions != 8 {
			t.Errorf("%+v, %v", c, err)
		}
		p.stop()
	})
}
