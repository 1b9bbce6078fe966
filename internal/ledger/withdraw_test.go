package ledger_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// only returns a fault for the requests of one kind to one tag.
func only(kind faulty.Kind, repo, reference string, f faulty.Fault) func(faulty.Op) faulty.Fault {
	return func(op faulty.Op) faulty.Fault {
		if op.Kind == kind && op.Repository == repo && op.Reference == reference {
			return f
		}
		return nil
	}
}

// once lets a fault happen the first time only.
func once(f func(faulty.Op) faulty.Fault) func(faulty.Op) faulty.Fault {
	var done atomic.Bool
	return func(op faulty.Op) faulty.Fault {
		if fault := f(op); fault != nil && !done.Swap(true) {
			return fault
		}
		return nil
	}
}

// A caller that leaves takes its own request back, and nobody else's.
func TestACallerThatLeavesHarmsNobody(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.PutManifest {
				return faulty.Delay{For: time.Second}
			}
			return nil
		})
		answer := make(chan error, 1)
		go func() {
			_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("a", "small")}})
			answer <- err
		}()
		time.Sleep(500 * time.Millisecond) // it is being pushed
		ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
		defer cancel()
		if _, err := p.Apply(ctx, ledger.Request{Namespace: "default", Changes: []ledger.Change{put("b", "small")}}); code(err) != ledger.CodeRegistryUnavailable {
			t.Errorf("the caller that left: %v", err)
		}
		if err := <-answer; err != nil {
			t.Errorf("the other one: %v", err)
		}
		p.stop()
		if live := inspect(t, store)["default"]; len(live) != 1 {
			t.Errorf("the namespace holds %v", live)
		}
	})
}

// A commit that the registry works on takes its time, one that it does not
// confirm does not: repeating what was pushed is no progress.
func TestNoAnswerWaitsForRepetitions(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		store.SetFault(only(faulty.Commit, catalogRepo, "latest", faulty.NotStored))
		var changes []ledger.Change
		for i := range 200 {
			changes = append(changes, put(fmt.Sprintf("r%d", i), "small"))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		began := time.Now()
		_, err := p.Apply(ctx, ledger.Request{Namespace: "default", Changes: changes})
		if took := time.Since(began); code(err) != ledger.CodeOutcomeUnknown || took > 5*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		store.SetFault(nil)
		p.stop()
		if live := inspect(t, store)["default"]; len(live) != 200 {
			t.Errorf("%d resources", len(live))
		}
	})
}

// While an unanswered write can still land, nothing is pushed in vain, however
// many callers come and go.
func TestNothingIsPushedWhileAWriteSettles(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		store.SetFault(once(only(faulty.PutTag, catalogRepo, "r2", faulty.StoredButError)))
		apply(t, p, "default", put("a", "small"))
		before := store.Count(faulty.PutManifest)
		for i := range 40 {
			go func() {
				p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put(fmt.Sprintf("r%d", i), "small")}})
			}()
			time.Sleep(200 * time.Millisecond)
		}
		if n := store.Count(faulty.PutManifest) - before; n != 0 {
			t.Errorf("%d manifests were pushed", n)
		}
		time.Sleep(15 * time.Second)
		apply(t, p, "default", put("b", "small"))
		p.stop()
		inspect(t, store)
	})
}

// Requests whose callers were answered take no place in the queue.
func TestWithdrawnRequestsLeaveTheQueue(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store, func(o *ledger.Options) { o.QueueLength = 5 })
		store.SetFault(only(faulty.Commit, catalogRepo, "latest", faulty.Timeout))
		for i := range 20 {
			_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put(fmt.Sprintf("r%d", i), "small")}})
			if c := code(err); c != ledger.CodeRegistryUnavailable && c != ledger.CodeOutcomeUnknown {
				t.Fatalf("request %d: %v", i, err)
			}
		}
		store.SetFault(nil)
		p.stop()
		inspect(t, store)
	})
}

