package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gitops-squared.io/gsq/api"
)

const (
	watchPauseMin = 500 * time.Millisecond // before the first attempt to come back
	watchPauseMax = 30 * time.Second
	// watchSilence is how long a stream may be silent: three of the server's
	// heartbeats.
	watchSilence = 45 * time.Second
)

// WatchOptions choose what Watch yields. The zero value works.
type WatchOptions struct {
	// From is the number of the first revision that is wanted, from 1 on; 0
	// means the next one that is committed.
	From int64

	// Interrupted, unless nil, is told that the stream broke off, why, and how
	// long it is waited before it is continued.
	Interrupted func(cause error, pause time.Duration)
}

// Watch yields the revisions of a namespace as they are committed: each once,
// in order, without gaps. A stream that breaks off is continued where it ended,
// from the registry's history, after a pause that grows from 0.5 to 30 seconds
// with each attempt that fails. The sequence ends when ctx ends; or with an error,
// when the server cannot be reached at first or refuses what is asked, such as a
// namespace that does not exist. The client's time-out does not bound it.
func (c *Client) Watch(ctx context.Context, namespace string, o WatchOptions) iter.Seq2[*api.Commit, error] {
	return func(yield func(*api.Commit, error) bool) {
		w := watch{client: c, namespace: namespace, known: o.From - 1, yield: yield}
		pause := watchPauseMin
		for {
			err := w.stream(ctx)
			if ctx.Err() != nil || w.stopped {
				return
			}
			if !w.connected || refused(err) {
				yield(nil, err)
				return
			}
			if w.moved {
				w.moved, pause = false, watchPauseMin
			}
			wait := max(pause, w.retry, retryIn(err))
			wait += rand.N(wait / 4) // so that not all come back at once
			if o.Interrupted != nil {
				o.Interrupted(err, wait)
			}
			if !sleep(ctx, wait) {
				return
			}
			pause = min(2*pause, watchPauseMax)
		}
	}
}

// watch is the state of a Watch between its streams.
type watch struct {
	client    *Client
	namespace string
	known     int64 // the last revision that was yielded; -1: the one before the next
	yield     func(*api.Commit, error) bool
	stopped   bool          // the caller has enough
	connected bool          // a stream has begun
	moved     bool          // an event came since the last attempt
	retry     time.Duration // what the server asked for
}

// errSilent says that nothing came for too long, not even a heartbeat.
var errSilent = errors.New("the stream fell silent")

// stream yields the events of one stream, until it ends.
func (w *watch) stream(ctx context.Context) error {
	c := w.client
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(c.timeout, func() { cancel(errSilent) })
	defer silence.Stop()
	query := url.Values{}
	if w.known >= 0 {
		query.Set("after", strconv.FormatInt(w.known, 10))
	}
	request, err := c.request(ctx, call{method: http.MethodGet, path: namespacePath(w.namespace, "events"), query: query}, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/event-stream, "+api.ProblemMediaType)
	response, err := c.http.Do(request)
	if err != nil {
		return w.broken(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes))
		if err != nil {
			return w.broken(ctx, err)
		}
		return problemOf(request, response, data)
	}
	if !isMedia(response, "text/event-stream") {
		return fmt.Errorf("%s was answered with %q instead of events: this is not a gsq server", request.URL, response.Header.Get("Content-Type"))
	}
	w.connected = true
	silence.Reset(watchSilence)
	events := newEventReader(response.Body, func() { silence.Reset(watchSilence) })
	for {
		e, err := events.next()
		w.retry = events.retry
		switch {
		case errors.Is(err, bufio.ErrTooLong):
			return fmt.Errorf("an event has more than %d MiB: %w", maxAnswerBytes>>20, err)
		case err != nil:
			return w.broken(ctx, err)
		case e.kind == "revision":
			if err := w.event(e); err != nil || w.stopped {
				return err
			}
		case w.known < 0:
			if n, ok := revisionNumber(e.id); ok {
				w.known = n // where a stream from now on has begun
			}
		}
	}
}

// event yields one revision.
func (w *watch) event(e event) error {
	var commit api.Commit
	if err := json.Unmarshal(e.data, &commit); err != nil {
		return fmt.Errorf("the event %q cannot be read: %w", e.id, err)
	}
	n, ok := revisionNumber(e.id)
	if !ok || n != commit.Number || w.known >= 0 && n != w.known+1 {
		return fmt.Errorf("the event %q holds revision %d, after revision %d", e.id, commit.Number, w.known)
	}
	w.known, w.moved = n, true
	w.stopped = !w.yield(&commit, nil)
	return nil
}

func revisionNumber(id string) (int64, bool) {
	n, err := strconv.ParseInt(id, 10, 64)
	return n, err == nil && n >= 0
}

// broken is the error of a stream that broke off.
func (w *watch) broken(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("%w %s: %w", ErrUnreachable, w.client.base, unwrapURL(err))
}

// refused reports whether it is of no use to ask again: the server has answered
// that the request is wrong, or something else than a server has answered.
func refused(err error) bool {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Status < 500 && e.Status != http.StatusTooManyRequests
	}
	return err != nil && !errors.Is(err, ErrUnreachable)
}

// retryIn is after how long the server wants to be asked again.
func retryIn(err error) time.Duration {
	if e, ok := errors.AsType[*Error](err); ok {
		return min(time.Duration(e.Problem.RetryAfter)*time.Second, watchPauseMax)
	}
	return 0
}
