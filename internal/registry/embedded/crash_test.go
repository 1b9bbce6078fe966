package embedded_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

// large is longer than what the database holds of a blob.
func large(seed string) string { return strings.Repeat(seed+" ", 100<<10/len(seed)) }

// crash returns what may be on the disk if the machine stopped now: all that
// was synced, and each unsynced piece with the probability in percent.
func crash(fs *vfs.MemFS, percent int, seed uint64) *vfs.MemFS {
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(seed, 0))})
}

func mustGet(t *testing.T, s *embedded.Store, repo, reference string, want registry.Artifact) {
	t.Helper()
	got, err := s.Get(t.Context(), repo, reference)
	if err != nil {
		t.Fatalf("after the crash: %v", err)
	}
	if !got.Equal(want) {
		t.Fatalf("after the crash, %s %s is another artifact", repo, reference)
	}
}

// What was stored before a Commit that returned nil is there after a crash,
// whoever stored it, tags and large blobs included.
func TestCommitIsDurable(t *testing.T) {
	t.Parallel()
	for _, percent := range []int{0, 50} {
		t.Run(fmt.Sprintf("%d percent of the unsynced", percent), func(t *testing.T) {
			t.Parallel()
			fs := vfs.NewCrashableMem()
			s := open(t, embedded.Options{FS: fs, Folder: "/a/data"})
			var pushed []registry.Push
			for round := range 12 {
				name := fmt.Sprintf("round-%d", round)
				small := registrytest.Artifact(t, nil, name)
				big := registrytest.Artifact(t, nil, name, large(name), large("other "+name))
				referrer := registrytest.Referrer(t, small.Manifest, "application/vnd.example.signature", nil)
				for _, p := range []registry.Push{{Repository: "a/small", Artifact: small}, {Repository: "a/big", Artifact: big}, {Repository: "a/small", Artifact: referrer}} {
					if err := s.Put(t.Context(), p); err != nil {
						t.Fatal(err)
					}
				}
				pushed = append(pushed, registry.Push{Repository: "a/small", Artifact: small}, registry.Push{Repository: "a/big", Artifact: big})
				if err := s.Tag(t.Context(), registry.Tag{Repository: "a/small", Name: name, Manifest: small.Manifest}); err != nil {
					t.Fatal(err)
				}
				if err := s.Commit(t.Context(), registry.Tag{Repository: "a/big", Name: "latest", Manifest: big.Manifest}); err != nil {
					t.Fatal(err)
				}
				after := open(t, embedded.Options{FS: crash(fs, percent, uint64(round)), Folder: "/a/data"})
				for _, p := range pushed {
					mustGet(t, after, p.Repository, p.Artifact.Manifest.Digest.String(), p.Artifact)
				}
				mustGet(t, after, "a/small", name, small)
				mustGet(t, after, "a/big", "latest", big)
				list, err := after.Referrers(t.Context(), "a/small", small.Manifest.Digest, "")
				if err != nil || len(list) != 1 {
					t.Fatalf("after the crash: referrers %v, %v", list, err)
				}
			}
		})
	}
}

// Without a Commit an artifact may be lost in a crash, but is never there in
// part.
func TestArtifactsAreWholeAfterACrash(t *testing.T) {
	t.Parallel()
	fs := vfs.NewCrashableMem()
	s := open(t, embedded.Options{FS: fs, Folder: "/data"})
	var pushed []registry.Artifact
	for round := range 40 {
		name := fmt.Sprintf("round-%d", round)
		a := registrytest.Artifact(t, nil, name, large(name))
		if round%2 == 0 {
			a = registrytest.Artifact(t, nil, name, "shared", name)
		}
		pushed = append(pushed, a)
		if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: a}); err != nil {
			t.Fatal(err)
		}
		if err := s.Tag(t.Context(), registry.Tag{Repository: "a/b", Name: "latest", Manifest: a.Manifest}); err != nil {
			t.Fatal(err)
		}
		after := open(t, embedded.Options{FS: crash(fs, 50, uint64(round)), Folder: "/data"})
		for _, a := range pushed {
			got, err := after.Get(t.Context(), "a/b", a.Manifest.Digest.String())
			if !errors.Is(err, registry.ErrNotFound) && (err != nil || !got.Equal(a)) {
				t.Fatalf("round %d: neither absent nor whole: %v", round, err)
			}
		}
		if _, err := after.Get(t.Context(), "a/b", "latest"); err != nil && !errors.Is(err, registry.ErrNotFound) {
			t.Fatalf("round %d: tag: %v", round, err)
		}
	}
}

