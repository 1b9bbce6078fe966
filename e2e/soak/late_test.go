package soak_test

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/e2e/history"
	"gitops-squared.io/gsq/e2e/proxy"
)

// A move of latest by a server that was stopped lands when another one has
// written and has nothing to do any more: within a minute it puts latest
// forward, without waiting for a write.
func TestLateMoveIsPutRightWithoutAWrite(t *testing.T) {
	t.Parallel()
	d := distribution(t)
	p := newProxy(t, d.Host)
	first, second := start(t, p.Host), newServer(t, d.Host)
	put(t, first, "before")
	gate := proxy.NewGate(3 * time.Minute)
	defer gate.Open()
	p.Add(proxy.Rule{Method: http.MethodPut, Path: regexp.MustCompile("/catalog/manifests/latest$"), Fault: gate.Hold})
	answered := make(chan api.Code, 1)
	go func() {
		a, _ := first.Do(t.Context(), http.MethodPut, "/api/v1/resources/late", vm()) // no answer has no code either
		answered <- a.Code()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	must(t, gate.Arrived(ctx))
	must(t, first.Pause())
	must(t, second.Start())
	ready(t, second)
	put(t, second, "after")

	r := history.New(d.Host)
	defer r.Close()
	latest := func() string {
		m, err := r.Manifest(t.Context(), prefix+"/catalog", "latest")
		must(t, err)
		return m.Digest.String()
	}
	right := latest()
	gate.Open()
	must(t, gate.Done(ctx))
	must(t, first.Resume())
	began := time.Now()
	if latest() == right { // the first one is superseded, and does nothing about it
		t.Error("the late move changed nothing: this was no test")
	}
	for latest() != right {
		if time.Since(began) > 70*time.Second {
			t.Fatalf("after %v latest is still %s, not %s", time.Since(began), latest(), right)
		}
		time.Sleep(time.Second)
	}
	t.Logf("latest was put forward after %.0f s", time.Since(began).Seconds())
	if code := <-answered; code != api.CodeOutcomeUnknown {
		t.Errorf("the caller of the late move was answered %q", code)
	}
	if !strings.Contains(second.Log(), "putting the head forward again") {
		t.Error("the log does not say that latest was put back")
	}
	check(t, d.Host)
}

func put(t *testing.T, s *gsq.Server, name string) {
	t.Helper()
	a, err := s.Do(t.Context(), http.MethodPut, "/api/v1/resources/"+name, vm())
	if err != nil || a.Status != http.StatusCreated {
		t.Fatalf("a write of %s: %v, %d %s", name, err, a.Status, a.Body)
	}
}

func vm() api.ResourcePut { return api.ResourcePut{Spec: api.Spec{Type: "vm", Size: "small"}} }
