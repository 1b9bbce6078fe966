package remote_test

import (
	"testing"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
	"gitops-squared.io/gsq/internal/registry/remote"
)

// open returns a client of the registry at host, with no credentials.
func open(t *testing.T, host string) *remote.Registry {
	t.Helper()
	r, err := remote.New(remote.Options{Address: remote.Address{Host: host, Plain: true}, DockerConfig: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestConformanceOnDistribution(t *testing.T) {
	t.Parallel()
	registrytest.Run(t, func(t *testing.T) registry.Registry {
		return open(t, registrytest.StartDistribution(t))
	})
}