// A large blob that was pushed without syncs is durable once the store was
// opened with them: pushing it again writes nothing, but promises that.
func TestCommitAfterNoneIsDurable(t *testing.T) {
	t.Parallel()
	fs := vfs.NewCrashableMem()
	a := registrytest.Artifact(t, nil, large("large"))
	push := func(o embedded.Options) {
		s := open(t, o)
		if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: a}); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context(), registry.Tag{Repository: "a/b", Name: "latest", Manifest: a.Manifest}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	push(embedded.Options{FS: fs, Folder: "/data", Durability: embedded.DurabilityNone})
	push(embedded.Options{FS: fs, Folder: "/data"})
	mustGet(t, open(t, embedded.Options{FS: crash(fs, 0, 1), Folder: "/data"}), "a/b", "latest", a)
	if _, err := fs.Stat("/data/unsynced"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the note of the opening without syncs: %v", err)
	}
}

func TestDeleteIsDurable(t *testing.T) {
	t.Parallel()
	fs := vfs.NewCrashableMem()
	s := open(t, embedded.Options{FS: fs, Folder: "/data"})
	a := registrytest.Artifact(t, nil, "gone")
	if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: a}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), registry.Tag{Repository: "a/b", Name: "v1", Manifest: a.Manifest}); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "a/b", a.Manifest.Digest); err != nil {
		t.Fatal(err)
	}
	after := open(t, embedded.Options{FS: crash(fs, 0, 1), Folder: "/data"})
	for _, reference := range []string{"v1", a.Manifest.Digest.String()} {
		if _, err := after.Resolve(t.Context(), "a/b", reference); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("%s: got %v, want ErrNotFound", reference, err)
		}
	}
}

// Each success over HTTP is durable on its own, also when there was nothing
// to write because an unsynced Put had written it.
func TestHTTPWritesAreDurable(t *testing.T) {
	t.Parallel()
	fs := vfs.NewCrashableMem()
	s := open(t, embedded.Options{FS: fs, Folder: "/data"})
	c := serve(t, s, embedded.HandlerOptions{})
	after := func() client {
		return serve(t, open(t, embedded.Options{FS: crash(fs, 0, 1), Folder: "/data"}), embedded.HandlerOptions{})
	}
	for name, data := range map[string]string{"small": "small blob", "large": large("large blob")} {
		d := c.pushBlob("a/b", []byte(data))
		if got := after().do("GET", "/v2/a/b/blobs/"+d.String(), nil); got.status != http.StatusOK || string(got.body) != data {
			t.Errorf("%s blob after the crash: status %d", name, got.status)
		}
	}

	a := registrytest.Artifact(t, nil, "put in process", large("put in process"))
	if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: a}); err != nil {
		t.Fatal(err)
	}
	d := c.pushBlob("a/b", a.Blobs[1].Data)
	if got := after().do("GET", "/v2/a/b/blobs/"+d.String(), nil); got.status != http.StatusOK {
		t.Errorf("blob that was there, after the crash: status %d", got.status)
	}

	url := "/v2/a/b/manifests/" + a.Manifest.Digest.String() + "?tag=one&tag=two"
	if got := c.do("PUT", url, a.Manifest.Data, "Content-Type", ocispec.MediaTypeImageManifest); got.status != http.StatusCreated {
		t.Fatalf("manifest: %d %s", got.status, got.body)
	}
	for _, reference := range []string{"one", "two", a.Manifest.Digest.String()} {
		if got := after().do("GET", "/v2/a/b/manifests/"+reference, nil); got.status != http.StatusOK || !bytes.Equal(got.body, a.Manifest.Data) {
			t.Errorf("manifest %s after the crash: status %d", reference, got.status)
		}
	}

	c.want(http.StatusAccepted, "DELETE", "/v2/a/b/manifests/one", nil)
	if got := after().do("GET", "/v2/a/b/manifests/one", nil); got.status != http.StatusNotFound {
		t.Errorf("deleted tag after the crash: status %d", got.status)
	}
	c.want(http.StatusAccepted, "DELETE", "/v2/a/b/blobs/"+d.String(), nil)
	if got := after().do("GET", "/v2/a/b/blobs/"+d.String(), nil); got.status != http.StatusNotFound {
		t.Errorf("deleted blob after the crash: status %d", got.status)
	}
}

