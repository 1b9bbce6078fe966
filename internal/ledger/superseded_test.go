package ledger_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// A claim that was answered late is not another ledger's.
func TestALedgerDoesNotSupersedeItself(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		var n atomic.Int64
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.Commit && op.Repository == prefix+"/writer" {
				switch n.Add(1) {
				case 1:
					return faulty.StoredLate{After: 10 * time.Second}
				case 2:
					return faulty.Refused
				}
			}
			return nil
		})
		p := start(t, store)
		time.Sleep(time.Minute)
		apply(t, p, "default", put("a", "small"))
	})
}

// A ledger that finds itself superseded in one namespace writes nothing more in
// any, not even what it had begun.
func TestASupersededLedgerStopsEverywhere(t *testing.T) {
	t.Parallel()
	writes := []faulty.Kind{faulty.PutBlob, faulty.PutManifest, faulty.Commit, faulty.PutTag}
	for _, slow := range []faulty.Kind{faulty.PutManifest, faulty.PutTag} {
		t.Run(string(slow), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				p := start(t, store)
				apply(t, p, "team", put("a", "small"))
				store.SetFault(func(op faulty.Op) faulty.Fault {
					if op.Kind == slow && strings.Contains(op.Repository, "default") {
						return faulty.Delay{For: 50 * time.Millisecond}
					}
					return nil
				})
				var changes []ledger.Change
				for i := range 300 {
					changes = append(changes, put(fmt.Sprintf("r%d", i), "small"))
				}
				done := make(chan error, 1)
				go func() {
					_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: changes})
					done <- err
				}()
				time.Sleep(5 * time.Second) // it is half-way
				select {
				case err := <-done:
					t.Fatalf("the commit was over already: %v", err)
				default:
				}
				supersede(t, store)
				p.Apply(context.Background(), ledger.Request{Namespace: "team", Changes: []ledger.Change{put("b", "small")}})
				if code(p.Ready()) != ledger.CodeSuperseded {
					t.Fatalf("it does not know: %v", p.Ready())
				}
				synctest.Wait() // what was under way has ended
				before := store.Count(writes...)
				time.Sleep(time.Minute)
				if n := store.Count(writes...) - before; n != 0 {
					t.Errorf("it wrote %d times after that", n)
				}
				if err := <-done; code(err) != ledger.CodeOutcomeUnknown && code(err) != ledger.CodeSuperseded {
					t.Errorf("the caller: %v", err)
				}
			})
		})
	}
}

// supersede claims the prefix as another ledger does.
func supersede(t *testing.T, store *faulty.Store) {
	t.Helper()
	a, err := artifact.Claim{ID: artifact.ClaimID(intent.Version(time.Now().UnixMicro()), 7)}.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Raw().Put(context.Background(), registry.Push{Repository: prefix + "/writer", Artifact: a}); err != nil {
		t.Fatal(err)
	}
	store.SetTag(prefix+"/writer", "latest", a.Manifest.Digest)
}

// What a slow commit still has to tag, it tags only while its claim stands: the
// next ledger's tags must not be put back.
func TestTagsNeedTheClaim(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.PutTag {
				return faulty.Delay{For: 50 * time.Millisecond}
			}
			return nil
		})
		var changes []ledger.Change
		for i := range 500 {
			changes = append(changes, put(fmt.Sprintf("r%d", i), "small"))
		}
		go p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: changes})
		time.Sleep(2 * time.Second)
		supersede(t, store)
		time.Sleep(5 * time.Second)
		before := store.Count(faulty.PutTag)
		time.Sleep(time.Minute)
		if n := store.Count(faulty.PutTag) - before; n != 0 {
			t.Errorf("it put %d tags more than 5 s after another ledger's claim", n)
		}
	})
}

// Another ledger claims the prefix just before the commit point: whether it has
// seen the commit, nobody knows, and the tags are its to put.
func TestSupersededAtTheCommitPoint(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		before := store.Count(faulty.PutTag)
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.Commit && op.Repository == catalogRepo {
				supersede(t, store)
			}
			return nil
		})
		_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("a", "small")}})
		if code(err) != ledger.CodeOutcomeUnknown {
			t.Errorf("answer: %v", err)
		}
		if code(p.Ready()) != ledger.CodeSuperseded || store.Count(faulty.PutTag) != before {
			t.Errorf("%v, %d tags", p.Ready(), store.Count(faulty.PutTag)-before)
		}
		p.stop()
		store.SetFault(nil)
		p = start(t, store) // the commit stood first, so it counts
		if got := sizes(t, p, "default"); len(got) != 1 {
			t.Errorf("the namespace holds %v", got)
		}
		p.stop()
		inspect(t, store)
	})
}

// A ledger that was superseded while its attempt was not answered makes no
// other one.
func TestSupersededBeforeARepetition(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		attempts := 0
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.Commit && op.Repository == catalogRepo {
				attempts++
				supersede(t, store)
				return faulty.NotStored
			}
			return nil
		})
		_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("a", "small")}})
		if code(err) != ledger.CodeOutcomeUnknown {
			t.Errorf("answer: %v", err)
		}
		p.stop()
		if attempts != 1 {
			t.Errorf("%d attempts", attempts)
		}
	})
}

// A ledger that is superseded while it starts completes no tags.
func TestSupersededAtAStart(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := interrupted(t)
		store.SetFault(once(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.Get && op.Repository == catalogRepo {
				supersede(t, store)
				return faulty.Delay{For: time.Millisecond}
			}
			return nil
		}))
		p := launch(t, store)
		time.Sleep(time.Minute)
		if code(p.Ready()) != ledger.CodeSuperseded {
			t.Errorf("Ready: %v", p.Ready())
		}
		if _, err := store.Raw().Resolve(context.Background(), catalogRepo, "r3"); err == nil {
			t.Error("it tagged the revision that it found")
		}
	})
}
