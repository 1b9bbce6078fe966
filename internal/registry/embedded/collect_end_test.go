package embedded

import (
	"context"
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"gitops-squared.io/gsq/internal/registry"
)

// A collection ends when its context does or the store is closed, says so, and
// leaves a whole store; a second one at a time is refused.
func TestCollectIsInterrupted(t *testing.T) {
	t.Parallel()
	for name, meanwhile := range map[string]func(s *Store, cancel func()) (ends bool){
		"by its context": func(_ *Store, cancel func()) bool { cancel(); return true },
		"by a close": func(s *Store, _ func()) bool {
			go s.Close()
			<-s.closing
			return true
		},
		"not by another": func(s *Store, _ func()) bool {
			if _, err := s.Collect(context.Background(), 0); !errors.Is(err, registry.ErrUnavailable) {
				t.Errorf("another one at the same time: %v", err)
			}
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fs := vfs.NewMem()
			kept, gone := revision(t, 0), revision(t, 1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var s *Store
			ends := false
			s, err := Open(Options{FS: fs, Folder: "/data", beforeSlice: func() { ends = meanwhile(s, cancel) }})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Put(ctx, registry.Push{Repository: "a/b", Artifact: kept}, registry.Push{Repository: "a/b", Artifact: gone}); err != nil {
				t.Fatal(err)
			}
			if err := s.Delete(ctx, "a/b", gone.Manifest.Digest); err != nil {
				t.Fatal(err)
			}
			_, err = s.Collect(ctx, 0)
			if ends != errors.Is(err, registry.ErrUnavailable) || !ends && err != nil {
				t.Errorf("got %v", err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err = Open(Options{FS: fs, Folder: "/data"}); err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Collect(t.Context(), 0); err != nil {
				t.Error(err)
			}
			if n := checkWhole(t, s); n != 1 {
				t.Errorf("%d manifests", n)
			}
			if n := len(keys(t, s, "B")); n != len(kept.Blobs) {
				t.Errorf("%d blobs", n)
			}
		})
	}
}

// A full disk has room again after what was deleted is collected.
func TestCollectOnAFullDisk(t *testing.T) {
	t.Parallel()
	f := newFullDisk(t)
	f.fill()
	for _, a := range f.kept[5:] {
		if err := f.store.Delete(t.Context(), "a/b", a.Manifest.Digest); err != nil {
			t.Fatal(err)
		}
	}
	f.kept = f.kept[:5]
	if freed, err := f.store.Collect(t.Context(), 0); err != nil || freed.Bytes < 1<<20 {
		t.Fatalf("freed %+v, %v", freed, err)
	}
	f.eventually()
	f.reads()
}

// Whatever an entry of the database holds, a collection ends with an error or
// keeps what the other entries need.
func FuzzCollectEntry(f *testing.F) {
	kept := revision(f, 0)
	for _, b := range kept.Blobs {
		f.Add(blobKey(b.Digest), []byte("i"))
		f.Add(linkKey("a", b.Digest), linkValue(3))
		f.Add(uploadKey(b.Digest), []byte{0xff, 0, 0, 0, 0, 0, 0, 0})
	}
	f.Add(manifestKey("a/b", kept.Manifest.Digest), manifestValue(kept.Manifest.MediaType, kept.Manifest.Data))
	f.Add([]byte("B"), []byte("c"))
	f.Add([]byte("L\x02"), []byte(""))
	f.Add([]byte("M\x00"), []byte("\x01"))
	f.Add([]byte("C"), []byte("c"))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		if len(key) == 0 {
			return
		}
		s := memoryStore(t)
		if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: kept}); err != nil {
			t.Fatal(err)
		}
		over, err := has(s.db, key)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.db.Set(key, value, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		_, err = s.Collect(t.Context(), 0)
		if err != nil && !errors.Is(err, registry.ErrCorrupt) {
			t.Fatal(err)
		}
		if got, err := s.Get(t.Context(), "a/b", kept.Manifest.Digest.String()); !over && (err != nil || !got.Equal(kept)) {
			t.Fatal(err)
		}
	})
}
