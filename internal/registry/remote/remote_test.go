package remote_test

import (
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
	"gitops-squared.io/gsq/internal/registry/remote"
)

// patient is a time-out that a loaded machine does not reach.
const patient = 10 * time.Second

// open returns a client of the registry at host, with no credentials.
func open(t *testing.T, host string) *remote.Registry { return openWithin(t, host, patient) }

// openWithin is open with a time-out for each request.
func openWithin(t *testing.T, host string, timeout time.Duration) *remote.Registry {
	t.Helper()
	r, err := remote.New(remote.Options{Address: remote.Address{Host: host, Plain: true}, DockerConfig: t.TempDir(), RequestTimeout: timeout})
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
