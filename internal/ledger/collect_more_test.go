package ledger_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// What is about something goes with it and stays with it: by its subject, also
// in several layers, and by the tags that signers use. What a tag names that
// the ledger did not put stays.
func TestCollectAndWhatRefers(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store, keeping(artifact.Retention{Revisions: 2}))
		web := prefix + "/resources/default/web"
		var versions []ledger.Outcome
		var revisions []ledger.Revision
		for i := range 10 {
			r := apply(t, p, "default", put("web", []string{"small", "large"}[i%2]))
			versions, revisions = append(versions, r.Outcomes[0]), append(revisions, r.Revision)
		}
		signature := sign(t, store, web, versions[0].Digest)
		counter := sign(t, store, web, signature)
		named := sign(t, store, web, versions[1].Digest)
		store.SetTag(web, "audit", named)
		cosign := attach(t, store, web, descriptorOf(t, store, web, versions[9].Digest)) // whatever, by its tag
		store.SetTag(web, "sha256-"+versions[2].Digest.Encoded()+".sig", cosign)
		store.SetTag(web, "release-1", versions[3].Digest)
		store.SetTag(catalogRepo, "audited", revisions[4].Digest)
		kept := sign(t, store, catalogRepo, revisions[9].Digest)
		gone := sign(t, store, catalogRepo, revisions[5].Digest)
		time.Sleep(2 * time.Minute)

		planned, done := collect(t, p, "default", true), collect(t, p, "default", false)
		if done.Revisions != 8 || done.Versions != 7 || done.Referrers != 4 {
			t.Errorf("deleted %d revisions, %d versions and %d that refer to them, want 8, 7 and 4", done.Revisions, done.Versions, done.Referrers)
		}
		if planned.Revisions != done.Revisions || planned.Versions != done.Versions || planned.Referrers != done.Referrers || planned.Bytes != done.Bytes {
			t.Errorf("planned %+v, done %+v", planned, done)
		}
		for name, c := range map[string]struct {
			repo  string
			d     digest.Digest
			stays bool
		}{
			"a signature":                        {web, signature, false},
			"the signature of a signature":       {web, counter, false},
			"a signature with a tag of its own":  {web, named, true},
			"what that signs":                    {web, versions[1].Digest, false},
			"a signature by its tag":             {web, cosign, false},
			"a version with another tag":         {web, versions[3].Digest, true},
			"a revision with another tag":        {catalogRepo, revisions[4].Digest, true},
			"the signature of the head":          {catalogRepo, kept, true},
			"the signature of a thinned version": {catalogRepo, gone, false},
		} {
			_, err := store.Raw().Manifest(context.Background(), c.repo, c.d.String())
			if (err == nil) != c.stays {
				t.Errorf("%s: stays %v (%v)", name, err == nil, err)
			}
		}
		prove(t, store, "default").same(t, p, "default")
	})
}

// A latest that names another version than it should keeps that one, so that it
// is not deleted with it.
func TestCollectKeepsWhatLatestNames(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store, keeping(artifact.Retention{Revisions: 2}))
		first := apply(t, p, "default", put("web", "medium")).Outcomes[0]
		grow(t, p, 10)
		store.SetTag(prefix+"/resources/default/web", "latest", first.Digest)
		time.Sleep(2 * time.Minute)
		collect(t, p, "default", false)
		if d := tagged(t, store, prefix+"/resources/default/web", "latest"); d != first.Digest {
			t.Errorf("latest is %s", d)
		}
	})
}

// More than fits into one checkpoint goes into several, and one that is there
// from an attempt under another policy is in nobody's way.
func TestCollectIntoSeveralCheckpoints(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store, keeping(artifact.Retention{Revisions: 2}))
		p.FitCheckpoints(30)
		grow(t, p, 100) // up to r101
		time.Sleep(2 * time.Minute)
		before := prove(t, store, "default")
		// Tags are taken by what holds other revisions: in the middle, and last.
		for _, tag := range []string{"c60", "c99"} {
			store.SetTag(catalogRepo, tag, before.digests[100])
		}
		done := collect(t, p, "default", false)
		if done.Thinned != 98 || done.Revisions != 98 {
			t.Errorf("thinned to %d, %d revisions deleted; want 98, as 99 is taken", done.Thinned, done.Revisions)
		}
		for tag, want := range map[string]bool{"c30": true, "c59": true, "c89": true, "c98": true} {
			if _, err := store.Raw().Resolve(context.Background(), catalogRepo, tag); (err == nil) != want {
				t.Errorf("%s: %v", tag, err)
			}
		}
		after := proveSame(t, store, before)
		p.kill()
		p = start(t, store, keeping(artifact.Retention{Revisions: 2}))
		after.same(t, p, "default")

		// And the next time, on top of these.
		p.FitCheckpoints(7)
		grow(t, p, 20)
		time.Sleep(2 * time.Minute)
		collect(t, p, "default", false)
		if after = prove(t, store, "default"); after.thinned != 120 || after.digests[99] != before.digests[99] {
			t.Errorf("thinned to %d, want 120", after.thinned)
		}
		after.same(t, p, "default")
	})
}

