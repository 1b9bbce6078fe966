package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
)

func TestServerURL(t *testing.T) {
	t.Parallel()
	for server, want := range map[string]string{
		"":                          "http://127.0.0.1:8080",
		"http://gsq.example:8080/":  "http://gsq.example:8080",
		"https://gsq.example/a/b//": "https://gsq.example/a/b",
	} {
		c, err := client.New(client.Options{Server: server})
		if err != nil {
			t.Errorf("%q: %v", server, err)
		} else if got := c.Server().String(); got != want {
			t.Errorf("%q: got %s, want %s", server, got, want)
		}
	}
	for server, want := range map[string]string{
		"localhost:8080":         "begin it with http:// or https://",
		"127.0.0.1:8080":         "begin it with http:// or https://",
		"http://http://host":     "has a colon without a port",
		"ftp://host":             `the scheme must be http or https, not "ftp"`,
		"http://":                "names no host",
		"http://:8080":           "names no host",
		"http://u:secret@host":   "holds credentials",
		"http://host?x=1":        "has a query or a fragment",
		"http://host#x":          "has a query or a fragment",
		"http://host:http/":      "is not a URL",
		"http://ho st/":          "is not a URL",
		"http://[::1/":           "is not a URL",
		"http://host/%zz":        "is not a URL",
		"\x7fhttp://host":        "is not a URL",
		"https://user@host/path": "holds credentials",
	} {
		_, err := client.New(client.Options{Server: server})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got error %v, want it to contain %q", server, err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error shows the password: %v", server, err)
		}
	}
	if _, err := client.New(client.Options{Timeout: -time.Second}); err == nil {
		t.Error("a negative time-out was accepted")
	}
}

// answer serves one fixed answer and hands the requests over.
func answer(t *testing.T, status int, contentType, body string) (*client.Client, <-chan *http.Request) {
	t.Helper()
	requests := make(chan *http.Request, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(data)))
		requests <- r
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	c, err := client.New(client.Options{Server: server.URL + "/base/", UserAgent: "test/1", Actor: "Ada"})
	if err != nil {
		t.Fatal(err)
	}
	return c, requests
}

