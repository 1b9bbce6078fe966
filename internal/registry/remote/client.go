package remote

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"gitops-squared.io/gsq/internal/registry"

	"oras.land/oras-go/v2/registry/remote/auth"
)

// client sends single requests, for oras and for this package. Each waits for
// its turn, has a time-out, and is read to its end before Do returns, so that
// no answer keeps a place or a connection.
type client struct {
	auth    *auth.Client
	turns   *turns
	timeout time.Duration
}

// call is what a request's context says of it.
type call struct {
	tenant string
	limit  int64 // bytes of an answer to a GET; 0 means maxListBytes
	over   error // what a longer answer is; nil means registry.ErrTooLarge
	blob   bool  // the answer is arbitrary bytes
}

type callKey struct{}

// Do returns only answers of success (2xx), with their whole body in memory.
// Everything else is an error that wraps one of package registry's; see
// classify.go.
func (c *client) Do(req *http.Request) (*http.Response, error) {
	what, _ := req.Context().Value(callKey{}).(call)
	if err := c.turns.acquire(req.Context(), what.tenant); err != nil {
		return nil, fmt.Errorf("%s: %w: waiting for other requests: %w", name(req), registry.ErrUnavailable, err)
	}
	defer c.turns.release()
	ctx, cancel := context.WithTimeout(req.Context(), c.timeout)
	defer cancel()
	resp, err := c.auth.Do(req.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name(req), classifyFailure(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBytes)) // what can be read of it is enough
		return nil, fmt.Errorf("%s: %w", name(req), classifyStatus(req.Method, resp.StatusCode, resp.Header, body))
	}
	if req.Method != http.MethodGet { // a write is answered by its status, and HEAD has no body
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxErrorBytes))
		resp.Body = http.NoBody
		return resp, nil
	}
	body, err := what.read(resp)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name(req), err)
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// read returns the whole body, which must not be longer than the call's limit.
func (w call) read(resp *http.Response) ([]byte, error) {
	if !w.blob && strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return nil, fmt.Errorf("%w: %s with an HTML page, which is not a registry's answer", registry.ErrUnavailable, resp.Status)
	}
	limit, over := w.limit, w.over
	if limit == 0 && !w.blob {
		limit = maxListBytes
	}
	if over == nil {
		over = registry.ErrTooLarge
	}
	if resp.ContentLength > limit {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are expected", over, resp.ContentLength, limit)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%w: after %d bytes of the answer: %w", registry.ErrUnavailable, len(body), err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("%w: more than the %d bytes that are expected", over, limit)
	}
	return body, nil
}

// name names a request in an error, without the query, which may hold an
// upload's secret state.
func name(req *http.Request) string { return req.Method + " " + req.URL.Host + req.URL.Path }
