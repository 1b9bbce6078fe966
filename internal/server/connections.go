package server

import (
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// maxConnections bounds the clients that are connected at once, besides those
	// of event streams: each costs about 20 KiB and a file descriptor.
	maxConnections = 4096
	// One of spareShare is not used for answers, but for probes, and so that
	// there is always one that can be closed for a new client.
	spareShare = 16
	// streamShare is the part of all connections that event streams may have at
	// most, where file descriptors are few.
	streamShare = 4
)

// connections bounds how many clients are connected, and how many requests are
// answered at once. When too many clients are connected, the one that the
// server has waited for longest is closed: it is idle, or slow with its
// request. It is safe for concurrent use.
type connections struct {
	most      int // connections, besides those with an event stream
	answering int // requests that may be answered at once
	streams   int // event streams that may be open besides

	mu      sync.Mutex
	open    map[net.Conn]*connection
	waiting *list.List // those whose client has to send something, the longest-waiting first
	flowing int        // those with an event stream
	closed  int        // for others
}

// connection is one client's. Its methods may be called on nil, which stands
// for a server without bounds, as tests have.
type connection struct {
	all     *connections
	net     net.Conn
	element *list.Element // in all.waiting; nil while a request is answered
	flows   bool          // the answer is an event stream
}

// newConnections makes room for so many event streams besides the clients of
// requests. It takes the process's limit of file descriptors into account: half
// of them are for files.
func newConnections(streams int) *connections {
	most := maxConnections + streams
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err == nil && files.Cur/2 < uint64(most) {
		most = int(files.Cur / 2)
	}
	streams = min(streams, most/streamShare)
	requests := most - streams
	return &connections{most: requests, answering: requests - requests/spareShare, streams: streams, open: map[net.Conn]*connection{}, waiting: list.New()}
}

type connectionKey struct{}

// accept is http.Server's ConnContext.
func (a *connections) accept(ctx context.Context, n net.Conn) context.Context {
	c := &connection{all: a, net: n}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.open)-a.flowing >= a.most && a.waiting.Len() > 0 {
		longest := a.waiting.Front().Value.(*connection)
		a.forget(longest)
		_ = longest.net.Close() // its reader notices
		a.closed++
	}
	a.open[n] = c
	c.element = a.waiting.PushBack(c)
	return context.WithValue(ctx, connectionKey{}, c)
}

// state is http.Server's ConnState.
func (a *connections) state(n net.Conn, s http.ConnState) {
	if s != http.StateClosed && s != http.StateHijacked {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.open[n]; c != nil {
		a.forget(c)
	}
}

func (a *connections) forget(c *connection) {
	delete(a.open, c.net)
	if c.flows {
		c.flows = false
		a.flowing--
	}
	if c.element != nil {
		a.waiting.Remove(c.element)
		c.element = nil
	}
}

// connectionOf is the connection that a request came on.
func connectionOf(r *http.Request) *connection {
	c, _ := r.Context().Value(connectionKey{}).(*connection)
	return c
}

// begin says that the server works on the connection's request, so that it is
// not closed for another. It returns false if it works on too many already,
// which does not matter for urgent ones. It may be called again before end.
func (c *connection) begin(urgent bool) bool {
	if c == nil {
		return true
	}
	a := c.all
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.element == nil {
		return true // its client has left, or it has begun before
	}
	if !urgent && len(a.open)-a.waiting.Len()-a.flowing >= a.answering {
		return false
	}
	a.waiting.Remove(c.element)
	c.element = nil
	return true
}

// end says that it is the client's turn again.
func (c *connection) end() {
	if c == nil {
		return
	}
	a := c.all
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open[c.net] == c && c.element == nil {
		c.element = a.waiting.PushBack(c)
	}
}

// stream says that the request's answer is an event stream, which does not
// count as a request that is answered. leave says that it has ended.
func (c *connection) stream() (leave func()) {
	if c == nil {
		return func() {}
	}
	flow := func(flows bool, more int) {
		a := c.all
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.open[c.net] == c && c.flows != flows {
			c.flows = flows
			a.flowing += more
		}
	}
	flow(true, 1)
	return func() { flow(false, -1) }
}

// collectors shows the connections on /metrics.
func (a *connections) collectors() []prometheus.Collector {
	read := func(n func() int) func() float64 {
		return func() float64 {
			a.mu.Lock()
			defer a.mu.Unlock()
			return float64(n())
		}
	}
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "gsq_http_connections", Help: "Clients that are connected.",
		}, read(func() int { return len(a.open) })),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "gsq_http_connections_closed_for_others_total", Help: "Connections that were idle or slow and were closed for new ones.",
		}, read(func() int { return a.closed })),
	}
}
