package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

// racer pushes and deletes artifacts that others push and delete too.
type racer struct {
	t      *testing.T
	s      *Store
	random *rand.Rand
	repo   string
	all    []registry.Artifact
}

func (r racer) one() registry.Artifact { return r.all[r.random.IntN(len(r.all))] }

// put is as the ledger puts: it succeeds, whatever is collected.
func (r racer) put() {
	a, b := r.one(), r.one()
	if err := r.s.Put(r.t.Context(), registry.Push{Repository: r.repo, Artifact: a}, registry.Push{Repository: r.repo, Artifact: b}); err != nil {
		r.t.Error(err)
	}
}

// putKnown puts a manifest whose blobs should be there. They may be not.
func (r racer) putKnown() {
	a := r.one()
	a.Blobs = nil
	var missing *MissingError
	if err := r.s.Put(r.t.Context(), registry.Push{Repository: r.repo, Artifact: a}); err != nil && !errors.As(err, &missing) {
		r.t.Error(err)
	}
}

func (r racer) send(method, path, mediaType string, body []byte) *httptest.ResponseRecorder {
	q := httptest.NewRequestWithContext(r.t.Context(), method, "/v2/"+r.repo+path, bytes.NewReader(body))
	q.Header.Set("Content-Type", mediaType)
	w := httptest.NewRecorder()
	r.s.Handler(HandlerOptions{}).ServeHTTP(w, q)
	return w
}

// push is as CI pushes: it asks for a blob first, and uploads only what is not
// there. It reports whether the manifest was taken.
func (r racer) push(a registry.Artifact) bool {
	for _, b := range a.Blobs {
		if w := r.send("HEAD", "/blobs/"+b.Digest.String(), "", nil); w.Code == http.StatusOK {
			continue
		} else if w.Code != http.StatusNotFound {
			r.t.Errorf("HEAD: %d", w.Code)
		}
		if w := r.send("POST", "/blobs/uploads/?digest="+b.Digest.String(), octetStream, b.Data); w.Code != http.StatusCreated {
			r.t.Errorf("upload: %d %s", w.Code, w.Body)
		}
	}
	w := r.send("PUT", "/manifests/"+a.Manifest.Digest.String(), a.Manifest.MediaType, a.Manifest.Data)
	if w.Code != http.StatusCreated && !strings.Contains(w.Body.String(), codeManifestBlobUnknown) {
		r.t.Errorf("manifest: %d %s", w.Code, w.Body)
	}
	return w.Code == http.StatusCreated
}

func (r racer) drop() {
	if err := r.s.Delete(r.t.Context(), r.repo, r.one().Manifest.Digest); err != nil && !errors.Is(err, registry.ErrNotFound) {
		r.t.Error(err)
	}
}

// get finds an artifact whole or not at all.
func (r racer) get() {
	a := r.one()
	got, err := r.s.Get(r.t.Context(), r.repo, a.Manifest.Digest.String())
	if !errors.Is(err, registry.ErrNotFound) && (err != nil || !got.Equal(a)) {
		r.t.Errorf("neither absent nor whole: %v", err)
	}
}

// race lets racers run for so many turns while collections follow one another, and
// on, within bounds, until these have freed enough. It returns what that was.
func race(t *testing.T, s *Store, grace time.Duration, turns int, enough func(registry.Freed) bool, turn func(r racer)) (freed registry.Freed) {
	t.Helper()
	var all []registry.Artifact
	for n := range 6 {
		all = append(all, revision(t, n))
	}
	all = append(all, registrytest.Artifact(t, nil, "small"), registrytest.Artifact(t, nil, "in all"))
	var racers sync.WaitGroup
	var done, met atomic.Bool
	for n := range 6 {
		racers.Go(func() {
			r := racer{t, s, rand.New(rand.NewPCG(uint64(n), 5)), fmt.Sprint("race/", n%2), all}
			for i := 0; i < turns || i < 100*turns && !met.Load() && !t.Failed(); i++ {
				turn(r)
			}
		})
	}
	var collector sync.WaitGroup
	collector.Go(func() {
		for !done.Load() && !t.Failed() {
			one, err := s.Collect(t.Context(), grace)
			if err != nil {
				t.Error(err)
			}
			freed.Blobs += one.Blobs
			freed.Chunks += one.Chunks
			freed.Files += one.Files
			met.Store(enough(freed))
		}
	})
	racers.Wait()
	done.Store(true)
	collector.Wait()
	return freed
}

// Whoever pushes, mounts, deletes and reads the same few artifacts while all that
// is not named is collected, finds each whole or not at all; and whatever is
// stored in the end is whole.
func TestCollectRacesWithWriters(t *testing.T) {
	t.Parallel()
	s, err := Open(Options{Folder: filepath.Join(t.TempDir(), "data"), memTableBytes: 256 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	some := func(f registry.Freed) bool { return f.Blobs > 0 && f.Chunks > 0 && f.Files > 0 }
	freed := race(t, s, 0, 150, some, func(r racer) {
		switch r.random.IntN(8) {
		case 0:
			r.put()
		case 1:
			r.putKnown()
		case 2:
			r.push(r.one())
		case 3:
			r.get()
		default:
			r.drop()
		}
	})
	if !some(freed) {
		t.Errorf("the collections freed %+v, so there was no race", freed)
	}
	t.Logf("%d manifests; freed %+v", checkWhole(t, s), freed)
}

// With a grace, no push fails, although what it relies on is deleted and
// collected all the time.
func TestCollectSparesPushesUnderWay(t *testing.T) {
	t.Parallel()
	s := memoryStore(t)
	var pushed atomic.Int64
	race(t, s, time.Hour, 25, func(registry.Freed) bool { return true }, func(r racer) {
		if a := r.one(); r.push(a) {
			pushed.Add(1)
		} else {
			t.Errorf("%s was refused", a.Manifest.Digest)
		}
		r.drop()
	})
	if pushed.Load() == 0 {
		t.Error("nothing was pushed")
	}
	checkWhole(t, s)
}
