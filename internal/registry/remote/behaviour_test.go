package remote_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
	"gitops-squared.io/gsq/internal/registry/remote"
)

func TestConcurrencyLimitAndUserAgent(t *testing.T) {
	t.Parallel()
	const limit = 3
	next := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: registrytest.StartDistribution(t)})
	var running, most, others atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := running.Add(1)
		defer running.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		if r.UserAgent() != "tester/1" {
			others.Add(1)
		}
		next.ServeHTTP(w, r)
	}))
	defer server.Close()
	r, err := remote.New(remote.Options{
		Address:      remote.Address{Host: strings.TrimPrefix(server.URL, "http://"), Plain: true},
		DockerConfig: t.TempDir(), UserAgent: "tester/1", Concurrency: limit,
	})
	if err != nil {
		t.Fatal(err)
	}
	var pushes []registry.Push
	for i := range 20 {
		pushes = append(pushes, registry.Push{Repository: fmt.Sprintf("many/%d", i%4), Artifact: registrytest.Artifact(t, nil, fmt.Sprint(i))})
	}
	if err := r.Put(t.Context(), pushes...); err != nil {
		t.Fatal(err)
	}
	if most.Load() > limit || most.Load() < 2 || others.Load() > 0 {
		t.Errorf("%d requests at once, limit %d; %d with another user agent", most.Load(), limit, others.Load())
	}
}

// TestContextEndsWhileWaiting ends the caller's context before the request's
// own time-out does.
func TestContextEndsWhileWaiting(t *testing.T) {
	t.Parallel()
	p, r := newProxy(t, registrytest.StartDistribution(t))
	a := stored(t, r, "waiting/repo", "latest", "text")
	arrived := make(chan struct{}, 1)
	p.set("PUT /manifests/", func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		arrived <- struct{}{}
		hang(w, r, next)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	err := r.Commit(ctx, registry.Tag{Repository: "waiting/repo", Name: "latest", Manifest: a.Manifest})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, registry.ErrUnavailable) || registry.Settled(err) {
		t.Errorf("got %v", err)
	}
}

func TestBadNamesAreRefused(t *testing.T) {
	t.Parallel()
	r := open(t, registrytest.StartDistribution(t))
	a := stored(t, r, "good/repo", "latest", "text")
	for _, repo := range []string{"", "UPPER", "a//b", "../x", "a?b", "a b"} {
		if err := r.Put(t.Context(), registry.Push{Repository: repo, Artifact: a}); !errors.Is(err, registry.ErrRefused) {
			t.Errorf("Put into %q: %v", repo, err)
		}
		if _, err := r.Get(t.Context(), repo, "latest"); !errors.Is(err, registry.ErrRefused) {
			t.Errorf("Get from %q: %v", repo, err)
		}
	}
	for _, tag := range []string{"", "a/b", "a?b", "a b", "-a", strings.Repeat("x", 129)} {
		if err := r.Commit(t.Context(), registry.Tag{Repository: "good/repo", Name: tag, Manifest: a.Manifest}); !errors.Is(err, registry.ErrRefused) {
			t.Errorf("Commit of %q: %v", tag, err)
		}
		if _, err := r.Resolve(t.Context(), "good/repo", tag); !errors.Is(err, registry.ErrRefused) {
			t.Errorf("Resolve of %q: %v", tag, err)
		}
	}
	if _, err := r.Referrers(t.Context(), "good/repo", "sha256:short", ""); !errors.Is(err, registry.ErrRefused) {
		t.Errorf("Referrers: %v", err)
	}
	if err := r.Delete(t.Context(), "good/repo", "latest"); !errors.Is(err, registry.ErrRefused) {
		t.Errorf("Delete: %v", err)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	p, r := newProxy(t, registrytest.StartDistribution(t))
	empty := remote.Capabilities{APIVersion: "registry/2.0", Referrers: "no", TagPaging: "unknown", Delete: "yes"}
	if c, err := r.Probe(t.Context(), "probe/empty"); err != nil || c != empty {
		t.Errorf("an empty repository: %+v, %v", c, err)
	}
	stored(t, r, "probe/repo", "a", "text")
	stored(t, r, "probe/repo", "b", "text")
	want := empty
	want.TagPaging = "yes"
	if c, err := r.Probe(t.Context(), "probe/repo"); err != nil || c != want {
		t.Errorf("two tags: %+v, %v", c, err)
	}
	p.set("DELETE /manifests/", refusal(405, "UNSUPPORTED"))
	want.Delete = "no"
	if c, err := r.Probe(t.Context(), "probe/repo"); err != nil || c != want {
		t.Errorf("no deletion: %+v, %v", c, err)
	}
	p.set("DELETE /manifests/", refusal(403, "DENIED"))
	want.Delete = "unknown"
	if c, err := r.Probe(t.Context(), "probe/repo"); err != nil || c != want {
		t.Errorf("deletion denied: %+v, %v", c, err)
	}
	p.set("GET /v2/", status(404, "text/html", html))
	if c, err := r.Probe(t.Context(), "probe/repo"); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("not a registry: %+v, %v", c, err)
	}
}
