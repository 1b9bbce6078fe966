// Package drive sends the requests that are measured: the product's, and those
// of a plain OCI client. Both go through the same HTTP client, so that a caller
// costs the same on either side, and every answer's status is checked.
package drive

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
)

// requestTimeout is far above what any measured request may take.
const requestTimeout = 5 * time.Minute

// Client is an HTTP client that keeps its connections. Its methods may be
// called concurrently.
type Client struct{ http *http.Client }

// NewClient returns a client that keeps as many connections to each host as
// there may be callers at a time.
func NewClient(callers int) *Client {
	return &Client{&http.Client{
		Timeout: requestTimeout,
		Transport: &http.Transport{
			MaxIdleConns:        0, // no limit but the next
			MaxIdleConnsPerHost: callers,
			DisableCompression:  true, // what is counted are the bytes that were sent
		},
	}}
}

// Close gives the idle connections up.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Request is one to send. Body is nil or whole.
type Request struct {
	Method, URL, ContentType, Accept string
	Body                             []byte
}

// Answer is one that was received whole.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Send sends the request, once. An answer with none of the wanted statuses is
// an error that quotes it.
func (c *Client) Send(ctx context.Context, r Request, want ...int) (Answer, error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("%s %s: the answer broke off: %w", r.Method, r.URL, err)
	}
	if !slices.Contains(want, resp.StatusCode) {
		return Answer{}, fmt.Errorf("%s %s: answered %d, want %d: %.500s", r.Method, r.URL, resp.StatusCode, want, body)
	}
	return Answer{resp.StatusCode, resp.Header, body}, nil
}

// Fetch gets a URL, which must be answered 200 with that many bytes, and keeps
// nothing.
func (c *Client) Fetch(ctx context.Context, r Request, size int64) error {
	resp, err := c.send(ctx, r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: the answer broke off: %w", r.Method, r.URL, err)
	}
	if resp.StatusCode != http.StatusOK || n != size {
		return fmt.Errorf("%s %s: answered %d with %d bytes, want 200 with %d", r.Method, r.URL, resp.StatusCode, n, size)
	}
	return nil
}

func (c *Client) send(ctx context.Context, r Request) (*http.Response, error) {
	var body io.Reader // a nil *bytes.Reader would not be nil here
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, r.URL, body)
	if err != nil {
		return nil, err
	}
	if r.ContentType != "" {
		req.Header.Set("Content-Type", r.ContentType)
	}
	if r.Accept != "" {
		req.Header.Set("Accept", r.Accept)
	}
	return c.http.Do(req)
}
