package server

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"time"

	"gitops-squared.io/gsq/internal/ledger"
)

const (
	// eventRetry is how long a caller whose stream has ended waits before it
	// comes back.
	eventRetry = 2 * time.Second
	// defaultHeartbeat is the pause between comments, which keep proxies from
	// closing a silent stream.
	defaultHeartbeat = 15 * time.Second
	// eventPatience is how long a caller may take for an event, and for each
	// further eventPart of it.
	eventPatience = 10 * time.Second
	eventPart     = 1 << 20
	// An event of more changes than largeEvent is large: at most largeEvents of
	// them are in memory, encoded, at once.
	largeEvent  = 100
	largeEvents = 4
)

// eventWriter writes server-sent events (WHATWG HTML, section "Server-sent
// events"). Each write ends within a time-out, so that a caller who does not
// read does not stay.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	streams *streams
}

func newEventWriter(w http.ResponseWriter, s *streams) *eventWriter {
	return &eventWriter{w: w, control: http.NewResponseController(w), streams: s}
}

// begin writes the header, and an id without an event: a caller who comes back
// before the first event says where it was.
func (e *eventWriter) begin(known int64) error {
	// The request has been read, and the stream outlives its time-out. Only a
	// writer without deadlines refuses, as tests have.
	_ = e.control.SetReadDeadline(time.Time{})
	h := e.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	e.w.WriteHeader(http.StatusOK)
	retry := strconv.FormatInt(eventRetry.Milliseconds(), 10)
	return e.write([]byte("retry: " + retry + "\nid: " + strconv.FormatInt(known, 10) + "\n\n"))
}

func (e *eventWriter) comment() error { return e.write([]byte(":\n\n")) }

// revision writes the event of a commit.
func (e *eventWriter) revision(ctx context.Context, c ledger.Commit) error {
	if len(c.Changes) > largeEvent {
		select {
		case e.streams.large <- struct{}{}:
			defer func() { <-e.streams.large }()
		case <-e.streams.ended:
			return errDraining
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	var event bytes.Buffer
	event.WriteString("event: revision\nid: " + strconv.FormatInt(c.Revision.Number, 10) + "\ndata: ")
	// One line: JSON escapes line breaks.
	if err := encode(&event, answerCommit(c)); err != nil {
		return err
	}
	event.WriteByte('\n')
	if err := e.write(event.Bytes()); err != nil {
		return err
	}
	e.streams.sent.Inc()
	return nil
}

func (e *eventWriter) write(data []byte) error {
	patience := eventPatience * time.Duration(1+len(data)/eventPart)
	_ = e.control.SetWriteDeadline(time.Now().Add(patience))
	if _, err := e.w.Write(data); err != nil {
		return err
	}
	return e.control.Flush()
}
