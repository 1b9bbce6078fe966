package ledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

const catalogRepo = prefix + "/catalog"

func tagged(t *testing.T, store *faulty.Store, repo, tag string) digest.Digest {
	t.Helper()
	d, err := store.Raw().Resolve(context.Background(), repo, tag)
	if err != nil {
		t.Fatalf("%s of %s: %v", tag, repo, err)
	}
	return d.Digest
}

// forge pushes a revision that a ledger with the claim writer could commit on
// parent, changing nothing, and makes latest name it.
func forge(t *testing.T, store *faulty.Store, number int64, parent digest.Digest, writer, when string) digest.Digest {
	t.Helper()
	return forgeWith(t, store, parent.String(), number, parent, writer, when)
}

// forgeWith is forge with the content of another revision.
func forgeWith(t *testing.T, store *faulty.Store, content string, number int64, parent digest.Digest, writer, when string) digest.Digest {
	t.Helper()
	ctx := context.Background()
	from, err := store.Raw().Get(ctx, catalogRepo, content)
	if err != nil {
		t.Fatal(err)
	}
	a, err := artifact.Pack(artifact.TypeFluxConfig, artifact.Record{
		Format: 1, Scope: artifact.ScopeNamespace("default"), Number: number, Parent: parent,
		Time: when, Writer: writer, Changes: []artifact.RecordChange{},
	}, from.Blobs[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Raw().Put(ctx, registry.Push{Repository: catalogRepo, Artifact: a}); err != nil {
		t.Fatal(err)
	}
	store.SetTag(catalogRepo, "latest", a.Manifest.Digest)
	return a.Manifest.Digest
}

// record returns the commit record of a revision of the default namespace.
func record(t *testing.T, store *faulty.Store, tag string) artifact.Record {
	t.Helper()
	a, err := store.Raw().Get(context.Background(), catalogRepo, tag)
	if err != nil {
		t.Fatal(err)
	}
	rev, err := artifact.Unpack(artifact.TypeFluxConfig, artifact.TypeFluxContent, a)
	if err != nil {
		t.Fatal(err)
	}
	return rev.Record
}

func writer(t *testing.T, store *faulty.Store) string {
	t.Helper()
	a, err := store.Raw().Get(context.Background(), prefix+"/writer", "latest")
	if err != nil {
		t.Fatal(err)
	}
	c, err := artifact.UnpackClaim(a)
	if err != nil {
		t.Fatal(err)
	}
	return c.ID
}

func TestLatestThatFellBehindIsPutForward(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		apply(t, p, "default", put("a", "small"))
		head := apply(t, p, "default", put("b", "small")).Revision

		// An ancestor, without waiting for a write.
		store.SetTag(catalogRepo, "latest", tagged(t, store, catalogRepo, "r2"))
		time.Sleep(2 * time.Minute)
		if d := tagged(t, store, catalogRepo, "latest"); d != head.Digest {
			t.Errorf("latest is still behind: %s", d)
		}
		// An ancestor, found by a write: never built on.
		store.SetTag(catalogRepo, "latest", tagged(t, store, catalogRepo, "r1"))
		if r := apply(t, p, "default", put("c", "small")); r.Revision.Number != 4 {
			t.Errorf("revision %d, want 4", r.Revision.Number)
		}
		// An abandoned sibling of r3, that an earlier claim wrote.
		forge(t, store, 3, tagged(t, store, catalogRepo, "r2"), "w1-00000000000000ab", "2000-01-01T00:00:59.000000Z")
		time.Sleep(2 * time.Minute)
		if r := apply(t, p, "default", put("d", "small")); r.Revision.Number != 5 {
			t.Errorf("revision %d, want 5", r.Revision.Number)
		}
		// The head's revision tag is lost.
		store.RemoveTag(catalogRepo, "r5")
		apply(t, p, "default", put("e", "small"))
		p.stop()
		if live := inspect(t, store)["default"]; len(live) != 5 {
			t.Errorf("%d resources, want 5", len(live))
		}
	})
}

