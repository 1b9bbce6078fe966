package ledger_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/deploy/crd"
	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

const (
	bigRepo  = prefix + "/resources/default/big"
	goneRepo = prefix + "/resources/default/gone"
	newRepo  = prefix + "/resources/default/new"
)

// withHistory starts a ledger whose default namespace has, in revision 2, big
// and gone, and in revision 3 big in another size and new, gone being deleted.
func withHistory(t *testing.T, store *faulty.Store) (p *process, then, now ledger.Result) {
	t.Helper()
	p = start(t, store)
	then = apply(t, p, "default", put("big", "small"), put("gone", "small"))
	now = apply(t, p, "default", put("big", "large"), put("new", "small"), del("gone"))
	return p, then, now
}

func rollBack(p *process, to int64, change ...func(*ledger.Request)) (ledger.Result, error) {
	r := ledger.Request{Namespace: "default", Rollback: &ledger.Target{Revision: to}, Confirm: true, Actor: "ann", Reason: "it broke"}
	for _, f := range change {
		f(&r)
	}
	return p.Apply(context.Background(), r)
}

// layerOf is the digest of the layer of a revision of the default namespace.
func layerOf(t *testing.T, store *faulty.Store, tag string) digest.Digest {
	t.Helper()
	a, err := store.Raw().Get(context.Background(), catalogRepo, tag)
	if err != nil {
		t.Fatal(err)
	}
	return a.Blobs[1].Digest
}

func TestRollbackOfANamespace(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p, then, now := withHistory(t, store)
		versions := len(record(t, store, "r3").Changes)

		dry, err := rollBack(p, 2, func(r *ledger.Request) { r.DryRun, r.Confirm = true, false })
		if err != nil || dry.Revision != now.Revision {
			t.Fatalf("dry run: %+v, %v", dry.Revision, err)
		}
		back, err := rollBack(p, 2)
		if err != nil || back.Revision.Number != 4 {
			t.Fatalf("rollback: %+v, %v", back.Revision, err)
		}
		if got, want := layerOf(t, store, "r4"), layerOf(t, store, "r2"); got != want {
			t.Errorf("the layer is %s, that of revision 2 was %s", got, want)
		}
		changes := record(t, store, "r4").Changes
		if len(changes) != versions {
			t.Fatalf("changes %+v", changes)
		}
		for i, c := range changes {
			if c.Operation != "rollback" || c.Actor != "ann" || c.Reason != "it broke" || (c.Before == nil) != (c.Name == "gone") {
				t.Errorf("change %+v", c)
			}
			o := back.Outcomes[i]
			if o.Name != c.Name || o.Operation != ledger.RolledBack || o.Version.String() != c.After.Version || o.Digest != c.After.Digest {
				t.Errorf("%+v was answered as %+v", c, o)
			}
			if d := dry.Outcomes[i]; d.Operation != ledger.RolledBack || (d.Version == 0) != (c.Name == "new") || d.After != o.After && o.After.Digest != d.After.Digest {
				t.Errorf("the dry run said %+v", d)
			}
		}
		// What lives is what it was; what did not exist has a tombstone.
		for i, repo := range []string{bigRepo, goneRepo} {
			if d := tagged(t, store, repo, "latest"); d != then.Outcomes[i].Digest || back.Outcomes[i].Digest != d {
				t.Errorf("latest of %s is %s, in revision 2 it was %s", repo, d, then.Outcomes[i].Digest)
			}
		}
		if o := back.Outcomes[2]; o.After != nil || o.Digest != tagged(t, store, newRepo, "latest") || o.Digest != tagged(t, store, newRepo, o.Version.String()) {
			t.Errorf("new: %+v", o)
		}
		// A rollback can be rolled back.
		if _, err := rollBack(p, 3); err != nil {
			t.Fatal(err)
		}
		if got, want := layerOf(t, store, "r5"), layerOf(t, store, "r3"); got != want {
			t.Errorf("the layer is %s, that of revision 3 was %s", got, want)
		}
		// And what is so already, is not changed.
		for _, to := range []int64{3, 5} {
			same, err := rollBack(p, to)
			if err != nil || same.Revision.Number != 5 || len(same.Outcomes) != 2 ||
				slices.ContainsFunc(same.Outcomes, func(o ledger.Outcome) bool { return o.Operation != ledger.Unchanged }) {
				t.Errorf("rollback to what is: %+v, %v", same, err)
			}
		}
		p.stop()
		inspect(t, store)
		p = start(t, store)
		if got := sizes(t, p, "default"); !equal(got, map[string]string{"big": "large", "new": "small"}) {
			t.Errorf("after a restart: %v", got)
		}
	})
}

