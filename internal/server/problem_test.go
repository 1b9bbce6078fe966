package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
	"gitops-squared.io/gsq/internal/server"
)

// codes are the constants of a type that a package declares.
func codes(t *testing.T, file, typeName string) map[string]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); !ok || id.Name != typeName {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found[value] = spec.Names[0].Name
		return true
	})
	if len(found) == 0 {
		t.Fatalf("%s declares no %s", file, typeName)
	}
	return found
}

func TestEveryCodeOfTheLedgerHasItsStatus(t *testing.T) {
	t.Parallel()
	statuses := map[ledger.Code]int{
		ledger.CodeInvalid: 400, ledger.CodeNotFound: 404, ledger.CodeNamespaceNotFound: 404, ledger.CodeNamespaceDeleted: 409,
		ledger.CodePreconditionFailed: 412, ledger.CodeConfirm: 409, ledger.CodeLimit: 409, ledger.CodeQueueFull: 503,
		ledger.CodeRegistryUnavailable: 503, ledger.CodeOutcomeUnknown: 504, ledger.CodeForeignWriter: 503, ledger.CodeSuperseded: 503,
		ledger.CodeNotReady: 503, ledger.CodeRevisionExpired: 410, ledger.CodeUnsupported: 501, ledger.CodeCorrupt: 502,
	}
	known := codes(t, "../../api/problem.go", "Code")
	for code := range codes(t, "../ledger/errors.go", "Code") {
		status, ok := statuses[ledger.Code(code)]
		if _, published := known[code]; !ok || !published {
			t.Errorf("the ledger's code %q has no status here, or package api does not have it", code)
			continue
		}
		f := serve(t, failing(&ledger.Error{Code: ledger.Code(code), Message: "what was wrong", Err: errors.New("secret cause")}))
		r := f.do("POST", shop, vm)
		p := r.problem(status, api.Code(code))
		if p.Detail != "what was wrong" || strings.Contains(r.body, "secret") {
			t.Errorf("%s: %s, want the ledger's message without its cause", code, r.body)
		}
		after := r.header.Get("Retry-After")
		if seconds, _ := strconv.Atoi(after); (status == 503) && seconds <= 0 || seconds != p.RetryAfter {
			t.Errorf("%s: Retry-After %q, in the body %d", code, after, p.RetryAfter)
		}
	}
}

func TestErrorsOfEveryCall(t *testing.T) {
	t.Parallel()
	f := serve(t, failing(&ledger.Error{Code: ledger.CodeNotReady, Message: "not loaded"}))
	for _, request := range []string{
		"POST " + resources, "POST " + shop, "PUT " + shop + "/web", "GET " + shop, "GET " + shop + "/web", "DELETE " + shop + "/web",
		"POST " + shopApply, "GET /api/v1/namespaces", "GET " + resources,
	} {
		method, path, _ := strings.Cut(request, " ")
		body := map[string]string{"POST": vm, "PUT": `{"spec":{"type":"vm","size":"small"}}`}[method]
		if path == shopApply {
			body = `{"resources":[]}`
		}
		f.do(method, path, body).problem(503, api.CodeNotReady)
	}
}

func TestUnexpectedErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		code   api.Code
	}{
		{errors.New("secret"), 500, api.CodeInternal},
		{&ledger.Error{Code: "new-code", Message: "m"}, 500, api.CodeInternal},
		{context.Canceled, 504, api.CodeOutcomeUnknown},
		{fmt.Errorf("x: %w", context.DeadlineExceeded), 504, api.CodeOutcomeUnknown},
	} {
		r := serve(t, failing(c.err)).do("POST", shop, vm)
		r.problem(c.status, c.code)
		if strings.Contains(r.body, "secret") {
			t.Errorf("%v: %s", c.err, r.body)
		}
	}
}

