package embedded_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

func inMemory(t testing.TB) *embedded.Store {
	t.Helper()
	return open(t, embedded.Options{FS: vfs.NewMem(), Folder: "/data"})
}

func TestPutRefusesWhatItCannotStore(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	good := registrytest.Artifact(t, nil, "layer")
	for name, edit := range map[string]func(*registry.Push){
		"repository in upper case": func(p *registry.Push) { p.Repository = "Upper/case" },
		"no repository":            func(p *registry.Push) { p.Repository = "" },
		"long repository":          func(p *registry.Push) { p.Repository = strings.Repeat("a", 256) },
		"foreign media type":       func(p *registry.Push) { p.Artifact.Manifest.MediaType = "text/plain" },
		"another kind":             func(p *registry.Push) { p.Artifact.Manifest.MediaType = ocispec.MediaTypeImageIndex },
		"no JSON": func(p *registry.Push) {
			p.Artifact.Manifest = registry.NewManifest(ocispec.MediaTypeImageManifest, []byte("{"))
		},
		"no schema version": func(p *registry.Push) {
			p.Artifact.Manifest = registry.NewManifest(ocispec.MediaTypeImageManifest, []byte("{}"))
		},
		"wrong size of a layer": func(p *registry.Push) {
			p.Artifact.Manifest = registrytest.Artifact(t, func(m *ocispec.Manifest) { m.Layers[0].Size++ }, "layer").Manifest
		},
		"bad digest of a layer": func(p *registry.Push) {
			p.Artifact.Manifest = registrytest.Artifact(t, func(m *ocispec.Manifest) { m.Layers[0].Digest = "md5:00" }, "layer").Manifest
		},
		"both image and index": func(p *registry.Push) {
			data := strings.Replace(string(good.Manifest.Data), `"layers"`, `"manifests":[],"layers"`, 1)
			p.Artifact.Manifest = registry.NewManifest(ocispec.MediaTypeImageManifest, []byte(data))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := registry.Push{Repository: "refused/" + strings.ReplaceAll(strings.ToLower(name), " ", "-"), Artifact: good}
			edit(&p)
			if err := s.Put(t.Context(), p); !errors.Is(err, registry.ErrRefused) {
				t.Fatalf("Put: %v, want ErrRefused", err)
			}
			if _, err := s.Resolve(t.Context(), p.Repository, p.Artifact.Manifest.Digest.String()); err == nil {
				t.Error("it was stored")
			}
		})
	}
}

// One bad artifact among many is found before anything is stored.
func TestPutChecksBeforeItStores(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	good := registrytest.Artifact(t, nil, "good")
	bad := registrytest.Artifact(t, nil, "bad")
	bad.Manifest.Data = append([]byte(" "), bad.Manifest.Data...)
	if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: good}, registry.Push{Repository: "a/b", Artifact: bad}); !errors.Is(err, registry.ErrRefused) {
		t.Fatalf("Put: %v", err)
	}
	if _, err := s.Resolve(t.Context(), "a/b", good.Manifest.Digest.String()); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("the good one: %v, want ErrNotFound", err)
	}
}

// A blob of one repository cannot be named from another by its digest alone.
func TestBlobsBelongToTheirRepository(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	a := registrytest.Artifact(t, nil, "secret of one tenant")
	if err := s.Put(t.Context(), registry.Push{Repository: "one/repo", Artifact: a}); err != nil {
		t.Fatal(err)
	}
	stolen := registry.Artifact{Manifest: a.Manifest, Blobs: a.Blobs[:1]}
	var missing *embedded.MissingError
	if err := s.Put(t.Context(), registry.Push{Repository: "two/repo", Artifact: stolen}); !errors.As(err, &missing) || len(missing.Digests) != 1 || missing.Digests[0] != a.Blobs[1].Digest {
		t.Fatalf("Put: %v, want the layer missing", err)
	}
}