// A caller that is told that nothing changed made no namespace either, and one
// that joined it is served.
func TestWithdrawnCreation(t *testing.T) {
	t.Parallel()
	for _, joined := range []bool{false, true} {
		t.Run(fmt.Sprintf("joined %v", joined), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				p := start(t, store)
				store.SetFault(once(func(op faulty.Op) faulty.Fault {
					if op.Kind == faulty.PutManifest {
						return faulty.Delay{For: 3 * time.Second}
					}
					return nil
				}))
				others := make(chan error, 1)
				if joined {
					time.AfterFunc(500*time.Millisecond, func() {
						_, err := p.Apply(context.Background(), ledger.Request{Namespace: "team", Changes: []ledger.Change{put("b", "small")}})
						others <- err
					})
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				defer cancel()
				if _, err := p.Apply(ctx, ledger.Request{Namespace: "team", Changes: []ledger.Change{put("a", "small")}}); code(err) != ledger.CodeRegistryUnavailable {
					t.Errorf("the caller that left: %v", err)
				}
				if joined {
					if err := <-others; err != nil {
						t.Errorf("the caller that stayed: %v", err)
					}
				}
				time.Sleep(time.Minute)
				if all, _ := p.Namespaces(); len(all) != 1 && !joined || len(all) != 2 && joined {
					t.Errorf("namespaces: %+v", all)
				}
				apply(t, p, "team", put("c", "small"))
				p.stop()
				inspect(t, store)
			})
		})
	}
}

// After the registry stood still, the queue is full of requests whose callers
// are about to leave, and more come all the time. Their leaving must not keep
// the others from being committed.
func TestCommitsGoOnAfterTheRegistryStoodStill(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		var still atomic.Bool
		still.Store(true)
		store.SetFault(func(op faulty.Op) faulty.Fault {
			switch {
			case still.Load() && op.Kind == faulty.Resolve:
				return faulty.Timeout
			case op.Repository == catalogRepo:
				return faulty.Delay{For: 100 * time.Millisecond}
			}
			return nil
		})
		time.AfterFunc(10*time.Second, func() { still.Store(false) })
		var late, succeeded atomic.Int64
		for i := range 400 { // ten a second
			go func() {
				_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put(fmt.Sprintf("r%d", i), "small")}})
				if i >= 250 {
					late.Add(1)
					if err == nil {
						succeeded.Add(1)
					}
				}
			}()
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		if late.Load() != 150 || succeeded.Load() < 140 {
			t.Errorf("%d of %d requests succeeded after 15 s without a fault", succeeded.Load(), late.Load())
		}
		p.stop()
		inspect(t, store)
	})
}

// A push that hangs holds the namespace up no longer than its caller waits.
func TestAHangingPushEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		store.SetTimeout(0)
		p := start(t, store)
		store.SetFault(once(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.PutBlob {
				return faulty.Timeout
			}
			return nil
		}))
		if _, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("a", "small")}}); code(err) != ledger.CodeRegistryUnavailable {
			t.Errorf("answer: %v", err)
		}
		apply(t, p, "default", put("b", "small"))
		p.stop()
		if live := inspect(t, store)["default"]; len(live) != 1 {
			t.Errorf("the namespace holds %v", live)
		}
	})
}

// unheeding is a registry that answers although its caller has gone.
type unheeding struct {
	registry.Registry
	answered func(repo, reference string)
}

func (u unheeding) Resolve(ctx context.Context, repo, reference string) (ocispec.Descriptor, error) {
	d, err := u.Registry.Resolve(ctx, repo, reference)
	u.answered(repo, reference)
	return d, err
}

// A caller that leaves at the last moment before the commit point is told that
// nothing changed, and nothing does.
func TestWithdrawnJustBeforeTheCommitPoint(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		ctx, cancel := context.WithCancel(context.Background())
		var armed atomic.Bool
		p := start(t, unheeding{store, func(repo, reference string) {
			if repo == catalogRepo && reference == "r1" && armed.Swap(false) {
				cancel()
				synctest.Wait()
			}
		}})
		armed.Store(true)
		if _, err := p.Apply(ctx, ledger.Request{Namespace: "default", Changes: []ledger.Change{put("a", "small")}}); code(err) != ledger.CodeRegistryUnavailable {
			t.Errorf("answer: %v", err)
		}
		apply(t, p, "default", put("b", "small"))
		p.stop()
		if live := inspect(t, store)["default"]; len(live) != 1 {
			t.Errorf("the namespace holds %v", live)
		}
	})
}
