package proxy_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/e2e/proxy"
)

// tags is a registry of nothing but tags: a PUT stores, a GET answers with it.
type tags struct {
	mu   sync.Mutex
	held map[string]string // by path
}

func (b *tags) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	w.Header().Set("Seen-Host", r.Host)
	if r.Method == http.MethodPut {
		b.held[r.URL.Path] = string(body)
		w.Header().Set("Docker-Content-Digest", digest.FromBytes(body).String())
		w.WriteHeader(http.StatusCreated)
		return
	}
	content, ok := b.held[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	io.WriteString(w, content)
}

func (b *tags) at(path string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.held[path]
}

const latest = "/v2/some/manifests/latest"

func start(t *testing.T) (*proxy.Proxy, *tags) {
	t.Helper()
	b := &tags{held: map[string]string{latest: "the old content"}}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	p, err := proxy.New(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p, b
}

type reply struct {
	status int
	header http.Header
	body   string
	err    error // also of an answer that broke off
}

func send(t *testing.T, p *proxy.Proxy, method, path, body string) reply {
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.Host+path, strings.NewReader(body))
	if err != nil {
		t.Error(err)
		return reply{}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // nothing is sent twice
	resp, err := client.Do(req)
	if err != nil {
		return reply{err: err}
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(content), err}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for status, code := range map[int]string{429: "TOOMANYREQUESTS", 500: "UNKNOWN", 503: "UNKNOWN"} {
		p, b := start(t)
		rule := p.Add(proxy.Rule{Method: http.MethodPut, Path: regexp.MustCompile(`/manifests/latest$`), Fault: proxy.Refuse(status, 7)})
		r := send(t, p, http.MethodPut, latest, "new")
		if r.err != nil || r.status != status || r.header.Get("Retry-After") != "7" || !strings.Contains(r.body, code) {
			t.Errorf("%d: answered %+v", status, r)
		}
		if r := send(t, p, http.MethodGet, latest, ""); r.err != nil || r.body != "the old content" || r.header.Get("Seen-Host") != p.Host {
			t.Errorf("%d: another method: %+v", status, r)
		}
		if r := send(t, p, http.MethodPut, latest+"r", "new"); r.status != http.StatusCreated {
			t.Errorf("%d: another path: %+v", status, r)
		}
		if b.at(latest) != "the old content" || rule.Hits() != 1 {
			t.Errorf("%d: it was forwarded, or counted wrongly (%d)", status, rule.Hits())
		}
		rule.Remove()
		rule.Remove()
		if r := send(t, p, http.MethodPut, latest, "new"); r.status != http.StatusCreated || b.at(latest) != "new" {
			t.Errorf("%d: without the rule: %+v", status, r)
		}
	}
}

func TestResetAfter(t *testing.T) {
	t.Parallel()
	p, b := start(t)
	p.Add(proxy.Rule{Fault: proxy.ResetAfter})
	if r := send(t, p, http.MethodPut, latest, "new"); !errors.Is(r.err, syscall.ECONNRESET) {
		t.Errorf("answered %+v", r)
	}
	if b.at(latest) != "new" {
		t.Error("the registry did not perform it")
	}
}

func TestBrokenAnswers(t *testing.T) {
	t.Parallel()
	p, b := start(t)
	half := p.Add(proxy.Rule{Fault: proxy.HalfBody})
	if r := send(t, p, http.MethodGet, latest, ""); !errors.Is(r.err, io.ErrUnexpectedEOF) || r.body != "the old" {
		t.Errorf("half a body: %+v", r)
	}
	half.Remove()
	p.Add(proxy.Rule{Fault: proxy.WrongDigest})
	if r := send(t, p, http.MethodGet, latest, ""); r.err != nil || len(r.body) != len("the old content") || r.body == "the old content" {
		t.Errorf("a changed body: %+v", r)
	}
	r := send(t, p, http.MethodPut, latest, "new")
	if d := r.header.Get("Docker-Content-Digest"); r.status != http.StatusCreated || digest.Digest(d).Validate() != nil || d == digest.FromString("new").String() || b.at(latest) != "new" {
		t.Errorf("a write's digest: %+v", r)
	}
}

func TestStale(t *testing.T) {
	t.Parallel()
	p, b := start(t)
	const lag = 300 * time.Millisecond
	p.Add(proxy.Rule{Path: regexp.MustCompile(`/manifests/`), Fault: proxy.Stale(lag)})
	began := time.Now()
	send(t, p, http.MethodPut, latest, "new")
	send(t, p, http.MethodPut, latest, "newer")
	send(t, p, http.MethodPut, "/v2/some/manifests/r1", "first")
	old, missing := send(t, p, http.MethodGet, latest, ""), send(t, p, http.MethodGet, "/v2/some/manifests/r1", "")
	if time.Since(began) < lag && (old.body != "the old content" || missing.status != http.StatusNotFound) {
		t.Errorf("at once: %+v and %+v", old, missing)
	}
	if b.at(latest) != "newer" {
		t.Errorf("the registry has %q", b.at(latest))
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if r := send(t, p, http.MethodGet, latest, ""); r.body == "newer" {
			break
		} else if r.body != "the old content" || time.Now().After(deadline) {
			t.Fatalf("later: %+v", r)
		}
	}
	if took := time.Since(began); took < lag {
		t.Errorf("it was seen after %v", took)
	}
}

// A request that is held reaches the registry although its caller has left.
func TestGate(t *testing.T) {
	t.Parallel()
	p, b := start(t)
	gate := proxy.NewGate(time.Minute)
	p.Add(proxy.Rule{Method: http.MethodPut, Fault: gate.Hold})
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+p.Host+latest, strings.NewReader("late"))
		if err == nil {
			_, err = http.DefaultClient.Do(req)
		}
		left <- err
	}()
	if err := gate.Arrived(t.Context()); err != nil {
		t.Fatal(err)
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller was answered: %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := gate.Done(ended); err == nil || b.at(latest) != "the old content" {
		t.Errorf("it went through the closed gate (%v)", err)
	}
	gate.Open()
	gate.Open()
	if err := gate.Done(t.Context()); err != nil || b.at(latest) != "late" {
		t.Errorf("after it was opened: %v, %q", err, b.at(latest))
	}
	if r := send(t, p, http.MethodPut, latest, "next"); r.status != http.StatusCreated {
		t.Errorf("the open gate: %+v", r)
	}
}

