package drive

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
)

func newRegistry(t *testing.T, wrap func(http.Handler) http.HandlerFunc) Registry {
	t.Helper()
	store, err := embedded.Open(embedded.Options{Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	client, url := serve(t, wrap(store.Handler(embedded.HandlerOptions{})))
	return Registry{client, url}
}

func sample() Push {
	config, layer := registry.NewBlob(ocispec.MediaTypeEmptyJSON, []byte("{}")), registry.NewBlob("text/plain", []byte("layer"))
	manifest := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"config":{"mediaType":%q,"digest":%q,"size":2},"layers":[{"mediaType":"text/plain","digest":%q,"size":5}]}`,
		ocispec.MediaTypeImageManifest, ocispec.MediaTypeEmptyJSON, config.Digest, layer.Digest)
	return Push{
		Repository: "raw/a", Tags: []string{"v1", "latest"},
		Artifact: registry.Artifact{Manifest: registry.NewManifest(ocispec.MediaTypeImageManifest, []byte(manifest)), Blobs: []registry.Blob{config, layer}},
	}
}

// A raw push is six requests, whatever is there already, and what it leaves can
// be pulled.
func TestAPushIsSixRequests(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	r := newRegistry(t, func(next http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			mu.Lock()
			seen = append(seen, req.Method+" "+req.URL.Path[:min(len(req.URL.Path), len("/v2/raw/a/manifests/latest"))])
			mu.Unlock()
			next.ServeHTTP(w, req)
		}
	})
	for range 2 {
		seen = nil
		if err := r.Push(t.Context(), sample()); err != nil {
			t.Fatal(err)
		}
		methods := make([]string, len(seen))
		for i, s := range seen {
			methods[i], _, _ = strings.Cut(s, " ")
		}
		want := []string{"POST", "PUT", "POST", "PUT", "PUT", "PUT"}
		if !slices.Equal(methods, want) || seen[4] != "PUT /v2/raw/a/manifests/v1" || seen[5] != "PUT /v2/raw/a/manifests/latest" {
			t.Errorf("a push sent %q", seen)
		}
	}
	for _, tag := range sample().Tags {
		n, err := r.Pull(t.Context(), "raw/a", tag)
		if want := int64(len(sample().Artifact.Manifest.Data) + len("{}layer")); err != nil || n != want {
			t.Errorf("pulled %d bytes, error %v; want %d", n, err, want)
		}
	}
}

// A refusal of any of the six requests fails the push.
func TestARefusedPushFails(t *testing.T) {
	t.Parallel()
	for refused := range 6 {
		n := 0
		r := newRegistry(t, func(next http.Handler) http.HandlerFunc {
			return func(w http.ResponseWriter, req *http.Request) {
				if n++; n-1 == refused {
					w.WriteHeader(http.StatusTooManyRequests)
					return
				}
				next.ServeHTTP(w, req)
			}
		})
		if err := r.Push(t.Context(), sample()); err == nil || !strings.Contains(err.Error(), "429") {
			t.Errorf("request %d was refused: error %v", refused, err)
		}
	}
}

func TestPullComparesDigests(t *testing.T) {
	t.Parallel()
	r := newRegistry(t, func(next http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, req *http.Request) {
			if req.Method == http.MethodGet && strings.Contains(req.URL.Path, "/blobs/") {
				_, _ = w.Write([]byte("something else"))
				return
			}
			next.ServeHTTP(w, req)
		}
	})
	if err := r.Push(t.Context(), sample()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Pull(t.Context(), "raw/a", "v1"); err == nil || !strings.Contains(err.Error(), "is not sha256:") {
		t.Errorf("a wrong blob was pulled: error %v", err)
	}
}
