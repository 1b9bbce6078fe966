package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/server"
)

// blocked is a ledger whose writes wait. Begun tells of each one.
func blocked(begun chan<- string, goOn <-chan struct{}) stub {
	return stub{
		ready: func() error { return nil },
		ping:  func(context.Context) error { return nil },
		apply: func(ctx context.Context, r ledger.Request) (ledger.Result, error) {
			begun <- r.Namespace
			<-goOn
			return ledger.Result{}, &ledger.Error{Code: ledger.CodeLimit, Message: "enough"}
		},
		namespaces: func() ([]ledger.Namespace, error) { return nil, nil },
	}
}

// largeApply is a body of just below the bound.
func largeApply() string {
	return `{"resources":[],` + strings.Repeat(" ", api.MaxBodyBytes-100) + `"deletes":["a"]}`
}

// Large bodies are held while their requests wait. Those of one namespace leave
// room for another's, and single resources are never refused.
func TestLargeBodiesAreBounded(t *testing.T) {
	t.Parallel()
	const half = 16 // of 32 MiB
	begun, goOn := make(chan string, 100), make(chan struct{})
	f := serve(t, blocked(begun, goOn))
	f.http.Client().Timeout = 2 * time.Minute // of those that should be refused
	var writers sync.WaitGroup
	defer writers.Wait()
	defer close(goOn)
	send := func(path, body string) {
		writers.Go(func() { f.do("POST", path, body).problem(409, api.CodeLimit) })
		<-begun
	}
	for range half {
		send(shopApply, largeApply())
	}
	refused := f.do("POST", shopApply, largeApply())
	p := refused.problem(503, api.CodeOverloaded)
	if refused.header.Get("Retry-After") == "" || p.RetryAfter <= 0 {
		t.Error("the caller is not told when to try again")
	}
	chunked := f.chunked(shopApply, largeApply())
	chunked.problem(503, api.CodeOverloaded)
	send("/api/v1/namespaces/depot/apply", largeApply())
	send(shop, vm)
	f.do("GET", "/readyz", "").want(200)
}

// chunked sends a body without saying how large it is.
func (f *fixture) chunked(path, body string) reply {
	f.t.Helper()
	r, err := http.NewRequest("POST", f.http.URL+path, io.MultiReader(strings.NewReader(body)))
	if err != nil {
		f.t.Fatal(err)
	}
	return send(f.t, f.http.Client(), r)
}

func TestBodiesOfAnySizeArrive(t *testing.T) {
	t.Parallel()
	got := make(chan ledger.Request, 1)
	f := serve(t, stub{apply: func(_ context.Context, r ledger.Request) (ledger.Result, error) {
		got <- r
		return ledger.Result{}, nil
	}})
	for _, n := range []int{1, 100, 16<<10 - 1, 16 << 10, 16<<10 + 1, 100 << 10} {
		var body bytes.Buffer
		const head = `{"resources":[],"reason":"all of it"`
		fmt.Fprintf(&body, "%s%s}", head, strings.Repeat(" ", max(0, n-len(head)-1)))
		f.do("POST", shopApply, body.String()).want(200)
		if r := <-got; r.Reason != "all of it" {
			t.Errorf("%d bytes arrive as %+v", n, r)
		}
		f.chunked(shopApply, body.String()).want(200)
		if r := <-got; r.Reason != "all of it" {
			t.Errorf("%d bytes in chunks arrive as %+v", n, r)
		}
	}
	over := strings.Repeat(" ", api.MaxBodyBytes+1)
	f.do("POST", shopApply, over).problem(413, api.CodeBodyTooLarge)
	f.chunked(shopApply, over).problem(413, api.CodeBodyTooLarge)
}

// Uploads to the registry are bounded, too, by repository.
func TestUploadsAreBounded(t *testing.T) {
	t.Parallel()
	begun, goOn := make(chan struct{}, 100), make(chan struct{})
	registry := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/held/") {
			begun <- struct{}{}
			<-goOn
		}
	})
	f := serve(t, blocked(nil, nil), func(o *server.Options) { o.Registry = registry })
	f.http.Client().Timeout = 2 * time.Minute // of those that should be refused
	manifest := strings.Repeat(" ", 4<<20)
	var pushers sync.WaitGroup
	defer pushers.Wait()
	defer close(goOn)
	for range 8 { // half of 64 MiB
		pushers.Go(func() { f.do("PUT", "/v2/held/manifests/a", manifest).want(200) })
		<-begun
	}
	f.do("PUT", "/v2/held/manifests/a", manifest).problem(503, api.CodeOverloaded)
	f.do("PATCH", "/v2/held/blobs/uploads/1", "data").problem(503, api.CodeOverloaded)
	f.do("GET", "/v2/held/manifests/a", "").want(200)
	f.do("PUT", "/v2/other/manifests/a", manifest).want(200)
	f.do("PATCH", "/v2/other/blobs/uploads/1", "data").want(200)
}