func TestGateOpensByItself(t *testing.T) {
	t.Parallel()
	p, _ := start(t)
	p.Add(proxy.Rule{Fault: proxy.NewGate(time.Millisecond).Hold})
	if r := send(t, p, http.MethodPut, latest, "new"); r.status != http.StatusCreated {
		t.Errorf("answered %+v", r)
	}
}

func TestHooks(t *testing.T) {
	t.Parallel()
	p, b := start(t)
	before, after := make(chan string, 1), make(chan string, 1)
	p.Add(proxy.Rule{Path: regexp.MustCompile("latest$"), Fault: proxy.Before(func() { before <- b.at(latest) })})
	p.Add(proxy.Rule{Path: regexp.MustCompile("r1$"), Fault: proxy.After(func() { after <- b.at("/v2/some/manifests/r1") })})
	if r, seen := send(t, p, http.MethodPut, latest, "new"), <-before; r.status != http.StatusCreated || seen != "the old content" {
		t.Errorf("before: %+v, %q", r, seen)
	}
	if r, seen := send(t, p, http.MethodPut, "/v2/some/manifests/r1", "first"), <-after; r.status != http.StatusCreated || seen != "first" {
		t.Errorf("after: %+v, %q", r, seen)
	}
}

// A registry that is away looks to its caller like one that is away.
func TestRegistryIsAway(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	p, err := proxy.New(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	server.Close()
	if r := send(t, p, http.MethodGet, latest, ""); r.err == nil {
		t.Errorf("without a rule: %+v", r)
	}
	p.Add(proxy.Rule{Fault: proxy.Before(func() {})})
	if r := send(t, p, http.MethodGet, latest, ""); r.err == nil {
		t.Errorf("with a rule: %+v", r)
	}
}
