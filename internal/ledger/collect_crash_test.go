package ledger_test

import (
	"context"
	"fmt"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// The crash table of a collection: every request that it sends, with what can
// happen to it, and then the end of the process, or a second collection in the
// same one. At each moment the history is whole, everything that is kept can be
// read, and in the end nothing is left of what is not.

type collectFault struct {
	name  string
	fault faulty.Fault
	kill  bool
	write bool // it is the same as another one where nothing is written
}

var collectFaults = []collectFault{
	{name: "done, then killed", kill: true},
	{name: "not done, then killed", fault: faulty.NotStored, kill: true, write: true},
	{name: "late, then killed", fault: faulty.StoredLate{After: 9 * time.Second}, kill: true, write: true},
	{name: "refused", fault: faulty.Refused},
	{name: "not done", fault: faulty.NotStored},
	{name: "done without an answer", fault: faulty.StoredButError, write: true},
	{name: "late", fault: faulty.StoredLate{After: 9 * time.Second}, write: true},
	{name: "corrupt", fault: faulty.Corrupt},
}

var collectPolicy = keeping(artifact.Retention{Revisions: 2, TombstonesSeconds: 60})

// collectable makes a history of which most is to go: revisions 1 to 8 of ten,
// versions of three resources, one of them deleted, and what signs some.
func collectable(t *testing.T) (*faulty.Store, *process) {
	t.Helper()
	store := initialised(t)
	p := start(t, store, collectPolicy)
	apply(t, p, "default", put("web", "small"), put("db", "small"), put("gone", "small"))
	signed := apply(t, p, "default", put("web", "medium"))
	sign(t, store, catalogRepo, signed.Revision.Digest)
	sign(t, store, prefix+"/resources/default/web", signed.Outcomes[0].Digest)
	apply(t, p, "default", ledger.Change{Name: "gone", Delete: true})
	for _, size := range []string{"small", "large", "medium", "large"} {
		apply(t, p, "default", put("web", size))
	}
	back := ledger.Request{Namespace: "default", Changes: []ledger.Change{{Name: "web", Version: signed.Outcomes[0].Version}}}
	if _, err := p.Apply(context.Background(), back); err != nil {
		t.Fatal(err)
	}
	last := apply(t, p, "default", put("db", "large"))
	sign(t, store, catalogRepo, last.Revision.Digest)
	time.Sleep(2 * time.Minute)
	return store, p
}

// sign attaches a signature to a manifest and returns its digest.
func sign(t testing.TB, store *faulty.Store, repo string, subject digest.Digest) digest.Digest {
	t.Helper()
	return attach(t, store, repo, descriptorOf(t, store, repo, subject))
}

func attach(t testing.TB, store *faulty.Store, repo string, subject ocispec.Descriptor) digest.Digest {
	t.Helper()
	blob := registry.NewBlob("application/vnd.test.signature", []byte("signature of "+subject.Digest.String()))
	data := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"artifactType":"application/vnd.test.signature","config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[],"subject":{"mediaType":%q,"digest":%q,"size":%d}}`,
		ocispec.MediaTypeImageManifest, blob.MediaType, blob.Digest, len(blob.Data), subject.MediaType, subject.Digest, subject.Size)
	a := registry.Artifact{Manifest: registry.NewManifest(ocispec.MediaTypeImageManifest, []byte(data)), Blobs: []registry.Blob{blob}}
	push(t, store, repo, a)
	return a.Manifest.Digest
}

func TestCollectCrashTable(t *testing.T) {
	t.Parallel()
	var requests []faulty.Op
	bubble(t, func(t *testing.T) {
		store, p := collectable(t)
		before := len(store.Ops())
		collect(t, p, "default", false)
		requests = store.Ops()[before:]
		collected(t, store, p)
	})
	if len(requests) < 50 {
		t.Fatalf("a collection of only %d requests is none", len(requests))
	}
	alike := map[string]int{}
	for k, request := range requests {
		// Several requests are under way at once, so the one with this number may
		// be another one of its neighbours. Of those that are alike, two writes
		// are enough, and one read.
		kind := regexp.MustCompile("[0-9]+").ReplaceAllString(describe(request), "")
		alike[kind]++
		if alike[kind] > 2 || alike[kind] > 1 && !writes(request) {
			continue
		}
		for _, f := range collectFaults {
			if f.write && !writes(request) || f.fault == faulty.Corrupt && writes(request) {
				continue
			}
			t.Run(fmt.Sprintf("%03d/%s", k, f.name), func(t *testing.T) {
				t.Parallel()
				bubble(t, func(t *testing.T) { collectCrash(t, k, f) })
			})
		}
	}
}