// A large blob whose file was lost is restored by pushing it again.
func TestPutRestoresALostFile(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s := open(t, embedded.Options{FS: fs, Folder: "/data"})
	a := registrytest.Artifact(t, nil, large("large"))
	push := registry.Push{Repository: "a/b", Artifact: a}
	if err := s.Put(t.Context(), push); err != nil {
		t.Fatal(err)
	}
	if err := fs.Remove("/data/blobs/sha256/" + a.Blobs[1].Digest.Encoded()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "a/b", a.Manifest.Digest.String()); !errors.Is(err, registry.ErrCorrupt) {
		t.Fatalf("Get: %v, want ErrCorrupt", err)
	}
	if err := s.Put(t.Context(), push); err != nil {
		t.Fatal(err)
	}
	mustGet(t, s, "a/b", a.Manifest.Digest.String(), a)
}

// A blob is stored once, whatever the number of its repositories, and goes
// with the last of them.
func TestLargeBlobsAreShared(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s := open(t, embedded.Options{FS: fs, Folder: "/data"})
	c := serve(t, s, embedded.HandlerOptions{})
	a := registrytest.Artifact(t, nil, large("large"))
	d := a.Blobs[1].Digest
	for _, repo := range []string{"one", "two"} {
		if err := s.Put(t.Context(), registry.Push{Repository: repo, Artifact: a}); err != nil {
			t.Fatal(err)
		}
	}
	files := func(n int) {
		t.Helper()
		names, err := fs.List("/data/blobs/sha256")
		if err != nil || len(names) != n {
			t.Fatalf("files of blobs: %v, %v; want %d", names, err, n)
		}
		if names, err := fs.List("/data/uploads"); err != nil || len(names) != 0 {
			t.Fatalf("files of uploads: %v, %v", names, err)
		}
	}
	files(1)
	c.want(202, "DELETE", "/v2/one/blobs/"+d.String(), nil)
	files(1)
	c.want(404, "GET", "/v2/one/blobs/"+d.String(), nil)
	c.want(200, "GET", "/v2/two/blobs/"+d.String(), nil)
	if _, err := s.Get(t.Context(), "one", a.Manifest.Digest.String()); !errors.Is(err, registry.ErrCorrupt) {
		t.Errorf("Get of a manifest without its blob: %v, want ErrCorrupt", err)
	}
	c.want(202, "DELETE", "/v2/two/blobs/"+d.String(), nil)
	files(0)
	c.want(404, "DELETE", "/v2/two/blobs/"+d.String(), nil)
}

// More than one batch's worth in a single Put.
func TestPutOfManyLargeManifests(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	var pushes []registry.Push
	for i := range 4 {
		a := registrytest.Artifact(t, func(m *ocispec.Manifest) {
			m.Annotations = map[string]string{"padding": strings.Repeat("x", 1200<<10)}
		}, fmt.Sprint(i))
		pushes = append(pushes, registry.Push{Repository: "a/b", Artifact: a})
	}
	if err := s.Put(t.Context(), pushes...); err != nil {
		t.Fatal(err)
	}
	for _, p := range pushes {
		mustGet(t, s, "a/b", p.Artifact.Manifest.Digest.String(), p.Artifact)
	}
}

// Deleting manifests while tags move and manifests are pushed again never
// loses a tag that was committed, and never leaves one that names nothing.
func TestConcurrentDeleteAndCommit(t *testing.T) {
	t.Parallel()
	s := open(t, embedded.Options{Folder: filepath.Join(t.TempDir(), "data")})
	doomed := registrytest.Artifact(t, nil, "doomed")
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			kept := registrytest.Artifact(t, nil, fmt.Sprint(worker), large(fmt.Sprint(worker)))
			tag := fmt.Sprintf("worker-%d", worker)
			for range 30 {
				if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: doomed}, registry.Push{Repository: "a/b", Artifact: kept}); err != nil {
					t.Error(err)
				}
				if err := s.Tag(t.Context(), registry.Tag{Repository: "a/b", Name: tag, Manifest: doomed.Manifest}); err != nil && !errors.Is(err, registry.ErrRefused) {
					t.Error(err)
				}
				if err := s.Commit(t.Context(), registry.Tag{Repository: "a/b", Name: tag, Manifest: kept.Manifest}); err != nil {
					t.Error(err)
				}
				if d, err := s.Resolve(t.Context(), "a/b", tag); err != nil || d.Digest != kept.Manifest.Digest {
					t.Errorf("committed tag: %v, %v", d.Digest, err)
				}
				if err := s.Delete(t.Context(), "a/b", doomed.Manifest.Digest); err != nil && !errors.Is(err, registry.ErrNotFound) {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}
