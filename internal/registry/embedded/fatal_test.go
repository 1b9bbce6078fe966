package embedded_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

// failing returns a store whose file operations fail, once armed, if match
// says so, and the number of its fatal errors.
func failing(t *testing.T, match func(errorfs.Op) bool) (s *embedded.Store, arm func(), fatal *atomic.Int64) {
	t.Helper()
	var armed atomic.Bool
	fatal = new(atomic.Int64)
	fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if armed.Load() && match(op) {
			return syscall.EIO
		}
		return nil
	}))
	s, err := embedded.Open(embedded.Options{FS: fs, Folder: "/data", Fatal: func(error) { fatal.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, func() { armed.Store(true) }, fatal
}

func isLogSync(op errorfs.Op) bool {
	sync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData || op.Kind == errorfs.OpFileSyncTo
	return sync && strings.HasSuffix(op.Path, ".log")
}

func isBlobFolderSync(op errorfs.Op) bool {
	return op.Kind == errorfs.OpFileSync && strings.HasSuffix(op.Path, "/blobs/sha256")
}

// When a sync fails nobody knows what is durable: the caller learns that the
// outcome is unknown, the owner learns that the process must end, and the
// store does nothing any more.
func TestFailedSyncIsFatal(t *testing.T) {
	t.Parallel()
	a := registrytest.Artifact(t, nil, large("large"))
	tag := registry.Tag{Repository: "a/b", Name: "latest", Manifest: a.Manifest}
	for name, match := range map[string]func(errorfs.Op) bool{
		"of the log":         isLogSync,
		"of the blob folder": isBlobFolderSync,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, arm, fatal := failing(t, match)
			arm()
			err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: a})
			if err == nil {
				err = s.Commit(t.Context(), tag)
			}
			if !errors.Is(err, registry.ErrUnavailable) || registry.Settled(err) {
				t.Fatalf("got %v, want an unknown outcome", err)
			}
			if fatal.Load() == 0 {
				t.Error("the owner was not told")
			}
			if err := s.Commit(t.Context(), tag); !errors.Is(err, registry.ErrUnavailable) {
				t.Errorf("later Commit: %v", err)
			}
			if _, err := s.Resolve(t.Context(), "a/b", "latest"); !errors.Is(err, registry.ErrUnavailable) {
				t.Errorf("later Resolve: %v", err)
			}
			if err := s.Close(); err == nil {
				t.Error("Close hides the failure")
			}
		})
	}
}

// A large blob that cannot be written is an error of its Put alone: nothing
// names the file yet.
func TestFailedBlobFileIsNotFatal(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]errorfs.OpKind{
		"create": errorfs.OpCreate, "write": errorfs.OpFileWrite, "sync": errorfs.OpFileSync, "rename": errorfs.OpRename,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var count atomic.Int64
			s, arm, fatal := failing(t, func(op errorfs.Op) bool {
				return op.Kind == kind && strings.Contains(op.Path, "/uploads/") && count.Add(1) == 1
			})
			arm()
			a := registrytest.Artifact(t, nil, large("large"))
			push := registry.Push{Repository: "a/b", Artifact: a}
			if err := s.Put(t.Context(), push); !errors.Is(err, registry.ErrUnavailable) {
				t.Fatalf("Put: %v", err)
			}
			if _, err := s.Resolve(t.Context(), "a/b", a.Manifest.Digest.String()); !errors.Is(err, registry.ErrNotFound) {
				t.Fatalf("Resolve: %v", err)
			}
			if err := s.Put(t.Context(), push); err != nil {
				t.Fatalf("Put again: %v", err)
			}
			mustGet(t, s, "a/b", a.Manifest.Digest.String(), a)
			if fatal.Load() != 0 {
				t.Error("the owner was told to end")
			}
		})
	}
}

func TestClosedStore(t *testing.T) {
	t.Parallel()
	s, _, _ := failing(t, func(errorfs.Op) bool { return false })
	c := serve(t, s, embedded.HandlerOptions{})
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	a := registrytest.Artifact(t, nil, "a")
	if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: a}); !errors.Is(err, registry.ErrUnreachable) {
		t.Errorf("Put: %v", err)
	}
	if _, err := s.Tags(t.Context(), "a/b", "", 1); !errors.Is(err, registry.ErrUnreachable) {
		t.Errorf("Tags: %v", err)
	}
	c.refused(503, "UNAVAILABLE", "GET", "/v2/", nil)
	c.refused(503, "UNAVAILABLE", "POST", "/v2/a/b/blobs/uploads/", nil)
}
