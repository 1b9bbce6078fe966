package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gitops-squared.io/gsq/api"
)

// What a real server does not do on demand: fail between the checks of several
// namespaces and their writes.
func TestApplyFailsHalfway(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/api/v1/namespaces/b/apply" && r.URL.Query().Get("dryRun") == "" {
			w.Header().Set("Content-Type", api.ProblemMediaType)
			w.WriteHeader(http.StatusServiceUnavailable)
			json.NewEncoder(w).Encode(api.Problem{Code: api.CodeForeignWriter, Detail: "somebody else wrote it"})
			return
		}
		json.NewEncoder(w).Encode(api.ApplyResponse{Namespace: strings.Split(r.URL.Path, "/")[4]})
	}))
	t.Cleanup(server.Close)
	input := "- {name: x, namespace: c, spec: {}}\n- {name: x, namespace: b, spec: {}}\n- {name: x, namespace: a, spec: {}}\n"
	got := gsq(t, []string{"GSQ_SERVER=" + server.URL}, input, "apply", "-f", "-")
	if got.code != exitError || !strings.HasPrefix(got.out, "a: 0 created") || strings.Contains(got.out, "c: ") {
		t.Errorf("code %d, output %q", got.code, got.out)
	}
	if want := "gsq: namespace b: somebody else wrote it\nhint: done before that: a; repeating the command is safe\n"; got.err != want {
		t.Errorf("error %q, want %q", got.err, want)
	}
}

func TestNotAServer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	got := gsq(t, []string{"GSQ_SERVER=" + server.URL}, "", "get")
	if got.code != exitError || !strings.Contains(got.err, "not from a gsq server's API") ||
		!strings.Contains(got.err, "hint: --server or GSQ_SERVER must name a gsq server") {
		t.Errorf("got %+v", got)
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then is a closed connection noticed
		cancel()
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	var out, errs bytes.Buffer
	p := process{In: strings.NewReader("{name: a, spec: {}}"), Out: &out, Err: &errs}
	code := execute(ctx, p, []string{"apply", "-f", "-", "--server", server.URL})
	if code != exitError || !strings.Contains(errs.String(), "interrupted") || !strings.Contains(errs.String(), "repeating the command is safe") {
		t.Errorf("code %d, error %q", code, errs.String())
	}
}