func TestRequests(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	spec := api.Spec{Type: "vm", Size: "small"}
	tests := map[string]struct {
		call               func(c *client.Client) error
		method, target     string
		body               string
		ifMatch, ifNoMatch string
	}{
		"get": {
			call:   func(c *client.Client) error { _, err := c.Get(ctx, "prod", "a/b"); return err },
			method: "GET", target: "/base/api/v1/namespaces/prod/resources/a%2Fb"},
		"list": {
			call:   func(c *client.Client) error { _, err := c.List(ctx, "prod", client.ListOptions{}); return err },
			method: "GET", target: "/base/api/v1/namespaces/prod/resources"},
		"list, all options": {
			call: func(c *client.Client) error {
				_, err := c.List(ctx, "prod", client.ListOptions{Type: "vm", Region: "e&u", NamePrefix: "a", Limit: 5, Continue: "x"})
				return err
			},
			method: "GET", target: "/base/api/v1/namespaces/prod/resources?continue=x&limit=5&namePrefix=a&region=e%26u&type=vm"},
		"put": {
			call: func(c *client.Client) error {
				_, err := c.Put(ctx, "prod", "a", spec, client.WriteOptions{Preconditions: client.Preconditions{IfMatch: "sha256:1"}})
				return err
			},
			method: "PUT", target: "/base/api/v1/namespaces/prod/resources/a",
			body: `{"spec":{"type":"vm","size":"small"}}`, ifMatch: `"sha256:1"`},
		"create": {
			call: func(c *client.Client) error {
				_, err := c.Put(ctx, "prod", "a", spec, client.WriteOptions{Preconditions: client.Preconditions{IfNew: true}})
				return err
			},
			method: "PUT", target: "/base/api/v1/namespaces/prod/resources/a",
			body: `{"spec":{"type":"vm","size":"small"}}`, ifNoMatch: "*"},
		"delete": {
			call: func(c *client.Client) error {
				_, err := c.Delete(ctx, "prod", "a", client.WriteOptions{Preconditions: client.Preconditions{IfMatch: "*"}})
				return err
			},
			method: "DELETE", target: "/base/api/v1/namespaces/prod/resources/a", ifMatch: "*"},
		"apply": {
			call: func(c *client.Client) error {
				_, err := c.Apply(ctx, "prod", api.ApplyRequest{Deletes: []string{"x"}, Reason: "why"}, client.ApplyOptions{DryRun: true, Prune: true, Confirm: true})
				return err
			},
			method: "POST", target: "/base/api/v1/namespaces/prod/apply?confirm=true&dryRun=true&prune=true",
			body: `{"resources":[],"deletes":["x"],"reason":"why"}`},
		"put, with a reason": {
			call: func(c *client.Client) error {
				_, err := c.Put(ctx, "prod", "a", spec, client.WriteOptions{Reason: "why"})
				return err
			},
			method: "PUT", target: "/base/api/v1/namespaces/prod/resources/a",
			body: `{"spec":{"type":"vm","size":"small"},"reason":"why"}`},
		"delete, with a reason": {
			call: func(c *client.Client) error {
				_, err := c.Delete(ctx, "prod", "a", client.WriteOptions{Reason: "a & b"})
				return err
			},
			method: "DELETE", target: "/base/api/v1/namespaces/prod/resources/a?reason=a+%26+b"},
		"get, as it was": {
			call: func(c *client.Client) error {
				_, err := c.GetAt(ctx, "prod", "a", "2026-05-04T14:00:00+02:00")
				return err
			},
			method: "GET", target: "/base/api/v1/namespaces/prod/resources/a?at=2026-05-04T14%3A00%3A00%2B02%3A00"},
		"list, as it was": {
			call: func(c *client.Client) error {
				_, err := c.List(ctx, "prod", client.ListOptions{At: "r12"})
				return err
			},
			method: "GET", target: "/base/api/v1/namespaces/prod/resources?at=r12"},
		"versions": {
			call: func(c *client.Client) error {
				_, err := c.Versions(ctx, "prod", "a", client.PageOptions{Limit: 5, Continue: "x"})
				return err
			},
			method: "GET", target: "/base/api/v1/namespaces/prod/resources/a/versions?continue=x&limit=5"},
		"version": {
			call:   func(c *client.Client) error { _, err := c.Version(ctx, "prod", "a", "v1"); return err },
			method: "GET", target: "/base/api/v1/namespaces/prod/resources/a/versions/v1"},
		"diff of versions": {
			call: func(c *client.Client) error {
				_, err := c.DiffVersions(ctx, "prod", "a", "v1", "v2")
				return err
			},
			method: "GET", target: "/base/api/v1/namespaces/prod/resources/a/diff?from=v1&to=v2"},
		"diff to now": {
			call:   func(c *client.Client) error { _, err := c.DiffVersions(ctx, "prod", "a", "v1", ""); return err },
			method: "GET", target: "/base/api/v1/namespaces/prod/resources/a/diff?from=v1"},
		"revisions": {
			call:   func(c *client.Client) error { _, err := c.Revisions(ctx, "prod", client.PageOptions{}); return err },
			method: "GET", target: "/base/api/v1/namespaces/prod/revisions"},
		"revision": {
			call:   func(c *client.Client) error { _, err := c.Revision(ctx, "prod", "r12"); return err },
			method: "GET", target: "/base/api/v1/namespaces/prod/revisions/r12"},
		"diff of revisions": {
			call:   func(c *client.Client) error { _, err := c.DiffRevisions(ctx, "prod", "r1", "r2"); return err },
			method: "GET", target: "/base/api/v1/namespaces/prod/diff?from=r1&to=r2"},
		"namespaces": {
			call:   func(c *client.Client) error { _, err := c.Namespaces(ctx); return err },
			method: "GET", target: "/base/api/v1/namespaces"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, requests := answer(t, 200, "application/json", "{}")
			if err := test.call(c); err != nil {
				t.Fatal(err)
			}
			r := <-requests
			body, _ := io.ReadAll(r.Body)
			if r.Method != test.method || r.RequestURI != test.target || string(body) != test.body {
				t.Errorf("got %s %s %s", r.Method, r.RequestURI, body)
			}
			if got := r.Header.Get("User-Agent"); got != "test/1" {
				t.Errorf("User-Agent %q", got)
			}
			actor := map[bool]string{true: "Ada"}[test.method != "GET"]
			if got := r.Header.Get(api.HeaderActor); got != actor {
				t.Errorf("actor %q, want %q", got, actor)
			}
			if r.Header.Get("If-Match") != test.ifMatch || r.Header.Get("If-None-Match") != test.ifNoMatch {
				t.Errorf("preconditions: %v", r.Header)
			}
		})
	}
}

func TestNamesThatAreNone(t *testing.T) {
	t.Parallel()
	c, requests := answer(t, 200, "application/json", "{}")
	for _, name := range []string{"", ".", ".."} {
		if _, err := c.Delete(t.Context(), "prod", name, client.WriteOptions{}); err == nil {
			t.Errorf("%q was sent", name)
		}
		if _, err := c.List(t.Context(), name, client.ListOptions{}); err == nil {
			t.Errorf("namespace %q was sent", name)
		}
	}
	if len(requests) > 0 {
		t.Error("a request was sent")
	}
}