func TestRollbackToAMoment(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		born := time.Now()
		time.Sleep(time.Minute)
		p, then, now := withHistory(t, store)
		time.Sleep(time.Second) // its commits were faster than the clock
		to := func(at time.Time) (ledger.Result, error) {
			return rollBack(p, 0, func(r *ledger.Request) { r.Rollback.Time = at })
		}
		for _, at := range []time.Time{now.Revision.Time, time.Now(), time.Now().Add(time.Hour)} {
			if r, err := to(at); err != nil || r.Revision.Number != 3 || r.Outcomes[0].Operation != ledger.Unchanged {
				t.Errorf("to the present: %+v, %v", r, err)
			}
		}
		if _, err := to(born.Add(-time.Hour)); code(err) != ledger.CodeNotFound {
			t.Errorf("to before the namespace: %v", err)
		}
		if r, err := to(now.Revision.Time.Add(-time.Microsecond)); err != nil || r.Revision.Number != 4 {
			t.Errorf("to just before revision 3: %+v, %v", r.Revision, err)
		}
		if got, want := layerOf(t, store, "r4"), layerOf(t, store, "r2"); got != want {
			t.Errorf("the layer is %s, at %v it was %s", got, then.Revision.Time, want)
		}
	})
}

// A moment that has not passed when the request comes is not undone by what is
// committed until it is judged.
func TestRollbackToThePresentUndoesNothingThatComesBetween(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p, _, _ := withHistory(t, store)
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.Commit {
				return faulty.Delay{For: time.Second}
			}
			return nil
		})
		written := make(chan ledger.Result, 1)
		go func() { written <- apply(t, p, "default", put("between", "small")) }()
		time.Sleep(500 * time.Millisecond) // it is about to be committed
		r, err := rollBack(p, 0, func(r *ledger.Request) { r.Rollback.Time = time.Now() })
		<-written
		if err != nil || r.Revision.Number != 4 {
			t.Errorf("%+v, %v", r.Revision, err)
		}
		if _, _, err := p.Get("default", "between"); err != nil {
			t.Error(err)
		}
	})
}

