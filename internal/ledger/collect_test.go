package ledger_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// keeping sets the default retention.
func keeping(r artifact.Retention) func(*ledger.Options) {
	return func(o *ledger.Options) { o.Retention = r }
}

func collect(t testing.TB, p *process, namespace string, dryRun bool) ledger.Collection {
	t.Helper()
	c, err := p.Collect(context.Background(), namespace, dryRun)
	if err != nil {
		t.Fatalf("Collect: %v", err)
	}
	if c.Err != nil {
		t.Fatalf("Collect ended with %v", c.Err)
	}
	if c.Ended.IsZero() {
		t.Fatal("Collect returned before its end")
	}
	return c
}

// grow makes n revisions of resource web, a moment apart.
func grow(t testing.TB, p *process, n int) {
	t.Helper()
	for i := range n {
		apply(t, p, "default", ledger.Change{Name: "web", Spec: intent.Spec{Type: "vm", Size: "small", Region: fmt.Sprint(time.Now().UnixNano(), i)}})
		time.Sleep(time.Second)
	}
}

func TestCollectThinsAndKeeps(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store, keeping(artifact.Retention{Revisions: 3}))
		apply(t, p, "default", put("old", "small"), put("gone", "small"))
		grow(t, p, 10) // r3 to r12
		apply(t, p, "default", ledger.Change{Name: "gone", Delete: true})
		time.Sleep(time.Second)
		grow(t, p, 5) // r14 to r18
		time.Sleep(2 * time.Minute)

		before := prove(t, store, "default")
		planned := collect(t, p, "default", true)
		if n := store.Count(faulty.Delete); n != 0 {
			t.Errorf("a dry run sent %d deletions", n)
		}
		if again := prove(t, store, "default"); len(again.records) != len(before.records) || len(again.versions) != len(before.versions) {
			t.Error("a dry run changed something")
		}
		done := collect(t, p, "default", false)
		if done.Thinned != 15 || done.Revisions != 15 || planned.Revisions != 15 || planned.Thinned != 15 {
			t.Errorf("thinned to %d, deleted %d revisions, planned %d up to %d; want 15 of all", done.Thinned, done.Revisions, planned.Revisions, planned.Thinned)
		}
		// 15 of web less 4 that r16 to r18 have, or are among the newest 3; gone and
		// its tombstone; old stays as it is live.
		if done.Versions != 14 || planned.Versions != 14 {
			t.Errorf("deleted %d versions, planned %d, want 14", done.Versions, planned.Versions)
		}
		if done.Bytes == 0 || done.Bytes != planned.Bytes {
			t.Errorf("deleted %d bytes, planned %d", done.Bytes, planned.Bytes)
		}
		after := prove(t, store, "default")
		if after.thinned != 15 || len(after.records) != 19 || len(after.records[18].Changes) != 0 {
			t.Errorf("the chain is thinned to %d and has %d revisions", after.thinned, len(after.records))
		}
		if len(after.versions) != len(before.versions)-14 || len(after.live) != 2 {
			t.Errorf("%d versions, %d live", len(after.versions), len(after.live))
		}
		if tags, _ := store.Raw().Tags(context.Background(), prefix+"/resources/default/gone", "", 10); len(tags) != 0 {
			t.Errorf("what is deleted still has the tags %v", tags)
		}
		after.same(t, p, "default")

		// Nothing to do makes no revision.
		again := collect(t, p, "default", false)
		if again.Revisions+again.Versions != 0 || again.Thinned != 15 {
			t.Errorf("the second collection did %+v", again)
		}
		if len(prove(t, store, "default").records) != 19 {
			t.Error("the second collection made a revision")
		}
		p.kill()
		p = start(t, store, keeping(artifact.Retention{Revisions: 3}))
		prove(t, store, "default").same(t, p, "default")
		grow(t, p, 8)
		time.Sleep(2 * time.Minute)
		if twice := collect(t, p, "default", false); twice.Revisions != 9 || twice.Thinned != 24 {
			t.Errorf("the third collection did %+v", twice)
		}
		prove(t, store, "default").same(t, p, "default")
		p.stop()
	})
}

func TestCollectKeepsByTime(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store, keeping(artifact.Retention{Revisions: 2, Seconds: 3600, TombstonesSeconds: 7200}))
		apply(t, p, "default", put("gone", "small"))
		apply(t, p, "default", ledger.Change{Name: "gone", Delete: true})
		grow(t, p, 10) // r4 to r13
		if c := collect(t, p, "default", false); c.Revisions+c.Versions != 0 {
			t.Errorf("what is young was deleted: %+v", c)
		}
		time.Sleep(30 * time.Minute)
		grow(t, p, 10) // r14 to r23
		time.Sleep(31 * time.Minute)
		// r13 was in force until half an hour ago.
		if c := collect(t, p, "default", false); c.Thinned != 12 {
			t.Errorf("thinned to %d, want 12", c.Thinned)
		}
		if _, err := p.ListAt(context.Background(), "default", 13); err != nil {
			t.Errorf("what was in force within the hour: %v", err)
		}
		tags := func() int {
			found, err := store.Raw().Tags(context.Background(), prefix+"/resources/default/gone", "", 10)
			if err != nil {
				t.Fatal(err)
			}
			return len(found)
		}
		if n := tags(); n != 3 { // two versions and latest
			t.Errorf("the tombstone and the version before it should be kept for two hours, there are %d tags", n)
		}
		time.Sleep(2 * time.Hour)
		collect(t, p, "default", false)
		if n := tags(); n != 0 {
			t.Errorf("after two hours there are %d tags of what was deleted", n)
		}
		prove(t, store, "default").same(t, p, "default")
	})
}

