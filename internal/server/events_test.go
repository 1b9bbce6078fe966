package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/server"
)

const shopEvents = "/api/v1/namespaces/shop/events"

// tap reads one event stream.
type tap struct {
	t        *testing.T
	response *http.Response
	lines    *bufio.Scanner
	cancel   func()
}

func (f *fixture) open(query string, headers ...string) *tap {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 60*time.Second)
	f.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, "GET", f.http.URL+shopEvents+query, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	response, err := f.http.Client().Do(r)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { response.Body.Close() })
	return &tap{t: f.t, response: response, lines: bufio.NewScanner(response.Body), cancel: cancel}
}

// block is the lines up to the next empty one; nil at the end.
func (s *tap) block() []string {
	var block []string
	for s.lines.Scan() {
		if s.lines.Text() == "" {
			return block
		}
		block = append(block, s.lines.Text())
	}
	return nil
}

// begin is the id that a stream begins with.
func (s *tap) begin() string {
	s.t.Helper()
	if s.response.StatusCode != 200 || s.response.Header.Get("Content-Type") != "text/event-stream" {
		s.t.Fatalf("status %d, %s", s.response.StatusCode, s.response.Header.Get("Content-Type"))
	}
	block := s.block()
	if len(block) != 2 || !strings.HasPrefix(block[0], "retry: ") || !strings.HasPrefix(block[1], "id: ") {
		s.t.Fatalf("the stream begins with %q", block)
	}
	return strings.TrimPrefix(block[1], "id: ")
}

// event is the next event, passing over comments.
func (s *tap) event() api.Commit {
	s.t.Helper()
	for {
		block := s.block()
		if len(block) == 1 && block[0] == ":" {
			continue
		}
		var c api.Commit
		if len(block) != 3 || block[0] != "event: revision" || !strings.HasPrefix(block[2], "data: ") ||
			json.Unmarshal([]byte(block[2][6:]), &c) != nil || block[1] != "id: "+strconv.FormatInt(c.Number, 10) {
			s.t.Fatalf("the event is %q (%v)", block, s.lines.Err())
		}
		return c
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *server.Options) { o.Heartbeat = time.Hour }) // nothing else wakes a stream
	f.do("POST", shop, vm).want(201)
	s := f.open("")
	if id := s.begin(); id != "2" {
		t.Errorf("the stream begins at %s, want 2", id)
	}
	f.do("POST", shop, `{"name":"web","spec":{"type":"vm","size":"large"},"reason":"two\nlines"}`, "Gsq-Actor: Ada").want(200)
	got := s.event()
	var want api.Commit
	f.do("GET", shopSpace+"/revisions/r3", "").want(200).decode(&want)
	if got.Number != 3 || got.Digest != want.Digest || got.Parent != want.Parent || !got.Time.Equal(want.Time) ||
		len(got.Changes) != 1 || got.Changes[0].Reason != "two\nlines" || got.Changes[0].Operation != api.Updated || *got.Changes[0].After != *want.Changes[0].After {
		t.Errorf("event %+v, want %+v", got, want)
	}
	s.cancel()

	// Others go on from where they were.
	for _, s := range []*tap{
		f.open("?after=0"), f.open("", "Last-Event-ID: 0"), f.open("?after=2", "Last-Event-ID: 0"),
	} {
		if id := s.begin(); id != "0" {
			t.Errorf("the stream begins at %s, want 0", id)
		}
		for n := int64(1); n <= 3; n++ {
			if c := s.event(); c.Number != n {
				t.Errorf("event %d, want %d", c.Number, n)
			}
		}
	}
	if id := f.open("?after=3").begin(); id != "3" {
		t.Errorf("the stream begins at %s, want 3", id)
	}
	if r := f.do("HEAD", shopEvents, "").want(200); r.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %v", r.header)
	}
}

func TestEventsAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("GET", shopEvents, "").problem(404, api.CodeNamespaceNotFound)
	f.do("POST", shop, vm).want(201)
	for _, c := range []struct{ query, header, place string }{
		{"?after=3", "", "?after"},
		{"?after=-1", "", "?after"},
		{"?after=r2", "", "?after"},
		{"?after=01", "", "?after"},
		{"?from=1", "", "?from"},
		{"", "Last-Event-ID: 3", "@Last-Event-ID"},
		{"", "Last-Event-ID: +1", "@Last-Event-ID"},
		{"", "Last-Event-ID: 99999999999999999999", "@Last-Event-ID"},
	} {
		p := f.do("GET", shopEvents+c.query, "", c.header).problem(400, api.CodeInvalid)
		if got := strings.Join(places(p), " "); got != c.place {
			t.Errorf("%+v: faults at %q", c, got)
		}
	}
	for code, err := range map[api.Code]error{
		api.CodeSuperseded: &ledger.Error{Code: ledger.CodeSuperseded, Message: "another"},
		api.CodeNotReady:   &ledger.Error{Code: ledger.CodeNotReady, Message: "not yet"},
	} {
		serve(t, failing(err)).do("GET", shopEvents, "").problem(503, code)
	}
}

func TestSilentStreamsHaveHeartbeats(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *server.Options) { o.Heartbeat = time.Millisecond })
	f.do("POST", shop, vm).want(201)
	s := f.open("")
	s.begin()
	for range 3 {
		if block := s.block(); len(block) != 1 || block[0] != ":" {
			t.Fatalf("%q is no comment", block)
		}
	}
	f.do("POST", shop, bigger).want(200)
	if c := s.event(); c.Number != 3 {
		t.Errorf("event %d", c.Number)
	}
}

// A ledger that was superseded does not learn what is committed: its streams
// end, so that their callers find another one.
func TestStreamsEndWithALedgerThatIsSuperseded(t *testing.T) {
	t.Parallel()
	ready := make(chan error, 1)
	ready <- nil
	f := serve(t, stub{
		ready: func() error {
			select {
			case err := <-ready:
				return err
			default:
				return errors.New("superseded")
			}
		},
		stubWatch: stubWatch{watch: func(string) (ledger.Revision, <-chan struct{}, error) { return ledger.Revision{Number: 1}, nil, nil }},
	}, func(o *server.Options) { o.Heartbeat = time.Millisecond })
	s := f.open("")
	s.begin()
	for s.block() != nil {
	}
	if s.lines.Err() != nil {
		t.Errorf("the stream ended with %v", s.lines.Err())
	}
}

func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *server.Options) { o.Streams = 2 })
	f.do("POST", shop, vm).want(201)
	first, second := f.open(""), f.open("")
	first.begin()
	second.begin()
	f.do("GET", shopEvents, "").problem(503, api.CodeOverloaded)
	metrics := f.do("GET", "/metrics", "").want(200).body
	for _, line := range []string{
		"gsq_event_streams 2\n", "gsq_events_sent_total 0\n", "gsq_http_requests_in_flight 1\n",
		`gsq_http_request_duration_seconds_count{method="GET",route="/api/v1/namespaces/{namespace}/events"} 1` + "\n", // the refusal's
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("no line %q", line)
		}
	}
	f.do("POST", shop, bigger).want(200)
	first.event()
	second.event()
	first.cancel()
	for i := 0; ; i++ { // until the server has noticed
		s := f.open("")
		if s.response.StatusCode == 200 {
			break
		}
		if i > 2000 {
			t.Fatal("the stream that was left still counts")
		}
		time.Sleep(5 * time.Millisecond)
	}
	if metrics := f.do("GET", "/metrics", "").want(200).body; !strings.Contains(metrics, "gsq_events_sent_total 2\n") {
		t.Error("two events were sent, and are not counted")
	}
}

func TestStreamsEndAtOnceWhenTheServerStops(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", shop, vm).want(201)
	s := f.open("")
	s.begin()
	f.server.Drain()
	if block := s.block(); block != nil || s.lines.Err() != nil {
		t.Errorf("the stream goes on with %q (%v)", block, s.lines.Err())
	}
	f.do("GET", shopEvents, "").problem(503, api.CodeOverloaded)
	f.do("GET", shop+"/web", "").want(200)
}
