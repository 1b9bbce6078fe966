// Package soak_test holds end-to-end tests that take longer than a check
// before a merge may.
package soak_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gitops-squared.io/gsq/e2e/cluster"
	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/e2e/history"
	"gitops-squared.io/gsq/e2e/load"
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

// Like the test of this name in package e2e, with many times the load.
func TestKilledUnderLoad(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		s := start(t, "")
		killed(t, s, s.Host, load.Options{
			Server: s, Namespaces: namespaces(6), Writers: 256, Writes: 100, Resources: 20, Kills: 60, Seed: 1,
		})
	})
	t.Run("distribution", func(t *testing.T) {
		d, err := cluster.StartDistribution(t.Context(), filepath.Join(t.TempDir(), "distribution"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := d.Stop(); err != nil {
				t.Error(err)
			}
		})
		s := start(t, d.Host)
		killed(t, s, d.Host, load.Options{
			Server: s, Namespaces: namespaces(4), Writers: 32, Writes: 100, Resources: 20, Kills: 20, Seed: 2,
		})
	})
}

// start returns a ready server, on an external registry that it prepares
// unless the name is empty.
func start(t *testing.T, registry string) *gsq.Server {
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
	if registry != "" {
		if r, err := s.Run(t.Context(), "", "init"); err != nil || r.Code != 0 {
			t.Fatalf("gsq init: %v, %+v", err, r)
		}
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	ready(t, s)
	return s
}

func ready(t *testing.T, s *gsq.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

func killed(t *testing.T, s *gsq.Server, host string, o load.Options) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	report, err := load.Run(ctx, o)
	t.Log(report)
	if err != nil {
		t.Fatal(err)
	}
	ready(t, s)
	r := history.New(host)
	defer r.Close()
	h, err := r.Read(t.Context(), "gitops-squared")
	if err != nil {
		t.Fatalf("the registry's content: %v", err)
	}
	if err := load.Check(h, report); err != nil {
		t.Error(err)
	}
	t.Logf("%d namespaces with %d revisions", len(h.Namespaces), h.Revisions())
}

func namespaces(n int) []string {
	all := []string{"default"}
	for i := 1; i < n; i++ {
		all = append(all, fmt.Sprintf("soak-%d", i))
	}
	return all
}