// TestTranslation checks that the ledger's faults are told where the caller
// wrote what is wrong.
func TestTranslation(t *testing.T) {
	t.Parallel()
	refuse := func(pointers ...string) *fixture {
		var faults intent.Invalid
		for _, p := range pointers {
			faults = append(faults, intent.Fault{Pointer: p, Detail: "wrong"})
		}
		return serve(t, failing(&ledger.Error{Code: ledger.CodeInvalid, Err: faults}))
	}
	for _, c := range []struct {
		method, path, body string
		pointers, want     []string
	}{
		{"POST", shop, vm, []string{"/changes/0/name", "/changes/0/spec/type", "/changes/0", ""}, []string{"/name", "/spec/type", "", "?namespace"}},
		{"PUT", shop + "/web", `{"spec":{"type":"vm","size":"small"}}`, []string{"/changes/0/name", "/changes/0/spec"}, []string{"?name", "/spec"}},
		{"DELETE", shop + "/web", "", []string{"/changes/0/name"}, []string{"?name"}},
		{"POST", shopApply, `{"resources":[` + declared("a", "small") + `],"deletes":["b","c"]}`,
			[]string{"/changes/0/spec/size", "/changes/1/name", "/changes/2", "/reason"}, []string{"/resources/0/spec/size", "/deletes/0", "/deletes/1", "/reason"}},
	} {
		p := refuse(c.pointers...).do(c.method, c.path, c.body).problem(400, api.CodeInvalid)
		if got := places(p); !slices.Equal(got, c.want) {
			t.Errorf("%s %s: faults at %q, want %q", c.method, c.path, got, c.want)
		}
	}
}

func TestListAtFailures(t *testing.T) {
	t.Parallel()
	revision := func(n int64) ledger.Revision {
		return ledger.Revision{Number: n, Digest: digest.FromString(fmt.Sprint(n))}
	}
	now := ledger.Snapshot{Revision: revision(1)}
	for _, name := range []string{"a", "b", "c"} {
		now.Entries = append(now.Entries, &ledger.Entry{Resource: intent.Resource{Ref: intent.Ref{Namespace: "shop", Name: name}}})
	}
	var then ledger.Snapshot
	var failure error
	f := serve(t, stub{
		list:   func(string) (ledger.Snapshot, error) { return now, nil },
		listAt: func(context.Context, string, int64) (ledger.Snapshot, error) { return then, failure },
	})
	next := shop + "?limit=1&continue=" + f.do("GET", shop+"?limit=1", "").list().Continue
	now.Revision = revision(2)
	for _, c := range []struct {
		err    error
		status int
		code   api.Code
	}{
		{&ledger.Error{Code: ledger.CodeRevisionExpired, Message: "gone"}, 410, api.CodeRevisionExpired},
		{&ledger.Error{Code: ledger.CodeNotFound, Message: "never was"}, 410, api.CodeRevisionExpired},
		{&ledger.Error{Code: ledger.CodeRegistryUnavailable, Message: "down"}, 503, api.CodeRegistryUnavailable},
		{nil, 410, api.CodeRevisionExpired}, // another revision under the same number
	} {
		then, failure = ledger.Snapshot{Revision: revision(7)}, c.err
		f.do("GET", next, "").problem(c.status, c.code)
	}
	then, failure = ledger.Snapshot{Revision: revision(1), Entries: now.Entries}, nil
	if l := f.do("GET", next, "").list(); !slices.Equal(names(l), []string{"b"}) || l.Revision.Number != 1 {
		t.Errorf("page %v at revision %d", names(l), l.Revision.Number)
	}
}

func TestPanics(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := stub{
		get:  func(string, string) (*ledger.Entry, ledger.Revision, error) { panic("a defect") },
		list: func(string) (ledger.Snapshot, error) { return ledger.Snapshot{}, nil },
	}
	f := serve(t, s, func(o *server.Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, nil))
		o.Registry = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("half an ans"))
			panic("too late for a problem")
		})
	})
	f.do("GET", shop+"/web", "").problem(500, api.CodeInternal)
	f.do("GET", shop, "").list() // the server goes on
	if resp, err := f.http.Client().Get(f.http.URL + "/v2/"); err == nil {
		defer resp.Body.Close()
		if _, err := resp.Body.Read(make([]byte, 100)); err == nil {
			if _, err = resp.Body.Read(make([]byte, 100)); err == nil {
				t.Error("half an answer is taken for a whole one")
			}
		}
	}
	f.http.Close()
	if got := log.String(); !strings.Contains(got, "a defect") || !strings.Contains(got, "problem_test.go") {
		t.Errorf("the log has no stack: %s", got)
	}
}

func TestRegistryDown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", shop, vm).want(201)
	f.store.SetFault(func(faulty.Op) faulty.Fault { return faulty.Unreachable })
	r := f.do("POST", shop, bigger)
	r.problem(503, api.CodeRegistryUnavailable)
	if r.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	f.do("GET", "/readyz", "").want(503)
	if got := f.do("GET", shop+"/web", "").want(200).resource().Spec.Size; got != "small" {
		t.Errorf("size %s, want reads from memory to go on", got)
	}
	f.store.SetFault(nil)
	f.do("POST", shop, bigger).want(200)
	f.do("GET", "/readyz", "").want(200)
}
