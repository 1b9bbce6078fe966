package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// interrupted returns a registry whose last process was killed between the
// commit point and the tags, with one namespace still in the making.
func interrupted(t *testing.T) *faulty.Store {
	t.Helper()
	store := initialised(t)
	p := start(t, store)
	apply(t, p, "default", put("a", "small"))
	cutAfter := func(kind faulty.Kind, repo string) {
		p.line.cut.Store(false)
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Kind == kind && op.Repository == repo {
				p.line.cut.Store(true)
			}
			return nil
		})
	}
	cutAfter(faulty.Commit, catalogRepo)
	p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("b", "small"), del("a")}})
	cutAfter(faulty.Commit, prefix+"/catalogs/team")
	p.Apply(context.Background(), ledger.Request{Namespace: "team", Changes: []ledger.Change{put("x", "small")}})
	p.kill()
	store.SetFault(nil)
	return store
}

// Every registry request of a start, with everything that can happen to it: it
// becomes ready all the same, with everything that was committed.
func TestStartSurvivesEveryFault(t *testing.T) {
	t.Parallel()
	requests := 0
	bubble(t, func(t *testing.T) {
		store := interrupted(t)
		before := len(store.Ops())
		start(t, store)
		requests = len(store.Ops()) - before
	})
	if requests < 20 {
		t.Fatalf("a start of %d requests is not the one that is meant", requests)
	}
	for k := range requests {
		for name, fault := range map[string]faulty.Fault{
			"refused": faulty.Refused, "not stored": faulty.NotStored, "stored": faulty.StoredButError,
			"time-out": faulty.Timeout, "late": faulty.StoredLate{After: 3 * time.Second},
			"not found": faulty.NotFound, "corrupt": faulty.Corrupt,
		} {
			t.Run(fmt.Sprintf("%02d/%s", k, name), func(t *testing.T) {
				t.Parallel()
				bubble(t, func(t *testing.T) {
					store := interrupted(t)
					at := len(store.Ops()) + 1 + k
					store.SetFault(func(op faulty.Op) faulty.Fault {
						read := op.Kind == faulty.Get || op.Kind == faulty.Resolve
						if op.N == at && (read || fault != faulty.NotFound && fault != faulty.Corrupt) {
							return fault
						}
						return nil
					})
					p := start(t, store)
					// A namespace that looked damaged for a moment is read again, and
					// what was not answered settles.
					time.Sleep(20 * time.Second)
					if got := sizes(t, p, "default"); !equal(got, map[string]string{"b": "small"}) {
						t.Errorf("default holds %v", got)
					}
					apply(t, p, "team", put("y", "small"))
					time.Sleep(2 * time.Minute)
					p.stop()
					store.Flush()
					inspect(t, store)
				})
			})
		}
	}
}

func TestInit(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		if err := ledger.Init(context.Background(), options(t, store)); err == nil {
			t.Error("a second init did not refuse")
		}
		p := start(t, store)
		if s, err := p.List("default"); err != nil || s.Revision.Number != 1 || len(s.Entries) != 0 {
			t.Errorf("default: %+v, %v", s, err)
		}
	})
}

// Whatever happens to one request of an init, running it again finishes it, and
// until it is done no server starts on it.
func TestInterruptedInit(t *testing.T) {
	t.Parallel()
	for k := range 40 {
		for _, fault := range []faulty.Fault{faulty.Refused, faulty.NotStored, faulty.StoredButError, faulty.Timeout, faulty.StoredLate{After: 3 * time.Second}} {
			t.Run(fmt.Sprintf("%02d/%v", k, fault), func(t *testing.T) {
				t.Parallel()
				bubble(t, func(t *testing.T) {
					store := faulty.New()
					t.Cleanup(store.Close)
					ln := &line{Registry: store}
					store.SetFault(func(op faulty.Op) faulty.Fault {
						if op.N != k+1 {
							return nil
						}
						ln.cut.Store(true)
						return fault
					})
					initialise := func(ln *line) error {
						ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
						defer cancel()
						return ledger.Init(ctx, options(t, ln))
					}
					err := initialise(ln)
					for attempt := 0; err != nil && attempt < 3; attempt++ {
						err = initialise(&line{Registry: store})
						if errors.Is(err, ledger.ErrInitialised) {
							err = nil
						}
					}
					if err != nil {
						t.Fatalf("again: %v", err)
					}
					p := start(t, store)
					apply(t, p, "default", put("a", "small"))
					p.stop()
					store.Flush()
					inspect(t, store)
				})
			})
		}
	}
}

func TestNoServerStartsOnARegistryThatIsNotInitialised(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := faulty.New()
		t.Cleanup(store.Close)
		p := launch(t, store)
		time.Sleep(time.Hour)
		if code(p.Ready()) != ledger.CodeNotReady {
			t.Errorf("Ready: %v", p.Ready())
		}
		if n := store.Count(faulty.PutBlob, faulty.PutManifest, faulty.Commit, faulty.PutTag); n != 0 {
			t.Errorf("it wrote %d times", n)
		}
		if err := ledger.Init(context.Background(), options(t, store)); err != nil {
			t.Fatal(err)
		}
		awaitReady(t, p) // init was run meanwhile; the server need not be restarted
		apply(t, p, "default", put("a", "small"))
	})
}

func TestFreshEmbeddedRegistryInitialisesItself(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := faulty.New()
		t.Cleanup(store.Close)
		fresh := func(o *ledger.Options) { o.Exclusive, o.Fresh = true, true }
		began := time.Now()
		p := start(t, store, fresh)
		if took := time.Since(began); took > time.Second {
			t.Errorf("ready after %v, although nobody else can write", took)
		}
		apply(t, p, "default", put("a", "small"))
		p.kill()
		p = start(t, store, fresh)
		if got := sizes(t, p, "default"); len(got) != 1 {
			t.Errorf("after a restart: %v", got)
		}
		p.stop()
		inspect(t, store)
	})
}

// Where something must be, "not found" is a failure to read, never emptiness.
func TestNotFoundIsAReadFailure(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		head := apply(t, p, "default", put("a", "small")).Revision
		apply(t, p, "team", put("a", "small"))
		store.RemoveTag(catalogRepo, "latest")
		before := store.Count(faulty.Commit)
		if _, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("b", "small")}}); code(err) != ledger.CodeRegistryUnavailable {
			t.Errorf("a write without a latest: %v", err)
		}
		if store.Count(faulty.Commit) != before {
			t.Error("it put latest")
		}
		store.SetTag(catalogRepo, "latest", head.Digest)
		apply(t, p, "default", put("b", "small"))
		p.stop()

		head2 := tagged(t, store, prefix+"/catalogs/team", "latest")
		first := tagged(t, store, prefix+"/catalogs/team", "r1")
		for _, tag := range []string{"latest", "r1", "r2"} {
			store.RemoveTag(prefix+"/catalogs/team", tag)
		}
		p = launch(t, store)
		time.Sleep(time.Minute)
		if code(p.Ready()) != ledger.CodeNotReady {
			t.Errorf("Ready, without the catalog of an active namespace: %v", p.Ready())
		}
		store.SetTag(prefix+"/catalogs/team", "r1", first)
		store.SetTag(prefix+"/catalogs/team", "r2", head2)
		store.SetTag(prefix+"/catalogs/team", "latest", head2)
		awaitReady(t, p)
		p.stop()
		inspect(t, store)
	})
}
