package embedded_test

import (
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

func TestUnknownDurabilityIsRefused(t *testing.T) {
	t.Parallel()
	_, err := embedded.Open(embedded.Options{FS: vfs.NewMem(), Folder: "/data", Durability: "some"})
	if err == nil || !strings.Contains(err.Error(), `"some"`) || !strings.Contains(err.Error(), "commit or none") {
		t.Fatalf("Open: %v", err)
	}
}

// Every write waits for a sync, and with DurabilityNone for none: neither of
// the log, nor of a large blob, nor of its folder.
func TestSyncsThatWritesWaitFor(t *testing.T) {
	t.Parallel()
	for durability, waits := range map[embedded.Durability]bool{"": true, embedded.DurabilityCommit: true, embedded.DurabilityNone: false} {
		t.Run("durability "+string(durability), func(t *testing.T) {
			t.Parallel()
			var syncs atomic.Int64
			fs := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
				switch op.Kind {
				case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
					syncs.Add(1)
				}
				return nil
			}))
			s := open(t, embedded.Options{FS: fs, Folder: "/data", Durability: durability})
			c := serve(t, s, embedded.HandlerOptions{})
			for name, write := range map[string]func(a registry.Artifact){
				"commit": func(a registry.Artifact) {
					if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: a}); err != nil {
						t.Fatal(err)
					}
					if err := s.Commit(t.Context(), registry.Tag{Repository: "a/b", Name: "latest", Manifest: a.Manifest}); err != nil {
						t.Fatal(err)
					}
				},
				"push":   func(a registry.Artifact) { c.push("a/b", "pushed", a) },
				"delete": func(registry.Artifact) { c.want(http.StatusAccepted, "DELETE", "/v2/a/b/manifests/pushed", nil) },
			} {
				if name == "delete" {
					c.push("a/b", "pushed", registrytest.Artifact(t, nil, "deleted"))
				}
				before := syncs.Load()
				write(registrytest.Artifact(t, nil, name, large(name)))
				if after := syncs.Load(); (after > before) != waits {
					t.Errorf("%s: %d syncs", name, after-before)
				}
			}
		})
	}
}

// With either durability, what was acknowledged is there after the process was
// killed: the operating system has all of it.
func TestAcknowledgedSurvivesAKill(t *testing.T) {
	t.Parallel()
	for _, durability := range []embedded.Durability{embedded.DurabilityCommit, embedded.DurabilityNone} {
		t.Run(string(durability), func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "data")
			s := open(t, embedded.Options{Folder: folder, Durability: durability})
			c := serve(t, s, embedded.HandlerOptions{})
			for round := range 3 {
				tag := fmt.Sprint("tag-", round)
				pushed, put := registrytest.Artifact(t, nil, "pushed "+tag, large(tag)), registrytest.Artifact(t, nil, "put "+tag)
				if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: put}); err != nil {
					t.Fatal(err)
				}
				if err := s.Commit(t.Context(), registry.Tag{Repository: "a/b", Name: "latest", Manifest: put.Manifest}); err != nil {
					t.Fatal(err)
				}
				c.push("a/b", tag, pushed)
				// The files of a store that is open are what a killed process
				// leaves.
				copied := filepath.Join(t.TempDir(), tag)
				if out, err := exec.CommandContext(t.Context(), "cp", "-a", folder, copied).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
				after := open(t, embedded.Options{Folder: copied, Durability: durability})
				mustGet(t, after, "a/b", "latest", put)
				mustGet(t, after, "a/b", tag, pushed)
			}
		})
	}
}
