package remote_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

// apiServer accepts every write, and answers the referrers API with all
// referrers, whatever type is asked for.
type apiServer struct {
	mu        sync.Mutex
	puts      []string
	referrers []ocispec.Descriptor
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case r.Method == http.MethodPost:
		w.Header().Set("Location", "/v2/repo/blobs/uploads/1")
		w.WriteHeader(http.StatusAccepted)
	case r.Method == http.MethodPut:
		s.puts = append(s.puts, r.URL.Path)
		w.WriteHeader(http.StatusCreated)
	case strings.HasPrefix(r.URL.Path, "/v2/repo/referrers/"):
		w.Header().Set("Content-Type", ocispec.MediaTypeImageIndex)
		_ = json.NewEncoder(w).Encode(ocispec.Index{Manifests: s.referrers})
	default:
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		w.WriteHeader(http.StatusNotFound)
	}
}

func TestReferrersAPI(t *testing.T) {
	t.Parallel()
	s := &apiServer{}
	server := httptest.NewServer(s)
	defer server.Close()
	r := open(t, strings.TrimPrefix(server.URL, "http://"))
	subject := registrytest.Artifact(t, nil, "subject")
	a := registrytest.Referrer(t, subject.Manifest, "application/vnd.example.a", nil)
	if err := r.Put(t.Context(), registry.Push{Repository: "repo", Artifact: a}); err != nil {
		t.Fatal(err)
	}
	for _, path := range s.puts {
		if strings.HasPrefix(path, "/v2/repo/manifests/") && path != "/v2/repo/manifests/"+a.Manifest.Digest.String() {
			t.Errorf("an index was put although there is the API: %s", path)
		}
	}
	b := ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: digest.FromString("b"), Size: 1, ArtifactType: "application/vnd.example.b"}
	s.referrers = []ocispec.Descriptor{{MediaType: a.Manifest.MediaType, Digest: a.Manifest.Digest, ArtifactType: "application/vnd.example.a"}, b}
	all, err := r.Referrers(t.Context(), "repo", subject.Manifest.Digest, "")
	if err != nil || len(all) != 2 {
		t.Errorf("all: %v, %v", all, err)
	}
	some, err := r.Referrers(t.Context(), "repo", subject.Manifest.Digest, "application/vnd.example.b")
	if err != nil || len(some) != 1 || some[0].Digest != b.Digest {
		t.Errorf("of one type: %v, %v", some, err)
	}
}

// TestReferrersThatCannotBeRead must not be taken for none, nor make the
// client believe that there is no API.
func TestReferrersThatCannotBeRead(t *testing.T) {
	t.Parallel()
	backend := registrytest.StartDistribution(t)
	p, r := newProxy(t, backend)
	subject := registrytest.Artifact(t, nil, "subject")
	a := registrytest.Referrer(t, subject.Manifest, "application/vnd.example.a", nil)
	for name, f := range map[string]fault{"a proxy's 404": status(404, "text/html", html), "500": refusal(500, "UNKNOWN")} {
		p.set("GET /referrers/", f)
		if got, err := r.Referrers(t.Context(), "referrers/repo", subject.Manifest.Digest, ""); !errors.Is(err, registry.ErrUnavailable) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	p.set("", nil)
	if err := r.Put(t.Context(), registry.Push{Repository: "referrers/repo", Artifact: a}); err != nil {
		t.Fatal(err)
	}
	p.set("GET /manifests/sha256-", status(404, "text/html", html)) // the index
	if got, err := r.Referrers(t.Context(), "referrers/repo", subject.Manifest.Digest, ""); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("the index: %v, %v", got, err)
	}
	b := registrytest.Referrer(t, subject.Manifest, "application/vnd.example.b", nil)
	if err := r.Put(t.Context(), registry.Push{Repository: "referrers/repo", Artifact: b}); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("Put without being able to read the index: %v", err)
	}
	p.set("", nil)
	if err := r.Put(t.Context(), registry.Push{Repository: "referrers/repo", Artifact: b}); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Referrers(t.Context(), "referrers/repo", subject.Manifest.Digest, ""); err != nil || len(got) != 2 {
		t.Errorf("afterwards: %v, %v", got, err)
	}
}

// TestTagOfAReferrerIsOneRequest, because Put has done the index.
func TestTagOfAReferrerIsOneRequest(t *testing.T) {
	t.Parallel()
	p, r := newProxy(t, registrytest.StartDistribution(t))
	subject := registrytest.Artifact(t, nil, "subject")
	a := stored(t, r, "referrers/tagged", "first", "text")
	b := registrytest.Referrer(t, subject.Manifest, "application/vnd.example.b", nil)
	if err := r.Put(t.Context(), registry.Push{Repository: "referrers/tagged", Artifact: b}); err != nil {
		t.Fatal(err)
	}
	for _, m := range []registry.Manifest{a.Manifest, b.Manifest} {
		p.set("GET ", func(w http.ResponseWriter, r *http.Request, next http.Handler) { next.ServeHTTP(w, r) })
		if err := r.Commit(t.Context(), registry.Tag{Repository: "referrers/tagged", Name: "latest", Manifest: m}); err != nil {
			t.Fatal(err)
		}
		if n := p.seen(); n != 0 {
			t.Errorf("%d manifests or lists were read", n)
		}
	}
}