func TestRollbackOfAResource(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p, then, now := withHistory(t, store)
		to := func(name string, v intent.Version, change ...func(*ledger.Change)) (ledger.Result, error) {
			c := ledger.Change{Name: name, Version: v}
			for _, f := range change {
				f(&c)
			}
			return p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{c}})
		}
		big, gone := then.Outcomes[0], then.Outcomes[1]
		wrong := func(c *ledger.Change) { c.IfMatch = big.Digest.String() }
		right := func(c *ledger.Change) { c.IfMatch = now.Outcomes[0].Digest.String() }
		if _, err := to("big", big.Version, wrong); code(err) != ledger.CodePreconditionFailed {
			t.Errorf("If-Match of another: %v", err)
		}
		r, err := to("big", big.Version, right)
		if o := r.Outcomes[0]; err != nil || r.Revision.Number != 4 || o.Operation != ledger.RolledBack || o.Digest != big.Digest || o.After.Spec.Size != "small" {
			t.Errorf("%+v, %v", r, err)
		}
		if d := tagged(t, store, bigRepo, "latest"); d != big.Digest {
			t.Errorf("latest is %s, want %s", d, big.Digest)
		}
		if r, err := to("big", big.Version); err != nil || r.Revision.Number != 4 || r.Outcomes[0].Operation != ledger.Unchanged {
			t.Errorf("again: %+v, %v", r, err)
		}
		if r, err := to("gone", gone.Version); err != nil || r.Outcomes[0].Before != nil || r.Outcomes[0].Digest != gone.Digest {
			t.Errorf("what was deleted: %+v, %v", r, err)
		}
		if got := sizes(t, p, "default"); !equal(got, map[string]string{"big": "small", "gone": "small", "new": "small"}) {
			t.Errorf("the namespace holds %v", got)
		}
		tombstone := now.Outcomes[slices.IndexFunc(now.Outcomes, func(o ledger.Outcome) bool { return o.Name == "gone" })].Version
		if _, err := to("gone", tombstone); code(err) != ledger.CodeInvalid || !strings.Contains(err.Error(), "delete it") {
			t.Errorf("to a tombstone: %v", err)
		}
		undone, err := rollBack(p, 2) // new did not exist
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to("new", undone.Outcomes[2].Version); code(err) != ledger.CodeInvalid {
			t.Errorf("to the tombstone of a rollback: %v", err)
		}
		for _, v := range []intent.Version{1, big.Version - 1, big.Version + 1, gone.Version, intent.Version(time.Now().Add(time.Hour).UnixMicro())} {
			if _, err := to("big", v); code(err) != ledger.CodeNotFound {
				t.Errorf("to %s: %v", v, err)
			}
		}
		if _, err := to("nobody", big.Version); code(err) != ledger.CodeNotFound {
			t.Errorf("of a resource that never was: %v", err)
		}
		if _, err := p.Apply(context.Background(), ledger.Request{Namespace: "nowhere", Changes: []ledger.Change{{Name: "big", Version: big.Version}}}); code(err) != ledger.CodeNamespaceNotFound {
			t.Errorf("in no namespace: %v", err)
		}
		p.stop()
		inspect(t, store)
	})
}

func TestRollbackIsRefused(t *testing.T) {
	t.Parallel()
	unconfirmed := func(r *ledger.Request) { r.Confirm = false }
	for name, tc := range map[string]struct {
		to     int64
		change func(*ledger.Request)
		want   ledger.Code
	}{
		"what would empty the namespace":  {1, unconfirmed, ledger.CodeConfirm},
		"a revision to come":              {4, nil, ledger.CodeNotFound},
		"a revision before the first":     {-1, nil, ledger.CodeNotFound},
		"a namespace that does not exist": {1, func(r *ledger.Request) { r.Namespace = "nowhere" }, ledger.CodeNamespaceNotFound},
		"together with changes":           {2, func(r *ledger.Request) { r.Changes = []ledger.Change{put("x", "small")} }, ledger.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				p, _, now := withHistory(t, store)
				if tc.change == nil {
					tc.change = func(*ledger.Request) {}
				}
				if _, err := rollBack(p, tc.to, tc.change); code(err) != tc.want {
					t.Errorf("%v, want %s", err, tc.want)
				}
				if s, err := p.List("default"); err != nil || s.Revision != now.Revision {
					t.Errorf("it changed something: %+v, %v", s.Revision, err)
				}
			})
		})
	}
}

func TestRollbackKeepsTheLimits(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		apply(t, p, "default", put("a", "small"), put("b", "small"), put("c", "small"))
		apply(t, p, "default", del("a"), del("b"))
		p.stop()
		p = start(t, store, func(o *ledger.Options) { o.MaxResources = 2 })
		if _, err := rollBack(p, 2); code(err) != ledger.CodeLimit {
			t.Errorf("%v", err)
		}
	})
}

