package ledger_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
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

// What somebody else put where a namespace was about to be is that namespace's
// problem alone, after a restart too.
func TestForeignCatalogOfANewNamespace(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		apply(t, p, "default", put("a", "small"))
		a, err := store.Raw().Get(context.Background(), prefix+"/resources/default/a", "latest")
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Raw().Put(context.Background(), registry.Push{Repository: prefix + "/catalogs/team", Artifact: a}); err != nil {
			t.Fatal(err)
		}
		store.SetTag(prefix+"/catalogs/team", "latest", a.Manifest.Digest)
		write := func() {
			_, err := p.Apply(context.Background(), ledger.Request{Namespace: "team", Changes: []ledger.Change{put("a", "small")}})
			if code(err) != ledger.CodeForeignWriter {
				t.Errorf("a write: %v", err)
			}
		}
		write()
		p.stop()
		p = start(t, store)
		apply(t, p, "default", put("b", "small"))
		write()
		store.RemoveTag(prefix+"/catalogs/team", "latest")
		apply(t, p, "team", put("a", "small"))
		p.stop()
		inspect(t, store)
	})
}

// A start that has to be tried again remembers what its first attempt left
// unanswered.
func TestAStartRemembersUnansweredWrites(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		apply(t, p, "default", put("a", "small"))
		p.stop()
		store.SetTag(catalogRepo, "latest", tagged(t, store, catalogRepo, "r1"))
		store.SetFault(once(only(faulty.Commit, catalogRepo, "latest", faulty.StoredLate{After: 5 * time.Second})))
		p = start(t, store)
		var acknowledged ledger.Revision
		for range 60 {
			r, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("b", "small")}})
			if err == nil {
				acknowledged = r.Revision
				break
			}
		}
		for range 20 {
			time.Sleep(time.Second)
			if d := tagged(t, store, catalogRepo, "latest"); d != acknowledged.Digest {
				t.Fatalf("latest fell behind what was acknowledged: %s", d)
			}
		}
	})
}

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

// A namespace whose content is damaged leaves the others alone, and is read
// again soon, even if the registry is unreachable in between.
func TestDamagedNamespaceAtAStart(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		apply(t, p, "default", put("a", "small"))
		apply(t, p, "team", put("a", "small"))
		p.stop()
		repo := prefix + "/catalogs/team"
		a, err := store.Raw().Get(context.Background(), repo, "latest")
		if err != nil {
			t.Fatal(err)
		}
		store.ReplaceBlob(repo, a.Blobs[1].Digest, []byte("rotten"))
		p = start(t, store)
		apply(t, p, "default", put("b", "small"))
		for range 2 {
			_, err = p.Apply(context.Background(), ledger.Request{Namespace: "team", Changes: []ledger.Change{put("b", "small")}})
			if code(err) != ledger.CodeCorrupt {
				t.Errorf("a write to the damaged one: %v", err)
			}
			store.SetFault(only(faulty.Get, repo, "latest", faulty.NotStored))
			time.Sleep(10 * time.Second)
		}
		store.SetFault(nil)
		store.ReplaceBlob(repo, a.Blobs[1].Digest, a.Blobs[1].Data)
		time.Sleep(5 * time.Second)
		apply(t, p, "team", put("b", "small"))
		p.stop()
		inspect(t, store)
	})
}

// While a write of the system catalog can still land, its latest is looked at
// each second.
func TestSystemIsWatchedWhileItSettles(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		time.Sleep(2 * time.Second)
		store.SetFault(once(only(faulty.PutTag, prefix+"/system", "r3", faulty.StoredButError)))
		apply(t, p, "team", put("a", "small"))
		head := tagged(t, store, prefix+"/system", "latest")
		for range 5 {
			store.SetTag(prefix+"/system", "latest", tagged(t, store, prefix+"/system", "r2"))
			time.Sleep(1500 * time.Millisecond)
			if d := tagged(t, store, prefix+"/system", "latest"); d != head {
				t.Fatalf("latest is still behind: %s", d)
			}
		}
	})
}

