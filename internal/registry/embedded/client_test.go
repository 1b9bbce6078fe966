package embedded_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
)

// client talks to a store's handler over a real connection.
type client struct {
	t   testing.TB
	url string
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

func serve(t testing.TB, s *embedded.Store, o embedded.HandlerOptions) client {
	t.Helper()
	server := httptest.NewServer(s.Handler(o))
	t.Cleanup(server.Close)
	return client{t, server.URL}
}

// do sends a request; header holds names and values in turn.
func (c client) do(method, url string, body []byte, header ...string) answer {
	c.t.Helper()
	return c.stream(method, url, bytes.NewReader(body), header...)
}

func (c client) stream(method, url string, body io.Reader, header ...string) answer {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+url, body)
	if err != nil {
		c.t.Fatal(err)
	}
	for pair := range slices.Chunk(header, 2) {
		r.Header.Set(pair[0], pair[1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, url, err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, url, err)
	}
	return answer{response.StatusCode, response.Header, data}
}

// want sends a request that must be answered with the status.
func (c client) want(status int, method, url string, body []byte, header ...string) answer {
	c.t.Helper()
	a := c.do(method, url, body, header...)
	if a.status != status {
		c.t.Fatalf("%s %s: status %d, want %d: %s", method, url, a.status, status, a.body)
	}
	return a
}

// refused sends a request that must be answered with the status and an error
// body with the code (OCI distribution spec 1.1, section "Error Codes").
func (c client) refused(status int, code, method, url string, body []byte, header ...string) answer {
	c.t.Helper()
	a := c.want(status, method, url, body, header...)
	var problem struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(a.body, &problem); err != nil || len(problem.Errors) == 0 {
		c.t.Fatalf("%s %s: error body %q: %v", method, url, a.body, err)
	}
	for _, e := range problem.Errors {
		if e.Code != code || e.Message == "" {
			c.t.Errorf("%s %s: error %+v, want code %s and a message", method, url, e, code)
		}
	}
	return a
}

func (c client) pushBlob(repo string, data []byte) digest.Digest {
	c.t.Helper()
	d := digest.FromBytes(data)
	c.want(http.StatusCreated, "POST", "/v2/"+repo+"/blobs/uploads/?digest="+d.String(), data)
	return d
}

// push pushes an artifact under a tag.
func (c client) push(repo, tag string, a registry.Artifact) {
	c.t.Helper()
	for _, b := range a.Blobs {
		c.pushBlob(repo, b.Data)
	}
	c.want(http.StatusCreated, "PUT", "/v2/"+repo+"/manifests/"+tag, a.Manifest.Data, "Content-Type", a.Manifest.MediaType)
}

// direct calls a handler without a connection, for tests in a bubble of
// package synctest.
type direct struct {
	t       testing.TB
	handler http.Handler
}

func (d direct) do(method, url, body string) *httptest.ResponseRecorder {
	d.t.Helper()
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, httptest.NewRequestWithContext(d.t.Context(), method, url, strings.NewReader(body)))
	return w
}
