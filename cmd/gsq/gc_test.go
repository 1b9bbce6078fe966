package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
)

// A collection that ended early tells what it did, and why it ended; the others
// are run all the same, and the command fails.
func TestGCThatEndsEarly(t *testing.T) {
	t.Parallel()
	const detail = "something in it is damaged (blob sha256:77); gsq fsck says whether the history needs that"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/api/v1/namespaces" {
			json.NewEncoder(w).Encode(api.NamespaceList{Namespaces: []api.Namespace{
				{Name: "a", State: api.NamespaceActive}, {Name: "b", State: api.NamespaceActive}, {Name: "c", State: api.NamespaceActive},
			}})
			return
		}
		ended := time.Now()
		c := api.Collection{
			Namespace: strings.Split(r.URL.Path, "/")[4], State: api.CollectionDone, BeganAt: ended, EndedAt: &ended,
			Policy: api.RetentionPolicy{Revisions: 2}, Thinned: 9, Revisions: 9, Bytes: 2048, Freed: &api.Freed{Bytes: 7},
		}
		if c.Namespace == "a" {
			c.State, c.Problem = api.CollectionFailed, &api.CollectionProblem{Code: api.CodeCorrupt, Detail: detail}
		}
		if c.Namespace == "c" {
			c = api.Collection{Namespace: "c", State: api.CollectionFailed, Policy: c.Policy, Problem: &api.CollectionProblem{Code: api.CodeUnsupported, Detail: "it does not delete"}}
		}
		json.NewEncoder(w).Encode(c)
	}))
	t.Cleanup(server.Close)
	got := gsq(t, []string{"GSQ_SERVER=" + server.URL}, "", "gc", "-A")
	if got.code != exitError || got.err != "gsq: namespace a: "+detail+"\nnamespace c: it does not delete\n" {
		t.Errorf("code %d, error %q", got.code, got.err)
	}
	for _, want := range []string{"namespace a: deleted 9 revisions, ", "namespace b: deleted 9 revisions, ", "the registry has freed 7 bytes", "namespace c: nothing was deleted\n"} {
		if !strings.Contains(got.out, want) {
			t.Errorf("output %q, want %q", got.out, want)
		}
	}
}
