package e2e_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"gitops-squared.io/gsq/e2e/cluster"
	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/e2e/history"
)

// startTimeout is far above the 15 s that a claim takes to settle.
const startTimeout = 90 * time.Second

// newServer returns a server that is not started, and shows its log if the
// test fails.
func newServer(t *testing.T, o gsq.Options) *gsq.Server {
	t.Helper()
	if o.Dir == "" {
		o.Dir = t.TempDir()
	}
	s, err := gsq.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		if t.Failed() {
			t.Logf("end of gsq's log:\n%s", s.LogTail(40))
		}
	})
	return s
}

// startServer starts a server and waits until it is ready.
func startServer(t *testing.T, s *gsq.Server) {
	t.Helper()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, s)
}

func awaitReady(t *testing.T, s *gsq.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startTimeout)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

func newDistribution(t *testing.T) *cluster.Distribution {
	t.Helper()
	d, err := cluster.StartDistribution(t.Context(), filepath.Join(t.TempDir(), "distribution"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// place is one of the two kinds of registry, each with a server on it.
type place struct {
	name string
	// start returns a ready server and host:port of its registry.
	start func(t *testing.T) (*gsq.Server, string)
}

func places() []place {
	return []place{
		{"embedded", func(t *testing.T) (*gsq.Server, string) {
			s := newServer(t, gsq.Options{})
			startServer(t, s)
			return s, s.Host
		}},
		{"distribution", func(t *testing.T) (*gsq.Server, string) {
			d := newDistribution(t)
			s := newServer(t, gsq.Options{Registry: d.Host})
			runGSQ(t, s, "", "init")
			startServer(t, s)
			return s, d.Host
		}},
	}
}

// runGSQ runs a gsq command, which must succeed, and returns its output.
func runGSQ(t *testing.T, s *gsq.Server, stdin string, args ...string) string {
	t.Helper()
	r, err := s.Run(t.Context(), stdin, args...)
	if err != nil || r.Code != 0 {
		t.Fatalf("gsq %v: exit code %d, %v\n%s", args, r.Code, err, r.Stderr)
	}
	return r.Stdout
}

// call sends a request, which must be answered with the status, and reads the
// answer into result unless that is nil.
func call(t *testing.T, s *gsq.Server, status int, method, path string, body, result any) {
	t.Helper()
	a, err := s.Do(t.Context(), method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	if a.Status != status {
		t.Fatalf("%s %s: answered %d, want %d: %s", method, path, a.Status, status, a.Body)
	}
	if result == nil {
		return
	}
	if err := a.Decode(result); err != nil {
		t.Fatal(err)
	}
}

// defaultPrefix is where a ledger writes that is not told where.
const defaultPrefix = "gitops-squared"

// readHistory walks everything under the default prefix, which must hang
// together.
func readHistory(t *testing.T, host string) *history.History {
	t.Helper()
	return readPrefix(t, host, defaultPrefix)
}

// await calls check until it returns nil. Its last error is the test's when
// that has not happened in time.
func await(t *testing.T, timeout time.Duration, what string, check func() error) {
	t.Helper()
	for deadline := time.Now().Add(timeout); ; time.Sleep(250 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if t.Context().Err() != nil || time.Now().After(deadline) {
			t.Fatalf("after %v: %s: %v", timeout, what, err)
		}
	}
}