// What is not in the registry any more cannot come back; what is left of it can.
func TestRollbackToWhatWasThinned(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p, then, now := withHistory(t, store)
		apply(t, p, "default", put("big", "medium"))
		p.stop()
		thin(t, store, 2, 5)
		if err := store.Raw().Delete(context.Background(), bigRepo, then.Outcomes[0].Digest); err != nil {
			t.Fatal(err)
		}
		p = start(t, store)
		for _, to := range []func(*ledger.Request){
			func(*ledger.Request) {},
			func(r *ledger.Request) { r.Rollback = &ledger.Target{Time: then.Revision.Time} },
			func(r *ledger.Request) {
				r.Rollback, r.Changes = nil, []ledger.Change{{Name: "big", Version: then.Outcomes[0].Version}}
			},
		} {
			if _, err := rollBack(p, 2, to); code(err) != ledger.CodeRevisionExpired {
				t.Errorf("%v", err)
			}
		}
		if r, err := rollBack(p, 3); err != nil || r.Outcomes[0].Digest != now.Outcomes[0].Digest {
			t.Errorf("to a revision that is kept: %+v, %v", r, err)
		}
		gone := ledger.Request{Namespace: "default", Changes: []ledger.Change{{Name: "gone", Version: then.Outcomes[1].Version}}}
		if r, err := p.Apply(context.Background(), gone); err != nil || r.Outcomes[0].Digest != then.Outcomes[1].Digest {
			t.Errorf("to a version that is kept: %+v, %v", r, err)
		}
	})
}

// thin makes the default namespace, whose head is revision next-1, one whose
// revisions up to last lie in a checkpoint that revision next names.
func thin(t *testing.T, store *faulty.Store, last, next int64) {
	t.Helper()
	raw, ctx := store.Raw(), context.Background()
	revisions := chain(t, raw, catalogRepo, artifact.TypeFluxConfig, artifact.TypeFluxContent)
	var thinned []artifact.Thinned
	for _, r := range revisions[:last] {
		thinned = append(thinned, artifact.Thinned{Manifest: r.Manifest, Record: r.Record})
	}
	c, err := artifact.PackCheckpoint(nil, thinned)
	if err != nil {
		t.Fatal(err)
	}
	head := revisions[next-2]
	ref := artifact.CheckpointRef{Number: last, Digest: c.Manifest.Digest}
	record := head.Record
	record.Number, record.Parent, record.Changes, record.Checkpoint = next, head.Manifest.Digest, []artifact.RecordChange{}, &ref
	record.Time = "2001-01-01T00:00:00.000000Z"
	a, err := artifact.Pack(artifact.TypeFluxConfig, record, head.Layer)
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Put(ctx, registry.Push{Repository: catalogRepo, Artifact: c}, registry.Push{Repository: catalogRepo, Artifact: a}); err != nil {
		t.Fatal(err)
	}
	store.SetTag(catalogRepo, "latest", a.Manifest.Digest)
	store.SetTag(catalogRepo, artifact.RevisionTag(next), a.Manifest.Digest)
	for _, r := range revisions[:last] {
		if err := raw.Delete(ctx, catalogRepo, r.Manifest.Digest); err != nil {
			t.Fatal(err)
		}
	}
}

// Artifacts of versions may have been collected while their revision is kept:
// they are pushed again, and tagged.
func TestRollbackBringsArtifactsBack(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p, then, _ := withHistory(t, store)
		gone := then.Outcomes[1]
		if err := store.Raw().Delete(context.Background(), goneRepo, gone.Digest); err != nil {
			t.Fatal(err)
		}
		if _, err := rollBack(p, 2); err != nil {
			t.Fatal(err)
		}
		for _, tag := range []string{"latest", gone.Version.String()} {
			if d := tagged(t, store, goneRepo, tag); d != gone.Digest {
				t.Errorf("%s is %s, want %s", tag, d, gone.Digest)
			}
		}
		p.stop()
		inspect(t, store)
	})
}

