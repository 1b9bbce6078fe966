package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"

	"gitops-squared.io/gsq/api"
)

// ErrUnreachable says that no answer came from the server: refused, lost or
// timed out. Unless the cause says that the connection was never made, a write
// may have happened; repeating it is safe.
var ErrUnreachable = errors.New("no answer from the server")

// Error is an answer that says no. Callers find it with errors.As, and decide
// on Problem.Code.
type Error struct {
	Method  string
	URL     string
	Status  int         // of HTTP
	Problem api.Problem // Code is empty when the answer was no problem of the API's, such as a proxy's page
}

func (e *Error) Error() string { return e.Problem.Error() }

// Unwrap returns the problem.
func (e *Error) Unwrap() error { return &e.Problem }

// IsCode reports whether err is an answer with one of the codes.
func IsCode(err error, codes ...api.Code) bool {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return false
	}
	for _, code := range codes {
		if e.Problem.Code == code {
			return true
		}
	}
	return false
}

// problemOf makes an Error of an answer that is not 2xx.
func problemOf(request *http.Request, response *http.Response, body []byte) *Error {
	e := &Error{Method: request.Method, URL: request.URL.String(), Status: response.StatusCode}
	if isMedia(response, api.ProblemMediaType) && json.Unmarshal(body, &e.Problem) == nil && e.Problem.Code != "" {
		e.Problem.RetryAfter = retryAfter(response.Header, e.Problem.RetryAfter)
		return e
	}
	e.Problem = api.Problem{Title: http.StatusText(e.Status), Status: e.Status, RetryAfter: retryAfter(response.Header, 0)}
	switch location := response.Header.Get("Location"); {
	case location != "" && e.Status/100 == 3:
		e.Problem.Detail = fmt.Sprintf("%s redirects to %s; name the server by the URL where it answers", e.URL, location)
	default:
		e.Problem.Detail = fmt.Sprintf("%s %s was answered with %s, which is not from a gsq server's API%s",
			e.Method, e.URL, response.Status, excerpt(body))
	}
	return e
}

// retryAfter reads the header in its form of seconds; the form with a date is
// for caches.
func retryAfter(header http.Header, otherwise int) int {
	if n, err := strconv.Atoi(header.Get("Retry-After")); err == nil && n >= 0 {
		return n
	}
	return otherwise
}

func isMedia(response *http.Response, want string) bool {
	media, _, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	return err == nil && media == want
}

// excerpt quotes the beginning of a foreign answer.
func excerpt(body []byte) string {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return ""
	}
	return fmt.Sprintf(": %.120q", body)
}

// unwrapURL takes the URL out of an error that is reported together with it.
func unwrapURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}
