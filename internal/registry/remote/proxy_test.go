package remote_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
	"gitops-squared.io/gsq/internal/registry/remote"
)

// fault answers a request in the place of the registry, or lets next answer.
type fault func(w http.ResponseWriter, r *http.Request, next http.Handler)

// proxy stands before a real registry. It answers the requests that match with
// a fault, once it was told which.
type proxy struct {
	host string

	mu       sync.Mutex
	match    string // method and the path's part after the repository's name, e.g. "PUT /manifests/"
	fault    fault
	requests []string
}

// newProxy returns a proxy before the registry at backend and a client of it.
func newProxy(t *testing.T, backend string) (*proxy, *remote.Registry) {
	t.Helper()
	p := &proxy{}
	next := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: backend})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		method, part, _ := strings.Cut(p.match, " ")
		matches := p.fault != nil && method == r.Method && strings.Contains(r.URL.Path, part)
		if matches {
			p.requests = append(p.requests, r.Method+" "+r.URL.Path)
		}
		fault := p.fault
		p.mu.Unlock()
		if matches {
			fault(w, r, next)
		} else {
			next.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	p.host = strings.TrimPrefix(server.URL, "http://")
	return p, open(t, p.host)
}

// hurried returns a client that gives up soon, for faults that never answer.
func (p *proxy) hurried(t *testing.T) *remote.Registry {
	return openWithin(t, p.host, 300*time.Millisecond)
}

// set makes the proxy answer matching requests with a fault, from now on.
func (p *proxy) set(match string, f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.match, p.fault, p.requests = match, f, nil
}

// seen returns how many requests were answered with the fault.
func (p *proxy) seen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.requests)
}

// status answers with a status and a body.
func status(code int, contentType, body string) fault {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

// refusal answers as a registry does, with an error code.
func refusal(code int, name string) fault {
	return status(code, "application/json", `{"errors":[{"code":"`+name+`","message":"no"}]}`)
}

// reset ends the connection without an answer, after the registry has done
// its work if done.
func reset(done bool) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if done {
			next.ServeHTTP(httptest.NewRecorder(), r)
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
		_ = conn.Close()
	}
}

// hang never answers. It reads the body, as only then the server sees that the
// client has gone.
func hang(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// half answers with half of the body that was announced.
func half(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := httptest.NewRecorder()
	next.ServeHTTP(answer, r)
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = w.Write(answer.Body.Bytes()[:answer.Body.Len()/2])
	panic(http.ErrAbortHandler)
}

// edited answers with what edit makes of the body, and with its length.
func edited(edit func([]byte) []byte) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		body := edit(bytes.Clone(answer.Body.Bytes()))
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(answer.Code)
		_, _ = w.Write(body)
	}
}

// flip changes one byte.
func flip(b []byte) []byte { b[len(b)/2] ^= 1; return b }

// stored puts and tags an artifact.
func stored(t *testing.T, r registry.Registry, repo, tag, text string) registry.Artifact {
	t.Helper()
	a := registrytest.Artifact(t, nil, text)
	if err := r.Put(t.Context(), registry.Push{Repository: repo, Artifact: a}); err != nil {
		t.Fatal(err)
	}
	if err := r.Commit(t.Context(), registry.Tag{Repository: repo, Name: tag, Manifest: a.Manifest}); err != nil {
		t.Fatal(err)
	}
	return a
}