// The schema may have become narrower since: what Kubernetes would refuse now
// does not come back, and stays as it is if it is there.
func TestRollbackKeepsToTheSchema(t *testing.T) {
	t.Parallel()
	const allowed = `enum: [small, medium, large]`
	if !strings.Contains(string(crd.PlatformResource), allowed) {
		t.Fatalf("the schema of this test does not know the definition's sizes")
	}
	narrow, err := intent.NewSchema([]byte(strings.Replace(string(crd.PlatformResource), allowed, `enum: [medium, large]`, 1)))
	if err != nil {
		t.Fatal(err)
	}
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p, then, _ := withHistory(t, store)
		p.stop()
		p = start(t, store, func(o *ledger.Options) { o.Schema = narrow })
		for _, dry := range []bool{false, true} {
			_, err := rollBack(p, 2, func(r *ledger.Request) { r.DryRun = dry })
			if code(err) != ledger.CodeInvalid || !strings.Contains(err.Error(), "big") || !strings.Contains(err.Error(), "gone") || !strings.Contains(err.Error(), "/spec/size") {
				t.Errorf("%v", err)
			}
		}
		r := ledger.Request{Namespace: "default", Changes: []ledger.Change{{Name: "big", Version: then.Outcomes[0].Version}}}
		if _, err := p.Apply(context.Background(), r); code(err) != ledger.CodeInvalid || !strings.Contains(err.Error(), "big") {
			t.Errorf("%v", err)
		}
		apply(t, p, "default", put("big", "medium"))
		if _, err := rollBack(p, 3); err != nil { // new is small, and stays so
			t.Errorf("%v", err)
		}
		p.stop()
		inspect(t, store)
	})
}

// Clients write while the namespace is rolled back: what is acknowledged after
// it stays, what was acknowledged before it is undone, and nothing is half so.
func TestWritesDuringARollback(t *testing.T) {
	t.Parallel()
	store := faulty.New()
	t.Cleanup(store.Close)
	p := start(t, store, func(o *ledger.Options) { o.Exclusive, o.Fresh = true, true })
	apply(t, p, "default", put("base", "small"))

	const clients, writes = 8, 12
	type written struct {
		name     string
		revision int64
	}
	told := make(chan written, clients*writes)
	for c := range clients {
		go func() {
			for i := range writes {
				name := fmt.Sprintf("c%d-%d", c, i)
				r, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put(name, "small")}})
				if err != nil {
					t.Error(err)
				}
				told <- written{name, r.Revision.Number}
			}
		}()
	}
	var undone int64
	for range clients * writes / 4 {
		<-told
	}
	r, err := rollBack(p, 2)
	if err != nil {
		t.Fatal(err)
	}
	undone = r.Revision.Number
	for range clients*writes - clients*writes/4 {
		w := <-told
		_, _, err := p.Get("default", w.name)
		if w.revision == undone {
			t.Errorf("%s shares the rollback's revision", w.name)
		}
		if stays := w.revision > undone; stays != (err == nil) {
			t.Errorf("%s of revision %d, the rollback is revision %d: %v", w.name, w.revision, undone, err)
		}
	}
	p.stop()
	inspect(t, store)
}

// A rollback that was committed and not confirmed is taken over by the next
// ledger as what it is.
func TestRollbackOfAnEarlierLedgerIsAdopted(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		first, then, _ := withHistory(t, store)
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.Commit && op.Repository == catalogRepo {
				return faulty.StoredLate{After: time.Minute} // when the next one has read the state
			}
			return nil
		})
		if _, err := rollBack(first, 2); code(err) != ledger.CodeOutcomeUnknown {
			t.Fatalf("rollback: %v", err)
		}
		store.SetFault(nil)
		first.kill()
		second := start(t, store)
		if got := sizes(t, second, "default"); !equal(got, map[string]string{"big": "large", "new": "small"}) {
			t.Errorf("before it arrives, the namespace holds %v", got)
		}
		time.Sleep(3 * time.Minute)
		if got := sizes(t, second, "default"); !equal(got, map[string]string{"big": "small", "gone": "small"}) {
			t.Errorf("the namespace holds %v", got)
		}
		if d := tagged(t, store, bigRepo, "latest"); d != then.Outcomes[0].Digest {
			t.Errorf("latest of big is %s", d)
		}
		apply(t, second, "default", put("next", "small"))
		second.stop()
		inspect(t, store)
		if c := record(t, store, "r4").Changes; c[0].Operation != "rollback" {
			t.Errorf("revision 4 is not the rollback: %+v", c)
		}
	})
}
