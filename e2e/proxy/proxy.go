// Package proxy stands between a server and its registry and answers the
// requests that it is told to in a way that a real registry does only now and
// then: with refusals, late, broken, with old content, or not at all.
package proxy

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Fault answers a request in the registry's place. It must return: whatever it
// waits for has to end. It may be called concurrently.
type Fault func(*Call)

// Rule says which requests a fault is for.
type Rule struct {
	Method string         // empty: every method
	Path   *regexp.Regexp // matched against the URL's path; nil: every path
	Fault  Fault
}

// Active is a rule that a proxy follows.
type Active struct {
	rule  Rule
	proxy *Proxy
	hits  atomic.Int64
}

// Proxy is a running proxy. Its methods may be called concurrently.
type Proxy struct {
	Host string // host:port, plain HTTP

	backend   string // host:port
	server    *http.Server
	transport *http.Transport
	plain     http.Handler // for requests that no rule is for
	served    chan struct{}

	mu    sync.Mutex
	rules []*Active
}

// The bounds on one request to the registry, and on one in either direction of
// a connection.
const (
	forwardTimeout = 90 * time.Second // longer than any test leaves a registry frozen
	headerTimeout  = 10 * time.Second
	idleTimeout    = time.Minute
)

// New starts a proxy before the registry at backend (host:port, plain HTTP), on
// a port of loopback. Close ends it.
func New(backend string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start a proxy: %w", err)
	}
	p := &Proxy{
		Host: listener.Addr().String(), backend: backend, served: make(chan struct{}),
		transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: idleTimeout, DisableCompression: true},
	}
	// The host that the caller asked for is kept: the registry makes the
	// addresses of uploads of it.
	p.plain = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", backend
			r.Out.Host = r.In.Host
		},
		Transport: p.transport,
		// What the registry does not answer, the caller is not answered either.
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, _ error) { reset(w) },
	}
	p.server = &http.Server{Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout}
	go func() {
		defer close(p.served)
		p.server.Serve(listener) // returns when it is closed
	}()
	return p, nil
}

// Close ends the proxy and all its connections.
func (p *Proxy) Close() {
	p.server.Close()
	<-p.served
	p.transport.CloseIdleConnections()
}

// Add makes the proxy follow a rule, after those that it follows already: the
// first that matches a request decides.
func (p *Proxy) Add(r Rule) *Active {
	a := &Active{rule: r, proxy: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, a)
	return a
}

// Remove ends the rule for requests that come from now on. Doing it twice is
// not an error.
func (a *Active) Remove() {
	a.proxy.mu.Lock()
	defer a.proxy.mu.Unlock()
	a.proxy.rules = slices.DeleteFunc(a.proxy.rules, func(other *Active) bool { return other == a })
}

// Hits is how many requests the rule was for.
func (a *Active) Hits() int { return int(a.hits.Load()) }

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	a := p.match(r)
	if a == nil {
		p.plain.ServeHTTP(w, r)
		return
	}
	a.hits.Add(1)
	c, err := newCall(p, w, r)
	if err != nil {
		reset(w) // the caller broke it off
		return
	}
	a.rule.Fault(c)
	c.finish()
}

func (p *Proxy) match(r *http.Request) *Active {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.rules {
		if (a.rule.Method == "" || a.rule.Method == r.Method) && (a.rule.Path == nil || a.rule.Path.MatchString(r.URL.Path)) {
			return a
		}
	}
	return nil
}

// target is where a request goes.
func (p *Proxy) target(in *url.URL) string {
	u := *in
	u.Scheme, u.Host = "http", p.backend
	return u.String()
}
