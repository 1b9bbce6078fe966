package remote_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
	"gitops-squared.io/gsq/internal/registry/remote"
)

// mountWatch notes from where blobs were to be mounted and how many uploads
// were begun without, and answers mounts with a fault unless that is nil.
type mountWatch struct {
	mu      sync.Mutex
	mounts  []string
	uploads int
}

func (m *mountWatch) answer(f fault) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		from := r.URL.Query().Get("from")
		m.mu.Lock()
		if from == "" {
			m.uploads++
		} else {
			m.mounts = append(m.mounts, from)
		}
		m.mu.Unlock()
		if from == "" || f == nil {
			next.ServeHTTP(w, r)
		} else {
			f(w, r, next)
		}
	}
}

// taken returns what was noted since the last time.
func (m *mountWatch) taken() ([]string, int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() { m.mounts, m.uploads = nil, 0 }()
	return m.mounts, m.uploads
}

const begin = "POST /blobs/uploads/"

// unable answers as a registry that cannot mount: it opens an upload.
func unable(w http.ResponseWriter, r *http.Request, next http.Handler) {
	r.URL.RawQuery = ""
	next.ServeHTTP(w, r)
}

// holds fails the test unless the artifact can be read whole.
func holds(t *testing.T, r registry.Registry, repo string, a registry.Artifact) {
	t.Helper()
	got, err := r.Get(t.Context(), repo, a.Manifest.Digest.String())
	if err != nil || len(got.Blobs) != len(a.Blobs) {
		t.Errorf("%s holds %d blobs, %v; want %d", repo, len(got.Blobs), err, len(a.Blobs))
	}
}

func TestEmptyBlobIsMounted(t *testing.T) {
	t.Parallel()
	p, r := newProxy(t, registrytest.StartDistribution(t))
	var watch mountWatch
	p.set(begin, watch.answer(nil))
	for i, c := range []struct {
		repo string
		from string
	}{
		{"mount/a", "mount/a"}, // nothing is there yet: an upload is opened
		{"mount/b", "mount/a"},
		{"mount/b", "mount/a"},
		{"mount/c", "mount/a"},
	} {
		a := registrytest.Artifact(t, nil, fmt.Sprint("text ", i))
		if err := r.Put(t.Context(), registry.Push{Repository: c.repo, Artifact: a}); err != nil {
			t.Fatal(err)
		}
		if from, uploads := watch.taken(); !slices.Equal(from, []string{c.from}) || uploads != 1 { // that of the layer
			t.Errorf("number %d: mounted from %q, %d uploads; want %q, 1", i, from, uploads, c.from)
		}
		holds(t, r, c.repo, a)
	}
}

// TestMountFaults mounts into a new repository after one has the blob. Whatever
// the registry answers, it ends up with the blob; what it did not answer well is
// not tried at once again.
func TestMountFaults(t *testing.T) {
	t.Parallel()
	backend := registrytest.StartDistribution(t)
	for name, c := range map[string]struct {
		fault   fault
		want    error
		uploads int // the layer's, and that of the empty blob; one less if the layer's had not begun when it failed
		mounts  int // of a second Put
	}{
		"unable":         {unable, nil, 1, 1},
		"404":            {refusal(404, "NAME_UNKNOWN"), nil, 2, 0},
		"403":            {refusal(403, "DENIED"), nil, 2, 0},
		"405":            {status(405, "text/plain", ""), nil, 2, 0},
		"500":            {refusal(500, "UNKNOWN"), nil, 2, 0},
		"429":            {refusal(429, "TOOMANYREQUESTS"), registry.ErrRefused, 1, 0},
		"reset":          {reset(true), registry.ErrUnavailable, 1, 0},
		"said, not done": {status(201, "text/plain", ""), nil, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, r := newProxy(t, backend)
			base := "mount-faults/" + strings.NewReplacer(" ", "-", ",", "").Replace(name)
			stored(t, r, base+"/source", "latest", "text")
			var watch mountWatch
			p.set(begin, watch.answer(c.fault))
			a := registrytest.Artifact(t, nil, "of "+name)
			push := registry.Push{Repository: base + "/new", Artifact: a}
			if err := r.Put(t.Context(), push); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if from, uploads := watch.taken(); !slices.Equal(from, []string{base + "/source"}) || uploads != c.uploads && (c.want == nil || uploads > c.uploads) {
				t.Errorf("mounts from %q, %d uploads; want %d", from, uploads, c.uploads)
			}
			if c.want == nil {
				holds(t, r, push.Repository, a)
			}
			push.Repository = base + "/next"
			if err := r.Put(t.Context(), push); err != nil {
				t.Errorf("the next: %v", err)
			}
			if from, _ := watch.taken(); len(from) != c.mounts {
				t.Errorf("the next: mounts from %q, want %d", from, c.mounts)
			}
			holds(t, r, push.Repository, a)
		})
	}
}

