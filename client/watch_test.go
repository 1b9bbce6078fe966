package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
)

// streams serves one scripted stream after the other, and notes what each
// request said that it knows.
func streams(t *testing.T, scripts ...func(w http.ResponseWriter)) (*client.Client, func() []string) {
	t.Helper()
	var mu sync.Mutex
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n := len(asked)
		asked = append(asked, r.URL.Path+"?"+r.URL.RawQuery)
		mu.Unlock()
		if n < len(scripts) {
			scripts[n](w)
			return
		}
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	c, err := client.New(client.Options{Server: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	return c, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(asked)
	}
}

func events(begin int64, numbers ...int64) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "retry: 1\nid: %d\n\n:\n\n", begin)
		for _, n := range numbers {
			fmt.Fprintf(w, "event: revision\nid: %d\ndata: {\"number\":%d}\n\n", n, n)
		}
	}
}

func problem(status int, code api.Code) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", api.ProblemMediaType)
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"code":%q,"detail":"no"}`, code)
	}
}

// watch takes so many revisions.
func watch(t *testing.T, c *client.Client, o client.WatchOptions, most int) (got []int64, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for commit, failed := range c.Watch(ctx, "shop", o) {
		if failed != nil {
			return got, failed
		}
		if got = append(got, commit.Number); len(got) == most {
			break
		}
	}
	if ctx.Err() != nil {
		t.Error("the watch did not end")
	}
	return got, nil
}

func TestWatchContinuesWhereItBrokeOff(t *testing.T) {
	t.Parallel()
	c, asked := streams(t, events(6), events(6, 7, 8), problem(503, api.CodeOverloaded), events(8, 9))
	interrupted := 0
	got, err := watch(t, c, client.WatchOptions{Interrupted: func(error, time.Duration) { interrupted++ }}, 3)
	if want := []int64{7, 8, 9}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	const path = "/api/v1/namespaces/shop/events?"
	if want := []string{path, path + "after=6", path + "after=8", path + "after=8"}; !slices.Equal(asked(), want) || interrupted != 3 {
		t.Errorf("asked %q, want %q; interrupted %d times", asked(), want, interrupted)
	}
}

func TestWatchFromARevision(t *testing.T) {
	t.Parallel()
	c, asked := streams(t, events(0, 1, 2))
	got, err := watch(t, c, client.WatchOptions{From: 1}, 2)
	if err != nil || !slices.Equal(got, []int64{1, 2}) || asked()[0] != "/api/v1/namespaces/shop/events?after=0" {
		t.Errorf("%v, %v, asked %q", got, err, asked())
	}
}

func TestWatchFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		scripts []func(http.ResponseWriter)
		most    int
	}{
		"at once":                   {[]func(http.ResponseWriter){problem(404, api.CodeNamespaceNotFound)}, 0},
		"at first overloaded":       {[]func(http.ResponseWriter){problem(503, api.CodeOverloaded)}, 0},
		"when it comes back":        {[]func(http.ResponseWriter){events(1, 2), problem(400, api.CodeInvalid)}, 1},
		"what is no stream":         {[]func(http.ResponseWriter){func(w http.ResponseWriter) { w.Write([]byte("hello")) }}, 0},
		"a gap":                     {[]func(http.ResponseWriter){events(1, 3)}, 0},
		"a gap between two streams": {[]func(http.ResponseWriter){events(1, 2), events(2, 4)}, 1},
		"a repetition":              {[]func(http.ResponseWriter){events(1, 2, 2)}, 1},
		"an event of another kind of data": {[]func(http.ResponseWriter){func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "event: revision\nid: 1\ndata: x\n\n")
		}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, _ := streams(t, tc.scripts...)
			got, err := watch(t, c, client.WatchOptions{}, 100)
			if err == nil || len(got) != tc.most {
				t.Errorf("%v after %v", err, got)
			}
		})
	}
	c, err := client.New(client.Options{Server: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch(t, c, client.WatchOptions{}, 1); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("nobody answers: %v", err)
	}
}

func TestWatchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c, _ := streams(t, events(1, 2), events(2))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for commit, err := range c.Watch(ctx, "shop", client.WatchOptions{Interrupted: func(error, time.Duration) { cancel() }}) {
		if err != nil || commit.Number != 2 {
			t.Errorf("%v, %v", commit, err)
		}
	}
}

func bodyOf(t *testing.T, r *http.Request) string {
	t.Helper()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestRollbackCalls(t *testing.T) {
	t.Parallel()
	c, requests := answer(t, 200, "application/json", `{"namespace":"shop","rolledBack":1}`)
	r, err := c.RollBackResource(t.Context(), "shop", "web", api.ResourceRollback{To: "v1", Reason: "x"}, client.Preconditions{IfMatch: "sha256:a"})
	if err != nil || r.RolledBack != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	if q := <-requests; q.Method != "POST" || q.URL.Path != "/base/api/v1/namespaces/shop/resources/web/rollback" || q.Header.Get("If-Match") != `"sha256:a"` || bodyOf(t, q) != `{"to":"v1","reason":"x"}` {
		t.Errorf("%s %s %v", q.Method, q.URL, q.Header)
	}
	if _, err := c.RollBackNamespace(t.Context(), "shop", api.NamespaceRollback{To: "r2", Confirm: true}); err != nil {
		t.Fatal(err)
	}
	if q := <-requests; q.Method != "POST" || q.URL.Path != "/base/api/v1/namespaces/shop/rollback" || bodyOf(t, q) != `{"to":"r2","confirm":true}` {
		t.Errorf("%s %s", q.Method, q.URL)
	}
}
