package e2e_test

import (
	"testing"

	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/e2e/history"
	"gitops-squared.io/gsq/e2e/proxy"
)

// newExternal returns a server that is not started, for a prefix of an external
// registry.
func newExternal(t *testing.T, registry, prefix string) *gsq.Server {
	t.Helper()
	return newServer(t, gsq.Options{Registry: registry, Args: []string{"--prefix", prefix}})
}

// startExternal returns a ready server on a prefix that it prepares.
func startExternal(t *testing.T, registry, prefix string) *gsq.Server {
	t.Helper()
	s := newExternal(t, registry, prefix)
	runGSQ(t, s, "", "init", "--prefix", prefix)
	startServer(t, s)
	return s
}

func newProxy(t *testing.T, backend string) *proxy.Proxy {
	t.Helper()
	p, err := proxy.New(backend)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// readPrefix is readHistory for another prefix than the default.
func readPrefix(t *testing.T, host, prefix string) *history.History {
	t.Helper()
	r := history.New(host)
	defer r.Close()
	h, err := r.Read(t.Context(), prefix)
	if err != nil {
		t.Fatalf("the registry's content under %s: %v", prefix, err)
	}
	return h
}
