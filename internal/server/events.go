package server

import (
	"context"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/ledger"
)

type (
	eventsInput struct {
		NamespacePath
		After       string `query:"after" maxLength:"18" pattern:"^(0|[1-9][0-9]*)$" patternDescription:"the number of a revision" doc:"The number of the last revision that the caller knows, for callers that cannot send the header; the header goes first."`
		LastEventID string `header:"Last-Event-ID" doc:"The id of the last event that the caller got: the stream goes on after it. Without it, and without after, the stream begins with the next revision."`
	}
	eventsOutput struct {
		Body func(huma.Context) // writes server-sent events
	}
)

// addEvents registers the event stream.
func (s *Server) addEvents(a huma.API) {
	op := s.operation(a, tagHistory)(http.MethodGet, "/api/v1/namespaces/{namespace}/events", "watch-namespace",
		"Watch a namespace: an event for each revision", http.StatusOK, []int{http.StatusNotFound, http.StatusConflict, http.StatusBadGateway})
	op.Description = "Server-sent events (WHATWG HTML, \"Server-sent events\"). The event revision has the revision's number as its id, and as data what GET …/revisions/{revision} answers."
	a.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[api.Commit](), true, "Commit")
	op.Responses["200"] = &huma.Response{
		Description: "The stream",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}
	huma.Register(a, op, s.events)
}

func (s *Server) events(ctx context.Context, in *eventsInput) (*eventsOutput, error) {
	known, fault := lastEvent(in)
	if fault != nil {
		return nil, invalidRead(*fault)
	}
	if err := s.ledger.Ready(); err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	now, _, err := s.ledger.Watch(in.Namespace)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	switch {
	case known < 0:
		known = now.Number
	case known > now.Number:
		fault := placeOf(in)
		fault.Detail = "is " + strconv.FormatInt(known, 10) + ", but the last revision is " + strconv.FormatInt(now.Number, 10) + "; begin without it"
		return nil, invalidRead(fault)
	}
	if !s.streams.take() {
		return nil, overloaded("Too many event streams are open, or the server is stopping; try again.")
	}
	return &eventsOutput{Body: func(c huma.Context) {
		defer s.streams.give()
		r, w := humago.Unwrap(c)
		stream := &eventStream{server: s, ctx: r.Context(), out: newEventWriter(w, s.streams), namespace: in.Namespace, known: known}
		leave := connectionOf(r).stream()
		defer leave()
		streaming(w)
		stream.run(r.Method == http.MethodHead)
	}}, nil
}

// lastEvent is the number of the last revision that the caller knows, or -1 if
// it does not say.
func lastEvent(in *eventsInput) (int64, *api.Fault) {
	text := in.LastEventID
	if text == "" {
		text = in.After
	}
	if text == "" {
		return -1, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || strconv.FormatInt(n, 10) != text {
		fault := placeOf(in)
		fault.Detail = "must be the id of an event, the number of a revision"
		return 0, &fault
	}
	return n, nil
}

// placeOf is where the caller said which revision it knows.
func placeOf(in *eventsInput) api.Fault {
	if in.LastEventID != "" {
		return api.Fault{Header: "Last-Event-ID"}
	}
	return api.Fault{Parameter: "after"}
}

// eventStream is one caller's. It holds a number: what the caller has not got
// yet is read from the history.
type eventStream struct {
	server    *Server
	ctx       context.Context
	out       *eventWriter
	namespace string
	known     int64 // the last revision that was written
}

// run writes events until the caller leaves, the server stops, or something
// fails; then the caller comes back, and the stream goes on where it ended.
func (e *eventStream) run(headOnly bool) {
	if e.out.begin(e.known) != nil || headOnly {
		return
	}
	s := e.server
	ticker := time.NewTicker(s.heartbeat)
	defer ticker.Stop()
	for {
		now, next, err := s.ledger.Watch(e.namespace)
		if err != nil {
			return
		}
		for e.known < now.Number {
			if s.streams.over() || e.send(e.known+1) != nil {
				return
			}
			e.known++
		}
		select {
		case <-next:
		case <-ticker.C:
			// A superseded ledger would stay silent although others write.
			if s.ledger.Ready() != nil || e.out.comment() != nil {
				return
			}
		case <-s.streams.ended:
			return
		case <-e.ctx.Done():
			return
		}
	}
}

// send reads a revision's record and writes its event.
func (e *eventStream) send(number int64) error {
	c, err := e.read(number)
	if err != nil {
		if e.ctx.Err() == nil {
			e.server.log.WarnContext(e.ctx, "an event stream ends", "namespace", e.namespace, "revision", number, "error", err)
		}
		return err
	}
	return e.out.revision(e.ctx, c)
}

func (e *eventStream) read(number int64) (ledger.Commit, error) {
	select {
	case e.server.past <- struct{}{}:
		defer func() { <-e.server.past }()
		return e.server.ledger.Commit(e.ctx, e.namespace, number)
	case <-e.server.streams.ended:
		return ledger.Commit{}, errDraining
	case <-e.ctx.Done():
		return ledger.Commit{}, e.ctx.Err()
	}
}