// recorder takes a crash clone before every write to a file system.
type recorder struct {
	memory *vfs.MemFS

	mu     sync.Mutex
	clones []*vfs.MemFS
	on     bool
}

func (r *recorder) MaybeError(op errorfs.Op) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.on && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
		r.clones = append(r.clones, crash(r.memory, 50, uint64(len(r.clones))))
	}
	return nil
}

func (r *recorder) String() string { return "recorder" }

// record returns the crash clones of what do writes.
func (r *recorder) record(do func()) []*vfs.MemFS {
	r.mu.Lock()
	r.clones, r.on = nil, true
	r.mu.Unlock()
	do()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.on = false
	return r.clones
}

// A crash at any file operation of making a store leaves a folder that opens
// as an empty one; a crash at any of a push leaves the artifact absent or
// whole.
func TestCrashAtEveryOperation(t *testing.T) {
	t.Parallel()
	r := &recorder{memory: vfs.NewCrashableMem()}
	a := registrytest.Artifact(t, nil, large("large"), "small")
	var s *embedded.Store
	making := r.record(func() {
		s = open(t, embedded.Options{FS: errorfs.Wrap(r.memory, r), Folder: "/a/data"})
	})
	pushing := r.record(func() {
		if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: a}); err != nil {
			t.Error(err)
		}
		if err := s.Commit(t.Context(), registry.Tag{Repository: "a/b", Name: "latest", Manifest: a.Manifest}); err != nil {
			t.Error(err)
		}
	})
	if len(making) < 20 || len(pushing) < 5 {
		t.Fatalf("only %d and %d operations seen", len(making), len(pushing))
	}
	for i, clone := range append(making, pushing...) {
		after, err := embedded.Open(embedded.Options{FS: clone, Folder: "/a/data"})
		if err != nil {
			t.Fatalf("crash at operation %d: %v", i, err)
		}
		for _, reference := range []string{"latest", a.Manifest.Digest.String()} {
			got, err := after.Get(t.Context(), "a/b", reference)
			if !errors.Is(err, registry.ErrNotFound) && (err != nil || !got.Equal(a)) {
				t.Fatalf("crash at operation %d: neither absent nor whole: %v", i, err)
			}
		}
		if err := after.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: a}); err != nil {
			t.Fatalf("crash at operation %d: %v", i, err)
		}
		mustGet(t, after, "a/b", a.Manifest.Digest.String(), a)
		if err := after.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRestoreMarker(t *testing.T) {
	t.Parallel()
	fs := vfs.NewCrashableMem()
	s := open(t, embedded.Options{FS: fs, Folder: "/data"})
	marks := func(what string, s *embedded.Store, restoring, initialised bool) {
		t.Helper()
		r, err := s.Restoring()
		i, err2 := s.Initialised()
		if r != restoring || i != initialised || err != nil || err2 != nil {
			t.Errorf("%s: restoring %v, %v; initialised %v, %v", what, r, err, i, err2)
		}
	}
	marks("new", s, false, false)
	for range 2 {
		if err := s.BeginRestore(); err != nil {
			t.Fatal(err)
		}
	}
	marks("begun, after a crash", open(t, embedded.Options{FS: crash(fs, 0, 1), Folder: "/data"}), true, false)
	for range 2 {
		if err := s.EndRestore(); err != nil {
			t.Fatal(err)
		}
	}
	marks("ended, after a crash", open(t, embedded.Options{FS: crash(fs, 0, 1), Folder: "/data"}), false, true)
}

func TestMarker(t *testing.T) {
	t.Parallel()
	fs := vfs.NewCrashableMem()
	s := open(t, embedded.Options{FS: fs, Folder: "/data"})
	if is, err := s.Initialised(); is || err != nil {
		t.Fatalf("new store: %v, %v", is, err)
	}
	for range 2 {
		if err := s.MarkInitialised(); err != nil {
			t.Fatal(err)
		}
	}
	after := open(t, embedded.Options{FS: crash(fs, 0, 1), Folder: "/data"})
	if is, err := after.Initialised(); !is || err != nil {
		t.Fatalf("after a crash: %v, %v", is, err)
	}
}
