package embedded

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

// during returns a store with an artifact, and does something when a file
// operation of the kind meets its large blob, once.
func during(t *testing.T, kind errorfs.OpKind, do func(s *Store, a registry.Artifact)) (racer, registry.Artifact) {
	t.Helper()
	a := registrytest.Artifact(t, nil, strings.Repeat("large", inlineBytes))
	var s *Store
	var once sync.Once
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == kind && strings.HasSuffix(op.Path, a.Blobs[1].Digest.Encoded()) {
			once.Do(func() { do(s, a) })
		}
		return nil
	}))
	s, err := Open(Options{FS: fs, Folder: "/data"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: a}); err != nil {
		t.Fatal(err)
	}
	return racer{t: t, s: s, repo: "a/b"}, a
}

// What is deleted and collected while it is read was not there. It is no damage.
func TestCollectDuringARead(t *testing.T) {
	t.Parallel()
	collect := func(s *Store, a registry.Artifact) {
		if err := s.Delete(t.Context(), "a/b", a.Manifest.Digest); err != nil {
			t.Error(err)
		}
		if _, err := s.Collect(t.Context(), 0); err != nil {
			t.Error(err)
		}
	}
	t.Run("of an artifact", func(t *testing.T) {
		t.Parallel()
		r, a := during(t, errorfs.OpOpen, collect)
		if _, err := r.s.Get(t.Context(), r.repo, a.Manifest.Digest.String()); !errors.Is(err, registry.ErrNotFound) || errors.Is(err, registry.ErrCorrupt) {
			t.Errorf("Get: %v", err)
		}
	})
	t.Run("of a blob", func(t *testing.T) {
		t.Parallel()
		r, a := during(t, errorfs.OpOpen, collect)
		if w := r.send("GET", "/blobs/"+a.Blobs[1].Digest.String(), "", nil); w.Code != http.StatusNotFound {
			t.Errorf("GET: %d %s", w.Code, w.Body)
		}
	})
}

// A collection that comes while a client is told that a blob is there does not
// take it, unless the client is told otherwise.
func TestCollectDuringAConfirmation(t *testing.T) {
	t.Parallel()
	collected := make(chan error, 1)
	r, a := during(t, errorfs.OpFileStat, func(s *Store, a registry.Artifact) {
		if err := s.Delete(t.Context(), "a/b", a.Manifest.Digest); err != nil {
			t.Error(err)
		}
		go func() {
			_, err := s.Collect(t.Context(), time.Hour)
			collected <- err
		}()
		time.Sleep(20 * time.Millisecond) // for the collection to do what it must not
	})
	found := r.send("HEAD", "/blobs/"+a.Blobs[1].Digest.String(), "", nil).Code == http.StatusOK
	if err := <-collected; err != nil {
		t.Fatal(err)
	}
	if w := r.send("HEAD", "/blobs/"+a.Blobs[1].Digest.String(), "", nil); found != (w.Code == http.StatusOK) {
		t.Errorf("found %v, then %d", found, w.Code)
	}
}
