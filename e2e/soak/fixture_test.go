// Package soak_test holds end-to-end tests that take longer than a check
// before a merge may.
package soak_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gitops-squared.io/gsq/e2e/cluster"
	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/e2e/history"
	"gitops-squared.io/gsq/e2e/load"
	"gitops-squared.io/gsq/e2e/proxy"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	remove, err := gsq.Prepare()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer remove()
	return m.Run()
}

// newServer returns a server that is not started, on the embedded registry if
// the name is empty.
func newServer(t *testing.T, registry string) *gsq.Server {
	t.Helper()
	s, err := gsq.New(gsq.Options{Dir: t.TempDir(), Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		if t.Failed() {
			t.Logf("end of gsq's log:\n%s", s.LogTail(100))
		}
	})
	return s
}

// start returns a ready server, on an external registry that it prepares
// unless the name is empty.
func start(t *testing.T, registry string) *gsq.Server {
	t.Helper()
	s := newServer(t, registry)
	if registry != "" {
		if r, err := s.Run(t.Context(), "", "init"); err != nil || r.Code != 0 {
			t.Fatalf("gsq init: %v, %+v", err, r)
		}
	}
	must(t, s.Start())
	ready(t, s)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ready(t *testing.T, s *gsq.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	must(t, s.Ready(ctx))
}

func distribution(t *testing.T) *cluster.Distribution {
	t.Helper()
	d, err := cluster.StartDistribution(t.Context(), filepath.Join(t.TempDir(), "distribution"))
	must(t, err)
	t.Cleanup(func() {
		if err := errors.Join(d.Resume(), d.Stop()); err != nil {
			t.Error(err)
		}
	})
	return d
}

func newProxy(t *testing.T, backend string) *proxy.Proxy {
	t.Helper()
	p, err := proxy.New(backend)
	must(t, err)
	t.Cleanup(p.Close)
	return p
}

// check reads everything in the registry and compares it with what the callers
// of all loads were told.
func check(t *testing.T, host string, reports ...*load.Report) {
	t.Helper()
	r := history.New(host)
	defer r.Close()
	h, err := r.Read(t.Context(), prefix)
	if err != nil {
		t.Fatalf("the registry's content: %v", err)
	}
	if err := load.Check(h, reports...); err != nil {
		t.Error(err)
	}
	t.Logf("%d namespaces with %d revisions", len(h.Namespaces), h.Revisions())
}

const prefix = "gitops-squared"

func namespaces(n int) []string {
	all := []string{"default"}
	for i := 1; i < n; i++ {
		all = append(all, fmt.Sprintf("soak-%d", i))
	}
	return all
}
