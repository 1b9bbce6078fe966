package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"gitops-squared.io/gsq/api"
)

// Limits of a call.
const (
	maxAnswerBytes = 64 << 20         // far above any list a server's limits allow
	maxAttempts    = 4                // of one call
	maxWait        = 10 * time.Second // before a repeat, whatever the server asks for
)

// call is one request, to be sent once or several times.
type call struct {
	method string
	path   []string // segments below the server's URL
	query  url.Values
	header http.Header
	body   any // nil: none
	// repeatUnknown says that repeating it after outcome-unknown answers the
	// same as if it had been sent once.
	repeatUnknown bool
}

// do sends a call and decodes its answer into result. Answers that mean
// "nothing changed, try again" are repeated after the time that the server
// asks for, and outcome-unknown if the call allows it; four attempts at most,
// all within the client's time-out.
func (c *Client) do(ctx context.Context, call call, result any) error {
	body, err := encode(call.body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		err := c.attempt(ctx, call, body, result)
		wait, again := repeatAfter(err, call)
		if !again || attempt == maxAttempts || !sleep(ctx, wait) {
			return err
		}
	}
}

func encode(body any) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode the request: %w", err)
	}
	if len(data) > api.MaxBodyBytes {
		return nil, fmt.Errorf("the request has %d bytes, the API allows %d; send it in parts", len(data), api.MaxBodyBytes)
	}
	return data, nil
}

// repeatAfter says whether a call that ended with err is to be repeated, and
// when.
func repeatAfter(err error, call call) (time.Duration, bool) {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return 0, false
	}
	wait := time.Duration(min(e.Problem.RetryAfter, int(maxWait/time.Second))) * time.Second
	switch e.Problem.Code {
	case api.CodeQueueFull, api.CodeOverloaded, api.CodeRegistryUnavailable, api.CodeNotReady:
		return wait, e.Problem.RetryAfter > 0
	case api.CodeOutcomeUnknown:
		return max(wait, time.Second), call.repeatUnknown
	}
	return 0, false
}

// sleep waits. It returns false at once when ctx would end first.
func sleep(ctx context.Context, wait time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= wait {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (c *Client) attempt(ctx context.Context, call call, body []byte, result any) error {
	request, err := c.request(ctx, call, body)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return c.noAnswer(ctx, err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	if err != nil {
		return c.noAnswer(ctx, err)
	}
	if len(data) > maxAnswerBytes {
		return fmt.Errorf("%s %s: the answer has more than %d MiB", request.Method, request.URL, maxAnswerBytes>>20)
	}
	if response.StatusCode/100 != 2 {
		return problemOf(request, response, data)
	}
	if !isMedia(response, "application/json") {
		return fmt.Errorf("%s %s was answered with %q instead of JSON: this is not a gsq server%s",
			request.Method, request.URL, response.Header.Get("Content-Type"), excerpt(data))
	}
	if err := json.Unmarshal(data, result); err != nil {
		return fmt.Errorf("%s %s: the answer cannot be read: %w", request.Method, request.URL, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, call call, body []byte) (*http.Request, error) {
	path := make([]string, len(call.path))
	for i, segment := range call.path {
		// Dots would lead to another path, and nothing to another call.
		if segment == "" || segment == "." || segment == ".." {
			return nil, fmt.Errorf("%q is not a name", segment)
		}
		path[i] = url.PathEscape(segment)
	}
	target := c.base.JoinPath(strings.Join(path, "/"))
	target.RawQuery = call.query.Encode()
	request, err := http.NewRequestWithContext(ctx, call.method, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, values := range call.header {
		request.Header[name] = values
	}
	request.Header.Set("User-Agent", c.userAgent)
	if c.actor != "" && call.method != http.MethodGet {
		request.Header.Set(api.HeaderActor, c.actor)
	}
	request.Header.Set("Accept", "application/json, "+api.ProblemMediaType)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return request, nil
}

// noAnswer is the error of a request whose answer did not come.
func (c *Client) noAnswer(ctx context.Context, err error) error {
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return context.Cause(ctx)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w %s within %s: %w", ErrUnreachable, c.base, c.timeout, context.DeadlineExceeded)
	}
	return fmt.Errorf("%w %s: %w", ErrUnreachable, c.base, unwrapURL(err))
}
