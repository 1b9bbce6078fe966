package ledger_test

import (
	"context"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

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