func writes(op faulty.Op) bool {
	switch op.Kind {
	case faulty.PutBlob, faulty.PutManifest, faulty.Commit, faulty.PutTag, faulty.Delete:
		return true
	}
	return false
}

func collectCrash(t *testing.T, k int, f collectFault) {
	store, p := collectable(t)
	before := prove(t, store, "default")
	at := len(store.Ops()) + 1 + k
	var mu sync.Mutex
	store.SetFault(func(op faulty.Op) faulty.Fault {
		mu.Lock()
		defer mu.Unlock()
		if op.N != at {
			return nil
		}
		if f.kill {
			p.line.cut.Store(true) // this request is the process's last
		}
		t.Logf("the request is %s", describe(op))
		if writes(op) && f.fault == faulty.Corrupt {
			return faulty.NotStored
		}
		return f.fault
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := p.Collect(ctx, "default", false); err != nil { // without an end if the process is cut off in the middle of a commit
		t.Fatal(err)
	}
	store.SetFault(nil)
	if f.kill {
		p.kill()
	}
	proveSame(t, store, before)
	if f.kill {
		p = start(t, store, collectPolicy)
		if proveSame(t, store, before).untagged {
			t.Error("a start has not completed the head's tags")
		}
	}
	apply(t, p, "default", put("next", "small"))
	time.Sleep(2 * time.Minute) // whatever is late lands
	store.Flush()
	proveSame(t, store, before).same(t, p, "default")
	apply(t, p, "default", put("next", "large"))
	time.Sleep(2 * time.Minute)
	collect(t, p, "default", false)
	proveSame(t, store, before)
	collected(t, store, p)
	p.stop()
}

// proveSame proves a history that has grown since.
func proveSame(t *testing.T, store *faulty.Store, before proof) proof {
	t.Helper()
	now := prove(t, store, "default")
	for i, d := range before.digests {
		if now.digests[i] != d {
			t.Fatalf("revision %d is %s now, it was %s", i+1, now.digests[i], d)
		}
	}
	for name, d := range before.live {
		if now.live[name] != d {
			t.Errorf("%s is %q now, it was %q", name, now.live[name], d)
		}
	}
	return now
}

// collected checks that nothing is left of what is not kept, and that all else
// is there.
func collected(t *testing.T, store *faulty.Store, p *process) {
	t.Helper()
	now := prove(t, store, "default")
	now.same(t, p, "default")
	if now.thinned < 8 {
		t.Errorf("only %d revisions are thinned", now.thinned)
	}
	for n := range now.revision {
		if n <= now.thinned {
			t.Errorf("r%d is left", n)
		}
	}
	ctx, raw := context.Background(), store.Raw()
	if tags, err := raw.Tags(ctx, prefix+"/resources/default/gone", "", 10); err != nil || len(tags) > 0 {
		t.Errorf("of what was deleted, %v is left (%v)", tags, err)
	}
	web, err := raw.Tags(ctx, prefix+"/resources/default/web", "", 100)
	if err != nil || len(web) != 4 { // the newest two, the one that came back, and latest
		t.Errorf("of web, %v is left (%v)", web, err)
	}
	for _, repo := range []string{catalogRepo, prefix + "/resources/default/web"} {
		for i, d := range now.digests {
			found, err := raw.Referrers(ctx, repo, d, "")
			if err != nil {
				t.Fatal(err)
			}
			if !now.revision[int64(i+1)] && len(found) > 0 {
				t.Errorf("the signature of revision %d is left", i+1)
			}
		}
	}
	if found, err := raw.Referrers(ctx, prefix+"/resources/default/web", digest.Digest(now.live["web"]), ""); err != nil || len(found) != 1 {
		t.Errorf("what is live has the signatures %v (%v)", found, err)
	}
}

func descriptorOf(t testing.TB, store *faulty.Store, repo string, d digest.Digest) ocispec.Descriptor {
	t.Helper()
	m, err := store.Raw().Manifest(context.Background(), repo, d.String())
	if err != nil {
		t.Fatal(err)
	}
	return ocispec.Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: int64(len(m.Data))}
}
