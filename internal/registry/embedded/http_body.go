package embedded

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"gitops-squared.io/gsq/internal/registry"
)

// bodyReader reads a request's body, giving each piece its own time.
type bodyReader struct {
	body       io.Reader
	controller *http.ResponseController
}

// newBodyReader returns a reader and what must be called after reading, so
// that the last piece's time does not end the request later.
func newBodyReader(w http.ResponseWriter, r *http.Request) (bodyReader, func()) {
	c := http.NewResponseController(w)
	return bodyReader{r.Body, c}, func() { _ = c.SetReadDeadline(time.Time{}) }
}

func (b bodyReader) Read(p []byte) (int, error) {
	// Without effect on a connection that knows no deadlines.
	_ = b.controller.SetReadDeadline(time.Now().Add(ioTimeout))
	return b.body.Read(p)
}

// readBody reads a whole body. ErrTooLarge if it is longer than limit.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, fmt.Errorf("%w: the body has %d bytes, at most %d are allowed", registry.ErrTooLarge, r.ContentLength, limit)
	}
	body, done := newBodyReader(w, r)
	defer done()
	data, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, problemf(http.StatusBadRequest, codeSizeInvalid, "the body ended early: %w", err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%w: the body has more than the allowed %d bytes", registry.ErrTooLarge, limit)
	}
	return data, nil
}

// errBodyEnded says that a body ended before its announced length. What came
// is kept: the client can ask how much that is, and go on.
var errBodyEnded = errors.New("the body ended early")

// receive appends a body to an upload. expected is the length that the
// request announces, or -1. ErrTooLarge if the upload becomes larger than
// limit, SIZE_INVALID if the body is longer than expected; the upload must
// then end, because what is too much was not told from the rest.
func receive(w http.ResponseWriter, r *http.Request, p *spool, expected, limit int64) error {
	if r.ContentLength >= 0 && p.size+r.ContentLength > limit {
		return fmt.Errorf("%w: the blob would have %d bytes, at most %d are allowed", registry.ErrTooLarge, p.size+r.ContentLength, limit)
	}
	body, done := newBodyReader(w, r)
	defer done()
	buffer := make([]byte, 64<<10)
	received := int64(0)
	for {
		n, readErr := body.Read(buffer)
		received += int64(n)
		if expected >= 0 && received > expected {
			return problemf(http.StatusBadRequest, codeSizeInvalid, "the body is longer than the %d bytes that the request announces", expected)
		}
		if p.size+int64(n) > limit {
			return fmt.Errorf("%w: the blob has more than the allowed %d bytes", registry.ErrTooLarge, limit)
		}
		if _, err := p.Write(buffer[:n]); err != nil {
			return err
		}
		switch {
		case readErr == io.EOF && (expected < 0 || received == expected):
			return nil
		case readErr != nil:
			return fmt.Errorf("%w: after %d bytes: %w", errBodyEnded, received, readErr)
		}
	}
}