// Checkpoints of an attempt that was interrupted, or that another build packed,
// are verified and used.
func TestCollectGoesOnWithACheckpoint(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store, keeping(artifact.Retention{Revisions: 2}))
		grow(t, p, 10) // up to r11
		time.Sleep(2 * time.Minute)
		store.SetFault(only(faulty.Commit, catalogRepo, "latest", faulty.Refused))
		if c, err := p.Collect(context.Background(), "default", false); err != nil || c.Err == nil || c.Revisions > 0 {
			t.Fatalf("%+v, %v", c, err)
		}
		store.SetFault(nil)
		first := tagged(t, store, catalogRepo, "c9")
		pushed := store.Count(faulty.PutManifest)
		collect(t, p, "default", false)
		if d := tagged(t, store, catalogRepo, "c9"); d != first {
			t.Errorf("c9 is %s now, it was %s", d, first)
		}
		if n := store.Count(faulty.PutManifest) - pushed; n != 2 { // the probe and the revision
			t.Errorf("%d manifests were pushed", n)
		}
		prove(t, store, "default").same(t, p, "default")
	})
}

// Nothing is deleted unless the checkpoint can be read back and the records
// agree with it.
func TestCollectDoesNotTrustADamagedHistory(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, store *faulty.Store){
		"a revision is gone": func(_ *testing.T, store *faulty.Store) { store.RemoveTag(catalogRepo, "r4") },
		"a revision is another one": func(t *testing.T, store *faulty.Store) {
			store.SetTag(catalogRepo, "r4", tagged(t, store, catalogRepo, "r5"))
		},
		"a kept revision is damaged":    func(t *testing.T, store *faulty.Store) { damageRecord(t, store, "r10") },
		"a thinned revision is damaged": func(t *testing.T, store *faulty.Store) { damageRecord(t, store, "r3") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				p := start(t, store, keeping(artifact.Retention{Revisions: 2}))
				grow(t, p, 10)
				time.Sleep(2 * time.Minute)
				p.stop()
				p = start(t, store, keeping(artifact.Retention{Revisions: 2})) // nothing of it is in memory
				damage(t, store)
				c, err := p.Collect(context.Background(), "default", false)
				if err != nil || c.Err == nil || c.Err.Code != ledger.CodeCorrupt || c.Revisions+c.Versions > 0 {
					t.Errorf("%+v, %v", c, err)
				}
				deleted := 0
				for _, op := range store.Ops() {
					if op.Kind == faulty.Delete {
						deleted++
					}
				}
				if deleted > 1 { // the probe
					t.Errorf("%d manifests were deleted", deleted)
				}
			})
		})
	}
}

func damageRecord(t *testing.T, store *faulty.Store, tag string) {
	t.Helper()
	a, err := store.Raw().Get(context.Background(), catalogRepo, tag)
	if err != nil {
		t.Fatal(err)
	}
	store.ReplaceBlob(catalogRepo, a.Blobs[0].Digest, []byte("rotten"))
}

// Who asks while a collection runs joins it; a policy that is changed meanwhile
// ends it; a stop interrupts it, and the next one goes on.
func TestCollectTogether(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		keep := func(n int64) {
			if err := p.SetRetention(context.Background(), "default", artifact.Retention{Revisions: n}, ledger.Author{}); err != nil {
				t.Fatal(err)
			}
		}
		keep(2)
		grow(t, p, 100)
		time.Sleep(2 * time.Minute)
		slow := func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.Delete {
				return faulty.Delay{For: time.Second}
			}
			return nil
		}
		store.SetFault(slow)
		var all sync.WaitGroup
		var began [5]time.Time
		for i := range began {
			all.Go(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				c, err := p.Collect(ctx, "default", false)
				if err != nil || !c.Ended.IsZero() || c.Err != nil {
					t.Errorf("while it runs: %+v, %v", c, err)
				}
				began[i] = c.Began
			})
		}
		all.Wait()
		for _, b := range began {
			if b != began[0] {
				t.Errorf("they began at %v", began)
			}
		}
		if c, err := p.Collection("default", false); err != nil || c.Revisions == 0 || c.Revisions >= 99 {
			t.Errorf("so far: %+v, %v", c, err)
		}
		keep(50)
		c, err := p.Collect(context.Background(), "default", false)
		if err != nil || c.Err == nil || c.Err.Code != ledger.CodePreconditionFailed {
			t.Errorf("after the policy was changed: %+v, %v", c, err)
		}
		keep(2)
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if c, err := p.Collect(ctx, "default", false); err != nil || !c.Ended.IsZero() {
			t.Errorf("%+v, %v", c, err)
		}
		stopping := time.Now()
		p.stop()
		if took := time.Since(stopping); took > 5*time.Second {
			t.Errorf("a stop took %v", took)
		}
		if c, err := p.Collection("default", false); err != nil || c.Err == nil || c.Err.Code != ledger.CodeNotReady {
			t.Errorf("interrupted: %+v, %v", c, err)
		}
		store.SetFault(nil)
		p = start(t, store)
		collect(t, p, "default", false)
		after := prove(t, store, "default")
		after.same(t, p, "default")
		for n := range after.revision {
			if n <= after.thinned {
				t.Errorf("r%d is left", n)
			}
		}
	})
}