// Nothing is deleted without a policy, and what is younger than a minute is
// kept by all.
func TestCollectKeepsEverythingByDefault(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		grow(t, p, 20)
		time.Sleep(time.Hour)
		writes := len(store.Ops())
		if c := collect(t, p, "default", false); c.Revisions+c.Versions != 0 || c.Thinned != 0 {
			t.Errorf("%+v", c)
		}
		if n := len(store.Ops()) - writes; n != 0 {
			t.Errorf("%d requests to keep everything", n)
		}
		if err := p.SetRetention(context.Background(), "default", artifact.Retention{Revisions: 2}, ledger.Author{Actor: "ann", Reason: "space"}); err != nil {
			t.Fatal(err)
		}
		r, err := p.Retention("default")
		if err != nil || r.Own.Revisions != 2 || r.Effective != r.Own {
			t.Errorf("%+v, %v", r, err)
		}
		grow(t, p, 5)
		if c := collect(t, p, "default", false); c.Thinned != 20 { // r21 was replaced 5 s ago
			t.Errorf("thinned to %d, want 20", c.Thinned)
		}
		p.stop()
		p = start(t, store)
		if r, err := p.Retention("default"); err != nil || r.Own.Revisions != 2 {
			t.Errorf("after a restart: %+v, %v", r, err)
		}
		if err := p.SetRetention(context.Background(), "default", artifact.Retention{}, ledger.Author{}); err != nil {
			t.Fatal(err)
		}
		if err := p.SetRetention(context.Background(), "default", artifact.Retention{Revisions: 1}, ledger.Author{}); code(err) != ledger.CodeInvalid {
			t.Errorf("one revision: %v", err)
		}
		if err := p.SetRetention(context.Background(), "other", artifact.Retention{}, ledger.Author{}); code(err) != ledger.CodeNamespaceNotFound {
			t.Errorf("no such namespace: %v", err)
		}
		system := chain(t, store.Raw(), prefix+"/system", artifact.TypeSystemConfig, artifact.TypeSystem)
		if c := system[1].Record.Changes[0]; len(system) != 3 || c.Operation != artifact.OperationRetention || c.Actor != "ann" || c.Reason != "space" {
			t.Errorf("%d revisions of the system catalog, the second of %+v", len(system), c)
		}
		p.stop()
	})
}

// A rollback brings back what a collection has found out of reach already: it
// stays, or is put again.
func TestRollbackDuringACollection(t *testing.T) {
	t.Parallel()
	for _, when := range []string{"before its first deletion", "between two deletions", "in the queue", "and changed again"} {
		t.Run(when, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				p := start(t, store, keeping(artifact.Retention{Revisions: 2}))
				first := apply(t, p, "default", put("db", "small")).Outcomes[0]
				for _, size := range []string{"large", "medium", "large"} { // so that it is none of the newest
					apply(t, p, "default", put("db", size))
				}
				grow(t, p, 20)
				time.Sleep(2 * time.Minute)
				rollback := make(chan error, 1)
				var mu sync.Mutex
				deletions := 0
				store.SetFault(func(op faulty.Op) faulty.Fault {
					mu.Lock()
					defer mu.Unlock()
					if op.Kind == faulty.Delete {
						deletions++
					}
					wanted := map[string]int{"before its first deletion": 2, "between two deletions": 12, "in the queue": 2, "and changed again": 2}[when] // the first is the probe
					if op.Kind == faulty.Delete && deletions == wanted {
						go func() {
							_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{{Name: "db", Version: first.Version}}})
							if when == "and changed again" {
								apply(t, p, "default", put("db", "large")) // a kept revision has it nevertheless
							}
							rollback <- err
						}()
						if when == "in the queue" {
							return faulty.Delay{For: 2 * time.Second}
						}
					}
					return nil
				})
				collect(t, p, "default", false)
				err := <-rollback
				store.SetFault(nil)
				if code(err) == ledger.CodeRevisionExpired {
					prove(t, store, "default").same(t, p, "default")
					return // it came too late
				}
				if err != nil {
					t.Fatalf("the rollback: %v", err)
				}
				e, _, err := p.Get("default", "db")
				want := first.Digest
				if when == "and changed again" {
					want = e.Digest
				}
				if err != nil || e.Digest != want {
					t.Errorf("after the rollback, db is %v (%v)", e, err)
				}
				if after := prove(t, store, "default"); after.live["db"] != want.String() {
					t.Errorf("the registry says %v", after.live)
				}
				p.stop()
			})
		})
	}
}

