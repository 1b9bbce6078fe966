package server

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/ledger"
)

// deaf is a caller who does not read: a write waits for its time-out.
type deaf struct {
	header   http.Header
	deadline time.Time
	writes   int
}

var errDeaf = errors.New("the time-out has passed")

func (d *deaf) Header() http.Header                 { return d.header }
func (d *deaf) WriteHeader(int)                     {}
func (d *deaf) SetReadDeadline(time.Time) error     { return nil }
func (d *deaf) SetWriteDeadline(at time.Time) error { d.deadline = at; return nil }
func (d *deaf) FlushError() error                   { return nil }

func (d *deaf) Write(p []byte) (int, error) {
	d.writes++
	if left := time.Until(d.deadline); left <= 0 || left > eventPatience*time.Duration(1+len(p)/eventPart) {
		return len(p), nil // it would wait for ever, or longer than it may
	}
	return 0, errDeaf
}

func TestAStreamWhoseCallerDoesNotReadEnds(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*eventWriter) error{
		"at its begin": func(e *eventWriter) error { return e.begin(1) },
		"at a comment": func(e *eventWriter) error { return e.comment() },
		"at an event":  func(e *eventWriter) error { return e.revision(context.Background(), ledger.Commit{}) },
	} {
		w := &deaf{header: http.Header{}}
		if err := write(newEventWriter(w, newStreams(1))); !errors.Is(err, errDeaf) || w.writes != 1 {
			t.Errorf("%s: %v after %d writes", name, err, w.writes)
		}
	}
}

// Large events wait for each other, so that many slow callers hold few of them.
func TestLargeEventsAreBounded(t *testing.T) {
	t.Parallel()
	s := newStreams(1)
	e := newEventWriter(&deaf{header: http.Header{}}, s)
	large := ledger.Commit{Changes: make([]artifact.RecordChange, largeEvent+1)}
	for range largeEvents {
		s.large <- struct{}{}
	}
	gone, leave := context.WithCancel(context.Background())
	leave()
	if err := e.revision(gone, large); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who has left: %v", err)
	}
	if err := e.revision(gone, ledger.Commit{}); !errors.Is(err, errDeaf) {
		t.Errorf("a small event waited: %v", err)
	}
	s.end()
	if err := e.revision(context.Background(), large); !errors.Is(err, errDraining) {
		t.Errorf("the server stops: %v", err)
	}
}

// Streams take no room from other clients, and are not closed for them.
func TestStreamsAreConnectionsOfTheirOwn(t *testing.T) {
	t.Parallel()
	p := newPipes(t, 2, 1)
	stream := p.connect()
	if !stream.begin(false) {
		t.Fatal("a request is refused")
	}
	leave := stream.stream()
	first, second := p.connect(), p.connect()
	p.wantOpen(stream, first, second)
	third := p.connect()
	p.wantOpen(stream, second, third)
	leave()
	stream.end()
	fourth := p.connect()
	p.wantOpen(stream, third, fourth)
}

// Streams take nothing from the requests that may be answered at once.
func TestStreamsAreNoRequestsUnderWay(t *testing.T) {
	t.Parallel()
	p := newPipes(t, 4, 1)
	first, second, third := p.connect(), p.connect(), p.connect()
	if !first.begin(false) {
		t.Fatal("a request is refused")
	}
	leave := first.stream()
	if !second.begin(false) {
		t.Error("a request is refused because of a stream")
	}
	if third.begin(false) {
		t.Error("a second request is let through")
	}
	second.end()
	leave()
	if second.begin(false) {
		t.Error("the ended stream's connection does not count until it is the client's turn")
	}
	first.end()
	if !second.begin(false) || p.all.flowing != 0 {
		t.Errorf("%d streams flow", p.all.flowing)
	}
	leave = second.stream()
	p.all.state(second.net, http.StateClosed)
	leave()
	if p.all.flowing != 0 {
		t.Errorf("%d streams flow on closed connections", p.all.flowing)
	}
}
