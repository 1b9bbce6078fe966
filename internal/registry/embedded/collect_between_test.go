package embedded

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"gitops-squared.io/gsq/internal/registry"
)

// At each moment between the slices of a collection, a writer brings back what it
// is about to delete, in each way there is. What the writer was told is there.
func TestCollectBetweenSlices(t *testing.T) {
	t.Parallel()
	writes := map[string]func(r racer, a registry.Artifact) bool{
		"nothing": func(racer, registry.Artifact) bool { return false },
		"put": func(r racer, a registry.Artifact) bool {
			if err := r.s.Put(r.t.Context(), registry.Push{Repository: r.repo, Artifact: a}); err != nil {
				r.t.Error(err)
			}
			return true
		},
		"put of the manifest alone": func(r racer, a registry.Artifact) bool {
			a.Blobs = nil
			return r.s.Put(r.t.Context(), registry.Push{Repository: r.repo, Artifact: a}) == nil
		},
		"put into another repository": func(r racer, a registry.Artifact) bool {
			if err := r.s.Put(r.t.Context(), registry.Push{Repository: "other", Artifact: a}); err != nil {
				r.t.Error(err)
			}
			if got, err := r.s.Get(r.t.Context(), "other", a.Manifest.Digest.String()); err != nil || !got.Equal(a) {
				r.t.Error(err)
			}
			return false
		},
		"push of all": func(r racer, a registry.Artifact) bool {
			for _, b := range a.Blobs {
				if w := r.send("POST", "/blobs/uploads/?digest="+b.Digest.String(), octetStream, b.Data); w.Code != http.StatusCreated {
					r.t.Errorf("upload: %d", w.Code)
				}
			}
			return r.push(a)
		},
		"push of what is not there": func(r racer, a registry.Artifact) bool { return r.push(a) },
		"push of a manifest whose blobs were found": func(r racer, a registry.Artifact) bool {
			for _, b := range a.Blobs {
				if w := r.send("HEAD", "/blobs/"+b.Digest.String(), "", nil); w.Code != http.StatusOK {
					return false
				}
			}
			if !r.push(a) {
				r.t.Error("it was found, but cannot be named")
			}
			return true
		},
		"mount": func(r racer, a registry.Artifact) bool {
			into := r
			into.repo = "other"
			for _, b := range a.Blobs {
				if w := into.send("POST", "/blobs/uploads/?mount="+b.Digest.String()+"&from="+r.repo, "", nil); w.Code != http.StatusCreated {
					return false
				}
			}
			if !into.push(a) {
				r.t.Error("it was mounted, but cannot be named")
			}
			return false
		},
		"deletion of a blob": func(r racer, a registry.Artifact) bool {
			r.send("DELETE", "/blobs/"+a.Blobs[2].Digest.String(), "", nil)
			return false
		},
	}
	for name, write := range writes {
		for _, grace := range []time.Duration{0, time.Hour} {
			t.Run(fmt.Sprint(name, ", grace ", grace), func(t *testing.T) {
				t.Parallel()
				at := 0
				for collectAndWrite(t, grace, at, write) {
					at++
				}
				if at < 4 { // links, blobs, chunks, the file
					t.Errorf("only %d slices", at)
				}
			})
		}
	}
}

// collectAndWrite writes before one slice of a collection. It reports whether there
// was such a slice.
func collectAndWrite(t *testing.T, grace time.Duration, at int, write func(racer, registry.Artifact) bool) bool {
	t.Helper()
	kept, doomed := revision(t, 0), revision(t, 1)
	r := racer{t: t, random: rand.New(rand.NewPCG(1, 1)), repo: "a/b", all: []registry.Artifact{kept, doomed}}
	seen, written := 0, false
	s, err := Open(Options{FS: vfs.NewMem(), Folder: "/data", beforeSlice: func() {
		if seen++; seen-1 == at {
			written = write(r, doomed)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	r.s = s
	for _, a := range r.all {
		if err := s.Put(t.Context(), registry.Push{Repository: r.repo, Artifact: a}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Delete(t.Context(), r.repo, doomed.Manifest.Digest); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Collect(t.Context(), grace); err != nil {
		t.Errorf("before slice %d: %v", at, err)
	}
	if whole := checkWhole(t, s); whole == 0 || written && whole != 2 {
		t.Errorf("before slice %d: %d manifests", at, whole)
	}
	if t.Failed() {
		t.FailNow()
	}
	return seen > at
}

// A collection does not begin while a writer has looked and not written.
func TestCollectWaitsForWriters(t *testing.T) {
	t.Parallel()
	s := memoryStore(t)
	a := revision(t, 1)
	push := registry.Push{Repository: "a/b", Artifact: a}
	if err := s.Put(t.Context(), push); err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "a/b", a.Manifest.Digest); err != nil {
		t.Fatal(err)
	}
	c, err := checkPush(push)
	if err != nil {
		t.Fatal(err)
	}
	w := s.newWriter(t.Context())
	if err := w.addManifest("a/b", a.Manifest, c); err != nil {
		t.Fatal(err)
	}
	collected := make(chan error)
	go func() {
		_, err := s.Collect(t.Context(), 0)
		collected <- err
	}()
	time.Sleep(20 * time.Millisecond) // for the collection to do what it must not
	if err := w.flush(); err != nil {
		t.Fatal(err)
	}
	w.close()
	if err := <-collected; err != nil {
		t.Fatal(err)
	}
	if checkWhole(t, s) != 1 {
		t.Error("the manifest is not there")
	}
}