// A deletion that was not answered can be carried out late. What it is to
// delete is not put again until then.
func TestRollbackAfterAnUnansweredDeletion(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store, keeping(artifact.Retention{Revisions: 2}))
		first := apply(t, p, "default", put("db", "small")).Outcomes[0]
		for range 5 {
			apply(t, p, "default", put("db", "large"))
			apply(t, p, "default", put("db", "medium"))
		}
		time.Sleep(2 * time.Minute)
		rollback := ledger.Request{Namespace: "default", Changes: []ledger.Change{{Name: "db", Version: first.Version}}}
		store.SetFault(once(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.Delete && op.Digest == first.Digest {
				return faulty.StoredLate{After: 8 * time.Second}
			}
			return nil
		}))
		c, err := p.Collect(context.Background(), "default", false)
		if err != nil || c.Err == nil || c.Err.Code != ledger.CodeRegistryUnavailable {
			t.Fatalf("%+v, %v", c, err)
		}
		if _, err := p.Apply(context.Background(), rollback); code(err) != ledger.CodeRegistryUnavailable {
			t.Fatalf("a rollback to what may be deleted late: %v", err)
		}
		apply(t, p, "default", put("web", "small")) // others need not wait
		time.Sleep(7 * time.Second)
		if _, err := p.Apply(context.Background(), rollback); code(err) != ledger.CodeRegistryUnavailable {
			t.Fatalf("a rollback to what may be deleted late: %v", err)
		}
		time.Sleep(8 * time.Second) // it was carried out meanwhile
		if _, err := p.Apply(context.Background(), rollback); code(err) != ledger.CodeRevisionExpired {
			t.Fatalf("a rollback to what is deleted: %v", err)
		}
		collect(t, p, "default", false)
		prove(t, store, "default").same(t, p, "default")
	})
}

func TestCollectWithoutDeletion(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]error{"unsupported": registry.ErrUnsupported, "refused": registry.ErrRefused} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				p := start(t, undeletable{store, fault}, keeping(artifact.Retention{Revisions: 2}))
				grow(t, p, 10)
				time.Sleep(2 * time.Minute)
				before := prove(t, store, "default")
				c, err := p.Collect(context.Background(), "default", false)
				if err != nil || c.Err == nil || c.Err.Code != ledger.CodeUnsupported || c.Revisions != 0 {
					t.Fatalf("%+v, %v", c, err)
				}
				if after := prove(t, store, "default"); len(after.records) != len(before.records) || after.thinned != 0 {
					t.Error("half of it was done")
				}
				if c := collect(t, p, "default", true); c.Revisions != 9 {
					t.Errorf("a dry run says %+v", c)
				}
			})
		})
	}
}

// undeletable is a registry that does not delete.
type undeletable struct {
	*faulty.Store
	err error
}

func (u undeletable) Delete(context.Context, string, digest.Digest) error { return u.err }

// What a cluster runs stays, as long as it does.
func TestCollectKeepsWhatRuns(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		cluster(t, store, "prod")
		p := start(t, store, keeping(artifact.Retention{Revisions: 2}))
		grow(t, p, 4) // r2 to r5
		five, _ := p.List("default")
		deployed(t, store, "prod", "default", five.Revision)
		grow(t, p, 10)
		time.Sleep(2 * time.Minute)
		c := collect(t, p, "default", false)
		if c.Thinned != 13 || c.Revisions != 12 || c.InUse != 1 {
			t.Errorf("%+v", c)
		}
		after := prove(t, store, "default")
		if !after.revision[5] || after.revision[4] || after.revision[6] {
			t.Errorf("kept are %v", after.revision)
		}
		s, err := p.ListAt(context.Background(), "default", 5)
		if err != nil || s.Entries[0].Digest != five.Entries[0].Digest {
			t.Errorf("what runs cannot be read: %v", err)
		}
		if _, err := store.Raw().Get(context.Background(), prefix+"/resources/default/web", five.Entries[0].Version.String()); err != nil {
			t.Errorf("a version in what runs: %v", err)
		}
		now, _ := p.List("default")
		deployed(t, store, "prod", "default", now.Revision)
		collect(t, p, "default", false)
		if after = prove(t, store, "default"); after.revision[5] {
			t.Error("what ran before is kept")
		}
		after.same(t, p, "default")
	})
}

// Deployment records that cannot be read keep everything.
func TestCollectNeedsToKnowWhatRuns(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		cluster(t, store, "prod")
		p := start(t, store, keeping(artifact.Retention{Revisions: 2}))
		grow(t, p, 10)
		now, _ := p.List("default")
		deployed(t, store, "prod", "default", now.Revision)
		time.Sleep(2 * time.Minute)
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Repository == prefix+"/clusters/prod" && op.Kind == faulty.Get {
				return faulty.NotFound
			}
			return nil
		})
		c, err := p.Collect(context.Background(), "default", false)
		if err != nil || c.Err == nil || c.Revisions+c.Versions != 0 {
			t.Errorf("%+v, %v", c, err)
		}
		if after := prove(t, store, "default"); !after.revision[1] {
			t.Error("something was deleted")
		}
	})
}
