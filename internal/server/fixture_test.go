package server_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/deploy/crd"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
	"gitops-squared.io/gsq/internal/server"
)

const (
	resources = "/api/v1/resources"
	shop      = "/api/v1/namespaces/shop/resources"
	shopApply = "/api/v1/namespaces/shop/apply"
)

func schema(t testing.TB) *intent.Schema {
	t.Helper()
	s, err := intent.NewSchema(crd.PlatformResource)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// fixture is a server on a port of its own.
type fixture struct {
	t      *testing.T
	server *server.Server
	http   *httptest.Server
	store  *faulty.Store
}

// newFixture starts a server over a real ledger, whose registry is in memory.
func newFixture(t *testing.T, change ...func(*server.Options)) *fixture {
	t.Helper()
	store := faulty.New()
	t.Cleanup(store.Close)
	l, err := ledger.New(ledger.Options{
		Registry: store, Prefix: "gitops-squared", Schema: schema(t), Exclusive: true, Fresh: true, Log: silent(),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := l.Run(ctx); err != nil {
			t.Errorf("ledger: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	for deadline := time.Now().Add(30 * time.Second); l.Ready() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("ledger: %v", l.Ready())
		}
	}
	f := serve(t, l, change...)
	f.store = store
	return f
}

// serve starts a server over any ledger.
func serve(t *testing.T, l server.Ledger, change ...func(*server.Options)) *fixture {
	t.Helper()
	o := server.Options{
		Ledger: l, Schema: schema(t), Prefix: "gitops-squared", RegistryHost: "registry.example:5000", Version: "v1.2.3", Log: silent(),
	}
	for _, c := range change {
		c(&o)
	}
	s, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewUnstartedServer(s)
	h.Config = s.HTTP()
	h.Start()
	t.Cleanup(h.Close)
	return &fixture{t: t, server: s, http: h}
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

// reply is an answer, read to its end.
type reply struct {
	t      *testing.T
	status int
	header http.Header
	body   string
}

// do sends a request; headers come as "Name: value". A body is sent as JSON
// unless a header says otherwise.
func (f *fixture) do(method, path, body string, headers ...string) reply {
	f.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r, err := http.NewRequest(method, f.http.URL+path, reader)
	if err != nil {
		f.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Content-Type" {
			r.Header.Del(name)
		}
		if value != "" {
			r.Header.Add(name, value)
		}
	}
	return send(f.t, f.http.Client(), r)
}

func send(t *testing.T, client *http.Client, r *http.Request) reply {
	t.Helper()
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{t: t, status: resp.StatusCode, header: resp.Header, body: string(data)}
}

func (r reply) want(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

// decode reads the body into v, which must know every field.
func (r reply) decode(v any) {
	r.t.Helper()
	decoder := json.NewDecoder(strings.NewReader(r.body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		r.t.Fatalf("%v in %s", err, r.body)
	}
}

func (r reply) resource() api.Resource {
	r.t.Helper()
	var v api.Resource
	r.decode(&v)
	return v
}

func (r reply) list() api.ResourceList {
	r.t.Helper()
	var v api.ResourceList
	r.want(200).decode(&v)
	return v
}

func (r reply) applied() api.ApplyResponse {
	r.t.Helper()
	var v api.ApplyResponse
	r.want(200).decode(&v)
	return v
}

// problem checks that the answer is a complete problem with this status and
// code.
func (r reply) problem(status int, code api.Code) api.Problem {
	r.t.Helper()
	r.want(status)
	if got := r.header.Get("Content-Type"); got != api.ProblemMediaType {
		r.t.Errorf("content type %q, want %q", got, api.ProblemMediaType)
	}
	var p api.Problem
	r.decode(&p)
	if p.Code != code || p.Status != status || p.Type != api.ProblemTypePrefix+string(code) || p.Title == "" || p.Detail == "" {
		r.t.Fatalf("problem %s, want the code %s, a type, a title and a detail", r.body, code)
	}
	if !strings.HasSuffix(p.Instance, ":"+r.header.Get("X-Request-Id")) || p.Instance == "" {
		r.t.Errorf("instance %q does not name the request %q", p.Instance, r.header.Get("X-Request-Id"))
	}
	return p
}

// places lists where a problem's faults are: pointers, "?parameter",
// "@header".
func places(p api.Problem) []string {
	var out []string
	for _, f := range p.Errors {
		switch {
		case f.Parameter != "":
			out = append(out, "?"+f.Parameter)
		case f.Header != "":
			out = append(out, "@"+f.Header)
		default:
			out = append(out, f.Pointer)
		}
	}
	return out
}

const (
	vm     = `{"name":"web","spec":{"type":"vm","size":"small","region":"eu","replicas":2}}`
	bigger = `{"name":"web","spec":{"type":"vm","size":"large","region":"eu","replicas":2}}`
)
