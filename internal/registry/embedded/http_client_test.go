package embedded_test

import (
	"testing"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/registrytest"
	"gitops-squared.io/gsq/internal/registry/remote"
)

// The product's own client gets from the handler what the seam promises.
func TestRegistryOverHTTP(t *testing.T) {
	t.Parallel()
	registrytest.Run(t, func(t *testing.T) registry.Registry {
		c := serve(t, open(t, embedded.Options{Folder: t.TempDir()}), embedded.HandlerOptions{})
		address, err := remote.ParseAddress(c.url, false)
		if err != nil {
			t.Fatal(err)
		}
		r, err := remote.New(remote.Options{Address: address, DockerConfig: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		return r
	})
}