func TestProblem(t *testing.T) {
	t.Parallel()
	c, _ := answer(t, 400, "application/problem+json; charset=utf-8",
		`{"title":"Invalid","status":400,"code":"invalid","detail":"2 faults","errors":[{"pointer":"/spec/size","detail":"is bad"}]}`)
	_, err := c.Get(t.Context(), "default", "a")
	e, ok := errors.AsType[*client.Error](err)
	if !ok || e.Status != 400 || e.Problem.Code != api.CodeInvalid || len(e.Problem.Errors) != 1 || e.Method != "GET" {
		t.Fatalf("got %#v", err)
	}
	if p, ok := errors.AsType[*api.Problem](err); !ok || p.Detail != "2 faults" {
		t.Errorf("the problem is not found in the error: %v", err)
	}
	if !client.IsCode(err, api.CodeNotFound, api.CodeInvalid) || client.IsCode(err, api.CodeNotFound) {
		t.Error("IsCode is wrong")
	}
	if got := err.Error(); got != "2 faults\n  /spec/size: is bad" {
		t.Errorf("message %q", got)
	}
}

func TestForeignAnswers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status              int
		contentType, answer string
		want                string
	}{
		"a proxy's page":     {502, "text/html", "<html>\nBad", "502 Bad Gateway, which is not from a gsq server's API: \"<html>\\nBad\""},
		"another API":        {404, "application/json", "", "404 Not Found, which is not from a gsq server's API"},
		"problem, no code":   {400, api.ProblemMediaType, `{"detail":"x"}`, "not from a gsq server's API"},
		"a web page":         {200, "text/html", "<html>", "this is not a gsq server"},
		"half an answer":     {200, "application/json", `{"name":`, "the answer cannot be read"},
		"answer, wrong type": {200, "application/json", `{"name":1}`, "the answer cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := answer(t, test.status, test.contentType, test.answer)
			if _, err := c.Get(t.Context(), "default", "a"); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want it to contain %q", err, test.want)
			}
		})
	}
}

func TestRedirectIsAnError(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/elsewhere") {
			reached <- struct{}{}
		}
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	}))
	t.Cleanup(server.Close)
	c, err := client.New(client.Options{Server: server.URL, HTTPClient: server.Client()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Apply(t.Context(), "default", api.ApplyRequest{}, client.ApplyOptions{})
	if err == nil || !strings.Contains(err.Error(), "redirects to /elsewhere") {
		t.Errorf("got %v", err)
	}
	if len(reached) > 0 {
		t.Error("the redirect was followed")
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	c, err := client.New(client.Options{Server: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	if _, err := c.Namespaces(t.Context()); !errors.Is(err, client.ErrUnreachable) || strings.Count(err.Error(), server.URL) != 1 {
		t.Errorf("refused: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Namespaces(ctx); !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrUnreachable) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestTimeout(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(done) })
	c, err := client.New(client.Options{Server: server.URL, Timeout: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Namespaces(t.Context())
	if !errors.Is(err, client.ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "within 10ms") {
		t.Errorf("got %v", err)
	}
}

func TestTooLargeRequest(t *testing.T) {
	t.Parallel()
	c, requests := answer(t, 200, "application/json", "{}")
	_, err := c.Apply(t.Context(), "default", api.ApplyRequest{Reason: strings.Repeat("x", api.MaxBodyBytes)}, client.ApplyOptions{})
	if err == nil || !strings.Contains(err.Error(), "the API allows 1048576") {
		t.Errorf("got %v", err)
	}
	if len(requests) > 0 {
		t.Error("it was sent")
	}
}

// zeros is an endless answer.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestTooLargeAnswer(t *testing.T) {
	t.Parallel()
	transport := roundTrip(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(zeros{})}, nil
	})
	c, err := client.New(client.Options{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Namespaces(t.Context()); err == nil || !strings.Contains(err.Error(), "more than 64 MiB") {
		t.Errorf("got %v", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func jsonAnswer(status int, mediaType string, body any, retryAfter string) *http.Response {
	data, _ := json.Marshal(body)
	h := http.Header{"Content-Type": {mediaType}}
	if retryAfter != "" {
		h.Set("Retry-After", retryAfter)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(string(data)))}
}

func FuzzServerURL(f *testing.F) {
	for _, seed := range []string{"http://127.0.0.1:8080", "https://[::1]/a/b/", "http://a@b", "http://h/%2f/../x", "http://h/?", "h:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, server string) {
		var target *url.URL
		transport := roundTrip(func(r *http.Request) (*http.Response, error) {
			target = r.URL
			return jsonAnswer(200, "application/json", map[string]any{}, ""), nil
		})
		c, err := client.New(client.Options{Server: server, HTTPClient: &http.Client{Transport: transport}})
		if err != nil || server == "" {
			return
		}
		if _, err := c.Namespaces(t.Context()); err != nil {
			t.Fatalf("%q was accepted, but the request fails: %v", server, err)
		}
		if base := c.Server(); target.Host != base.Host || target.Scheme != base.Scheme || !strings.HasSuffix(target.Path, "/api/v1/namespaces") {
			t.Fatalf("%q leads to %s", server, target)
		}
	})
}