func TestStartDecidesAboutLatest(t *testing.T) {
	t.Parallel()
	late := "2100-01-01T00:00:00.000000Z"
	for name, tc := range map[string]struct {
		damage func(t *testing.T, store *faulty.Store)
		want   int64       // revision of the head afterwards
		code   ledger.Code // or what writes are refused with
	}{
		"an abandoned sibling of the last revision": {want: 3, damage: func(t *testing.T, s *faulty.Store) {
			forge(t, s, 3, tagged(t, s, catalogRepo, "r2"), "w1-00000000000000ab", late)
		}},
		"an ancestor": {want: 3, damage: func(t *testing.T, s *faulty.Store) {
			s.SetTag(catalogRepo, "latest", tagged(t, s, catalogRepo, "r1"))
		}},
		"a committed child without its tags": {want: 4, damage: func(t *testing.T, s *faulty.Store) {
			forge(t, s, 4, tagged(t, s, catalogRepo, "r3"), writer(t, s), late)
		}},
		"a child that lost resources without saying so": {code: ledger.CodeCorrupt, damage: func(t *testing.T, s *faulty.Store) {
			forgeWith(t, s, "r1", 4, tagged(t, s, catalogRepo, "r3"), writer(t, s), late)
		}},
		"a child that is not later than its parent": {code: ledger.CodeCorrupt, damage: func(t *testing.T, s *faulty.Store) {
			forge(t, s, 4, tagged(t, s, catalogRepo, "r3"), writer(t, s), record(t, s, "r3").Time)
		}},
		"a revision tag that names a child of another one": {code: ledger.CodeCorrupt, damage: func(t *testing.T, s *faulty.Store) {
			head := tagged(t, s, catalogRepo, "latest")
			s.SetTag(catalogRepo, "r4", forge(t, s, 4, tagged(t, s, catalogRepo, "r2"), writer(t, s), late))
			s.SetTag(catalogRepo, "latest", head)
		}},
		"a child of an ancestor": {want: 3, damage: func(t *testing.T, s *faulty.Store) {
			forge(t, s, 2, tagged(t, s, catalogRepo, "r1"), "w1-00000000000000ab", late)
		}},
		"a revision whose parent the chain lacks": {code: ledger.CodeForeignWriter, damage: func(t *testing.T, s *faulty.Store) {
			forge(t, s, 4, tagged(t, s, catalogRepo, "r2"), writer(t, s), late)
		}},
		"a revision from far ahead": {code: ledger.CodeForeignWriter, damage: func(t *testing.T, s *faulty.Store) {
			forge(t, s, 40, tagged(t, s, catalogRepo, "r3"), writer(t, s), late)
		}},
		"something else than a revision": {code: ledger.CodeForeignWriter, damage: func(t *testing.T, s *faulty.Store) {
			s.SetTag(catalogRepo, "latest", tagged(t, s, prefix+"/resources/default/a", "latest"))
			a, err := s.Raw().Get(context.Background(), prefix+"/resources/default/a", "latest")
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Raw().Put(context.Background(), registry.Push{Repository: catalogRepo, Artifact: a}); err != nil {
				t.Fatal(err)
			}
		}},
		"a revision tag that names another revision": {code: ledger.CodeCorrupt, damage: func(t *testing.T, s *faulty.Store) {
			s.SetTag(catalogRepo, "r4", tagged(t, s, catalogRepo, "r2"))
		}},
		"latest missing": {code: ledger.CodeCorrupt, damage: func(t *testing.T, s *faulty.Store) {
			s.RemoveTag(catalogRepo, "latest")
		}},
		"lost resource tags": {want: 3, damage: func(t *testing.T, s *faulty.Store) {
			s.RemoveTag(prefix+"/resources/default/b", "latest")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				p := start(t, store)
				apply(t, p, "default", put("a", "small"))
				apply(t, p, "default", put("b", "small"))
				apply(t, p, "team", put("x", "small"))
				p.stop()
				tc.damage(t, store)
				p = start(t, store)
				s, err := p.List("default")
				if tc.code != "" {
					_, wErr := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("c", "small")}})
					if code(wErr) != tc.code || code(err) != tc.code {
						t.Errorf("write: %v; read: %v; want %s", wErr, err, tc.code)
					}
					// That namespace alone.
					apply(t, p, "team", put("y", "small"))
					return
				}
				if err != nil || s.Revision.Number != tc.want || s.Revision.Digest != tagged(t, store, catalogRepo, "latest") {
					t.Errorf("head: %+v, %v, want revision %d", s.Revision, err, tc.want)
				}
				inspect(t, store)
				if r := apply(t, p, "default", put("c", "small")); r.Revision.Number != tc.want+1 {
					t.Errorf("next write: revision %d", r.Revision.Number)
				}
			})
		})
	}
}

