package embedded_test

import (
	"testing"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

// open opens a store that ends with the test and must not fail fatally.
func open(t testing.TB, o embedded.Options) *embedded.Store {
	t.Helper()
	if o.Fatal == nil {
		o.Fatal = func(err error) { t.Errorf("fatal storage error: %v", err) }
	}
	s, err := embedded.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	registrytest.Run(t, func(t *testing.T) registry.Registry {
		return open(t, embedded.Options{Folder: t.TempDir()})
	})
}