// TestMountsStayWithinATokensRepository speaks to a registry that hands out a
// token for each repository: a mount from another one would need one more.
func TestMountsStayWithinATokensRepository(t *testing.T) {
	t.Parallel()
	next := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: registrytest.StartDistribution(t)})
	var watch mountWatch
	var mu sync.Mutex
	scopes := map[string]bool{}
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		scopes[strings.Join(r.URL.Query()["scope"], " ")] = true
		_, _ = w.Write([]byte(`{"token":"t"}`))
	})
	mux.HandleFunc("/v2/", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer t" {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="s"`, server.URL))
			refusal(401, "UNAUTHORIZED")(w, r, nil)
			return
		}
		if r.Method == http.MethodPost {
			watch.answer(nil)(w, r, next)
			return
		}
		next.ServeHTTP(w, r)
	})
	host := strings.TrimPrefix(server.URL, "http://")
	r, err := remote.New(remote.Options{Address: remote.Address{Host: host, Plain: true}, DockerConfig: t.TempDir(), RequestTimeout: patient})
	if err != nil {
		t.Fatal(err)
	}
	for _, repo := range []string{"token/a", "token/b"} {
		for range 2 {
			if err := r.Put(t.Context(), registry.Push{Repository: repo, Artifact: registrytest.Artifact(t, nil, "text")}); err != nil {
				t.Fatal(err)
			}
			if from, _ := watch.taken(); !slices.Equal(from, []string{repo}) {
				t.Errorf("%s: mounts from %q", repo, from)
			}
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if want := map[string]bool{"repository:token/a:pull,push": true, "repository:token/b:pull,push": true}; fmt.Sprint(scopes) != fmt.Sprint(want) {
		t.Errorf("tokens for %v, want %v", scopes, want)
	}
}

// TestManifestsWaitForTheirOwnBlobsOnly holds one artifact's blob back until
// the other artifact's manifest was put.
func TestManifestsWaitForTheirOwnBlobsOnly(t *testing.T) {
	t.Parallel()
	p, r := newProxy(t, registrytest.StartDistribution(t))
	done := make(chan struct{})
	p.set("PUT /v2/", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.Contains(r.URL.Path, "/slow/blobs/") {
			select {
			case <-done:
			case <-r.Context().Done():
				return
			}
		}
		next.ServeHTTP(w, r)
		if strings.Contains(r.URL.Path, "/quick/manifests/") {
			close(done)
		}
	})
	slow, quick := registrytest.Artifact(t, nil, "slow"), registrytest.Artifact(t, nil, "quick")
	err := r.Put(t.Context(), registry.Push{Repository: "own/slow", Artifact: slow}, registry.Push{Repository: "own/quick", Artifact: quick})
	if err != nil {
		t.Fatal(err)
	}
	holds(t, r, "own/slow", slow)
	holds(t, r, "own/quick", quick)
}

// TestSharedBlobsAreUploadedOnce puts artifacts of one repository that share a
// blob.
func TestSharedBlobsAreUploadedOnce(t *testing.T) {
	t.Parallel()
	p, r := newProxy(t, registrytest.StartDistribution(t))
	var watch mountWatch
	p.set(begin, watch.answer(nil))
	var pushes []registry.Push
	for i := range 8 {
		pushes = append(pushes, registry.Push{Repository: "shared/repo", Artifact: registrytest.Artifact(t, nil, "shared", fmt.Sprint(i%4))})
	}
	if err := r.Put(t.Context(), pushes...); err != nil {
		t.Fatal(err)
	}
	if mounts, uploads := watch.taken(); len(mounts) != 1 || uploads != 5 {
		t.Errorf("%d mounts and %d uploads, want 1 and 5", len(mounts), uploads)
	}
	for _, push := range pushes {
		holds(t, r, push.Repository, push.Artifact)
	}
}