func TestForeignWriter(t *testing.T) {
	t.Parallel()
	for name, forged := range map[string]func(t *testing.T, s *faulty.Store, head digest.Digest){
		"a child that lost resources without saying so": func(t *testing.T, s *faulty.Store, head digest.Digest) {
			forgeWith(t, s, "r1", 3, head, "w1-00000000000000ab", "2100-01-01T00:00:00.000000Z")
		},
		"a claim that never was": func(t *testing.T, s *faulty.Store, head digest.Digest) {
			forge(t, s, 3, head, "somebody", "2100-01-01T00:00:00.000000Z")
		},
		"a later claim": func(t *testing.T, s *faulty.Store, head digest.Digest) {
			forge(t, s, 3, head, "w9000000000000000-00000000000000ab", "2100-01-01T00:00:00.000000Z")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				p := start(t, store)
				head := apply(t, p, "default", put("a", "small")).Revision
				forged(t, store, head.Digest)
				for range 2 {
					_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("b", "small")}})
					if code(err) != ledger.CodeForeignWriter {
						t.Errorf("a write on a foreign child: %v", err)
					}
				}
				if s, err := p.List("default"); err != nil || len(s.Entries) != 1 {
					t.Errorf("reads go on: %+v, %v", s, err)
				}
				apply(t, p, "team", put("b", "small"))
				if all, _ := p.Namespaces(); all[0].Problem == "" {
					t.Error("the namespace does not say that it has a problem")
				}
				store.SetTag(catalogRepo, "latest", head.Digest)
				time.Sleep(5 * time.Second)
				apply(t, p, "default", put("b", "small"))
				p.stop()
				inspect(t, store)
			})
		})
	}
}

// The last write of an earlier ledger, landing late on our head, is a commit:
// somebody may have seen it.
func TestCommitOfAnEarlierLedgerIsAdopted(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		earlier := writer(t, store)
		head := apply(t, p, "default", put("a", "small")).Revision
		p.stop()
		p = start(t, store)
		adopted := forge(t, store, 3, head.Digest, earlier, "2100-01-01T00:00:00.000000Z")
		r := apply(t, p, "default", put("b", "small"))
		if r.Revision.Number != 4 {
			t.Errorf("revision %d, want 4", r.Revision.Number)
		}
		if d := tagged(t, store, catalogRepo, "r3"); d != adopted {
			t.Errorf("r3 is %s, want the adopted %s", d, adopted)
		}
		if got := sizes(t, p, "default"); !equal(got, map[string]string{"a": "small", "b": "small"}) {
			t.Errorf("after the adoption: %v", got)
		}
	})
}

func TestSecondLedgerSupersedesTheFirst(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		first := start(t, store)
		apply(t, first, "default", put("a", "small"))
		second := launch(t, store)
		time.Sleep(time.Second) // it has claimed and waits
		_, err := first.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("b", "small")}})
		if c := code(err); c != ledger.CodeSuperseded && c != ledger.CodeOutcomeUnknown {
			t.Errorf("a write of the superseded one: %v", err)
		}
		awaitReady(t, second)
		writes := []faulty.Kind{faulty.PutBlob, faulty.PutManifest, faulty.Commit, faulty.PutTag}
		before := store.Count(writes...)
		if code(first.Ready()) != ledger.CodeSuperseded {
			t.Errorf("the superseded one says: %v", first.Ready())
		}
		for range 3 {
			if _, err := first.Apply(context.Background(), ledger.Request{Namespace: "new", Changes: []ledger.Change{put("b", "small")}}); code(err) != ledger.CodeSuperseded {
				t.Errorf("a later write of the superseded one: %v", err)
			}
			time.Sleep(time.Minute)
		}
		if n := store.Count(writes...); n != before {
			t.Errorf("the superseded one wrote %d times", n-before)
		}
		if s, err := first.List("default"); err != nil || len(s.Entries) != 1 {
			t.Errorf("the superseded one still reads: %+v, %v", s, err)
		}
		apply(t, second, "default", put("c", "small"))
		first.stop()
		second.stop()
		if live := inspect(t, store)["default"]; len(live) != 2 {
			t.Errorf("live: %v", live)
		}
	})
}

func TestEmptyAndUnreadableAreNotTheSame(t *testing.T) {
	t.Parallel()
	for _, repo := range []string{catalogRepo, prefix + "/catalogs/team", prefix + "/system"} {
		t.Run(repo, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				p := start(t, store)
				apply(t, p, "default", put("a", "small"))
				apply(t, p, "team", put("b", "small"))
				p.stop()
				store.SetFault(func(op faulty.Op) faulty.Fault {
					if op.Repository == repo && (op.Kind == faulty.Get || op.Kind == faulty.Resolve) {
						return faulty.NotFound
					}
					return nil
				})
				p = launch(t, store)
				time.Sleep(5 * time.Minute)
				if p.Ready() == nil {
					t.Error("ready, although what must be there reads as 404")
				}
				if _, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("c", "small")}}); code(err) != ledger.CodeNotReady {
					t.Errorf("a write: %v", err)
				}
				store.SetFault(nil)
				awaitReady(t, p)
				p.stop()
				if live := inspect(t, store); len(live["default"]) != 1 || len(live["team"]) != 1 {
					t.Errorf("live: %v", live)
				}
			})
		})
	}
}