// Writers wait for no more than one small group of deletions.
func TestWritersDoNotWaitForCollections(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store, keeping(artifact.Retention{Revisions: 2}))
		grow(t, p, 400)
		time.Sleep(2 * time.Minute)
		const latency = 10 * time.Millisecond
		store.SetFault(func(faulty.Op) faulty.Fault { return faulty.Delay{For: latency} })
		alone := time.Now()
		apply(t, p, "default", put("a", "small"))
		limit := time.Since(alone) + 3*latency // deletions take one, each a check of the claim before
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			collect(t, p, "default", false)
		}()
		for i := 0; ; i++ {
			select {
			case <-ended:
				if i < 20 {
					t.Errorf("only %d writes during the collection", i)
				}
				return
			default:
			}
			began := time.Now()
			apply(t, p, "default", put("a", []string{"large", "small"}[i%2]))
			if took := time.Since(began); took > limit+200*time.Millisecond {
				t.Errorf("write %d took %v, alone it takes no more than %v", i, took, limit)
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

// The background collects each namespace that has a policy, and has the
// registry free its space.
func TestCollectInTheBackground(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		freeing := &freeing{Registry: store}
		seen := &recorder{answered: map[ledger.Code][]time.Duration{}, spent: map[ledger.Phase][]time.Duration{}, repaired: map[ledger.Repair]int{}}
		p := start(t, store, func(o *ledger.Options) { o.Registry, o.CollectEvery, o.Observer = freeing, time.Hour, seen })
		apply(t, p, "team", put("a", "small"))
		grow(t, p, 60)
		if err := p.SetRetention(context.Background(), "default", artifact.Retention{Revisions: 20}, ledger.Author{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour)
		after := prove(t, store, "default")
		if after.thinned != 41 || after.revision[41] || !after.revision[42] {
			t.Errorf("thinned to %d, kept %v", after.thinned, after.revision)
		}
		if n := len(after.records); n != 62 {
			t.Errorf("the history of %d revisions grows by itself", n)
		}
		p.stop()
		runs := map[string]int{}
		for _, c := range seen.collected {
			if c.Err != nil {
				t.Errorf("%+v", c)
			}
			runs[c.Namespace]++
		}
		if runs["default"] < 2 || runs["team"] != runs["default"] || freeing.times < runs["default"] {
			t.Errorf("collections: %v; space was freed %d times", runs, freeing.times)
		}
	})
}

// freeing is a registry that frees space.
type freeing struct {
	registry.Registry
	times int
}

func (f *freeing) Collect(_ context.Context, grace time.Duration) (registry.Freed, error) {
	if grace < time.Minute {
		return registry.Freed{}, errors.New("what is being pushed would be lost")
	}
	f.times++
	return registry.Freed{Bytes: 5}, nil
}

// A ledger that was superseded deletes nothing.
func TestSupersededLedgerDeletesNothing(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store, keeping(artifact.Retention{Revisions: 2}))
		grow(t, p, 20)
		time.Sleep(2 * time.Minute)
		next := start(t, store)
		c, err := p.Collect(context.Background(), "default", false)
		if err == nil && (c.Err == nil || c.Err.Code != ledger.CodeSuperseded) || err != nil && code(err) != ledger.CodeSuperseded {
			t.Errorf("%+v, %v", c, err)
		}
		if after := prove(t, store, "default"); after.thinned > 0 || !after.revision[1] {
			t.Errorf("it thinned to %d", after.thinned)
		}
		next.stop()
	})
}