// A commit of the system catalog by an earlier ledger, landing late, brings a
// namespace: it can be used.
func TestNamespaceOfAnAdoptedCommitIsStarted(t *testing.T) {
	t.Parallel()
	for found, wait := range map[string]time.Duration{"by a look": 2 * time.Minute, "by a creation": 0} {
		t.Run(found, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				system := prefix + "/system"
				p := start(t, store)
				earlier := writer(t, store)
				apply(t, p, "team", put("a", "small"))
				p.stop()
				first := tagged(t, store, system, "r1")
				all, err := store.Raw().Get(context.Background(), system, "r3")
				if err != nil {
					t.Fatal(err)
				}
				late, err := artifact.Pack(artifact.TypeSystemConfig, artifact.Record{
					Format: 1, Scope: artifact.ScopeSystem, Number: 2, Parent: first, Time: "2100-01-01T00:00:00.000000Z", Writer: earlier,
					Changes: []artifact.RecordChange{{Operation: artifact.StateActive, Name: "team"}},
				}, all.Blobs[1])
				if err != nil {
					t.Fatal(err)
				}
				if err := store.Raw().Put(context.Background(), registry.Push{Repository: system, Artifact: late}); err != nil {
					t.Fatal(err)
				}
				store.SetTag(system, "latest", first)
				store.RemoveTag(system, "r2")
				store.RemoveTag(system, "r3")

				p = start(t, store)
				store.SetTag(system, "latest", late.Manifest.Digest)
				time.Sleep(wait)
				apply(t, p, "team", put("b", "small"))
				if got := sizes(t, p, "team"); len(got) != 2 {
					t.Errorf("team holds %v", got)
				}
				p.stop()
				inspect(t, store)
				if _, err := store.Raw().Resolve(context.Background(), system, "r3"); err == nil {
					t.Error("the namespace was created again")
				}
			})
		})
	}
}

// What a deleted namespace left is not needed for a start.
func TestDeletedNamespaceIsNotRead(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		system := prefix + "/system"
		p := start(t, store)
		apply(t, p, "team", put("a", "small"))
		p.stop()
		head, err := store.Raw().Get(context.Background(), system, "latest")
		if err != nil {
			t.Fatal(err)
		}
		content, err := artifact.ParseSystem(head.Blobs[1].Data)
		if err != nil {
			t.Fatal(err)
		}
		team := content.Namespaces["team"]
		team.State = artifact.StateDeleted
		content.Namespaces["team"] = team
		layer, err := content.Encode()
		if err != nil {
			t.Fatal(err)
		}
		deleted, err := artifact.Pack(artifact.TypeSystemConfig, artifact.Record{
			Format: 1, Scope: artifact.ScopeSystem, Number: 4, Parent: head.Manifest.Digest, Time: "2100-01-01T00:00:00.000000Z", Writer: writer(t, store),
			Changes: []artifact.RecordChange{{Operation: artifact.StateDeleted, Name: "team"}},
		}, layer)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Raw().Put(context.Background(), registry.Push{Repository: system, Artifact: deleted}); err != nil {
			t.Fatal(err)
		}
		store.SetTag(system, "latest", deleted.Manifest.Digest)
		for _, tag := range []string{"latest", "r1", "r2"} {
			store.RemoveTag(prefix+"/catalogs/team", tag)
		}

		p = start(t, store)
		apply(t, p, "default", put("a", "small"))
		if _, err := p.Apply(context.Background(), ledger.Request{Namespace: "team", Changes: []ledger.Change{put("b", "small")}}); code(err) != ledger.CodeNamespaceDeleted {
			t.Errorf("a write: %v", err)
		}
		if all, err := p.Namespaces(); err != nil || len(all) != 2 || all[1].State != ledger.Gone {
			t.Errorf("Namespaces: %+v, %v", all, err)
		}
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

// A revision tag that was lost hides no later revision.
func TestLostRevisionTagHidesNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		second := apply(t, p, "default", put("a", "small")).Revision
		apply(t, p, "default", put("b", "small"))
		p.stop()
		store.SetTag(catalogRepo, "latest", second.Digest)
		store.RemoveTag(catalogRepo, "r2")
		p = start(t, store)
		if got := sizes(t, p, "default"); len(got) != 2 {
			t.Errorf("the namespace holds %v", got)
		}
	})
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

// An earlier ledger's commit that appears after we offered a child of our own
// is not adopted: ours may have been seen.
func TestAChildAfterOurOwnIsForeign(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		earlier := writer(t, store)
		head := apply(t, p, "default", put("a", "small")).Revision
		p.stop()
		p = start(t, store)
		store.SetFault(once(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.Commit && op.Repository == catalogRepo {
				forge(t, store, 3, head.Digest, earlier, "2100-01-01T00:00:00.000000Z")
				return faulty.NotStored
			}
			return nil
		}))
		if _, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("b", "small")}}); code(err) != ledger.CodeOutcomeUnknown {
			t.Errorf("answer: %v", err)
		}
		if _, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("c", "small")}}); code(err) != ledger.CodeForeignWriter {
			t.Errorf("the next one: %v", err)
		}
		store.SetTag(catalogRepo, "latest", head.Digest)
		time.Sleep(time.Minute)
		if got := sizes(t, p, "default"); len(got) != 2 || got["b"] == "" {
			t.Errorf("the namespace holds %v", got)
		}
		p.stop()
		inspect(t, store)
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
