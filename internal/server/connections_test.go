package server

import (
	"container/list"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// pipes makes connections and notes which of them are closed.
type pipes struct {
	t   *testing.T
	all *connections
}

func newPipes(t *testing.T, most, answering int) *pipes {
	return &pipes{t, &connections{most: most, answering: answering, open: map[net.Conn]*connection{}, waiting: list.New()}}
}

func (p *pipes) connect() *connection {
	here, there := net.Pipe()
	p.t.Cleanup(func() { here.Close(); there.Close() })
	r := (&http.Request{}).WithContext(p.all.accept(context.Background(), here))
	return connectionOf(r)
}

func (p *pipes) wantOpen(want ...*connection) {
	p.t.Helper()
	if len(p.all.open) != len(want) {
		p.t.Errorf("%d connections are open, want %d", len(p.all.open), len(want))
	}
	for i, c := range want {
		if p.all.open[c.net] != c {
			p.t.Errorf("connection %d of %d is not open", i, len(want))
		}
	}
}

func TestTheLongestWaitingIsClosedForANewOne(t *testing.T) {
	t.Parallel()
	p := newPipes(t, 3, 2)
	first, second, third := p.connect(), p.connect(), p.connect()
	if !first.begin(false) {
		t.Fatal("a request is refused")
	}
	fourth := p.connect()
	p.wantOpen(first, third, fourth) // the first one is being answered
	if err := second.net.SetDeadline(time.Now()); !errors.Is(err, io.ErrClosedPipe) {
		t.Error("the connection that was given up is not closed")
	}
	first.end()
	fifth := p.connect()
	p.wantOpen(first, fourth, fifth)
	sixth := p.connect()
	p.wantOpen(first, fifth, sixth)
	if p.all.closed != 3 {
		t.Errorf("%d connections were closed for others, want 3", p.all.closed)
	}
	if !second.begin(false) {
		t.Error("the request of a closed connection is refused, and its client told so in vain")
	}
	second.end()
	p.all.state(second.net, http.StateClosed)
	p.wantOpen(first, fifth, sixth)
	for _, c := range []*connection{first, fifth, sixth} {
		p.all.state(c.net, http.StateActive)
		p.all.state(c.net, http.StateClosed)
		c.end() // as a handler does that still runs
	}
	p.wantOpen()
	if n := p.all.waiting.Len(); n != 0 {
		t.Errorf("%d connections are waited for that are gone", n)
	}
}

func TestRequestsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	p := newPipes(t, 4, 2)
	var cs []*connection
	for range 4 {
		cs = append(cs, p.connect())
	}
	if !cs[0].begin(false) || !cs[1].begin(false) {
		t.Fatal("a request below the bound is refused")
	}
	if cs[2].begin(false) {
		t.Error("a request above the bound is let through")
	}
	if !cs[2].begin(true) {
		t.Error("an urgent request is refused")
	}
	if !cs[0].begin(false) {
		t.Error("a request that is being answered is refused")
	}
	cs[2].end()
	cs[1].end()
	if !cs[3].begin(false) {
		t.Error("a request is refused when another one has ended")
	}
	var none *connection
	if !none.begin(false) {
		t.Error("a server without bounds refuses")
	}
	none.end()
}

func TestConnectionsLeaveRoomForFiles(t *testing.T) {
	t.Parallel()
	c := newConnections(100)
	if c.most <= 0 || c.most > maxConnections || c.answering <= 0 || c.answering >= c.most || c.streams <= 0 || c.streams > 100 {
		t.Errorf("%d connections, %d requests at once", c.most, c.answering)
	}
}
