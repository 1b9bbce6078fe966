// Package cluster runs a real Kubernetes API server, and Flux if wanted, on
// this machine's loopback address, without a container engine: etcd,
// kube-apiserver, source-controller and kustomize-controller are the programs
// that "make tools" builds.
//
// There is no kube-controller-manager and there are no nodes: pods never run,
// deleted namespaces stay Terminating, and no default ServiceAccounts appear.
package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"gitops-squared.io/gsq/e2e/spawn"
	"gitops-squared.io/gsq/internal/toolbox"
)

// Options say what to start.
type Options struct {
	// Dir holds everything: data, logs, keys and the kubeconfig. It is created
	// with mode 0700, and must be empty if it exists.
	Dir string

	// Flux adds Flux's definitions, source-controller and
	// kustomize-controller.
	Flux bool

	// Detached lets the processes outlive the caller: end them with Down.
	// Otherwise they also die with the calling process (on Linux).
	Detached bool

	// Log receives a line for each thing that became ready; nil means nowhere.
	Log io.Writer
}

// Cluster is a running control plane. Its methods may be called concurrently.
type Cluster struct {
	Dir        string
	Kubeconfig string // path; its user is in the group system:masters

	kubectl    string
	log        io.Writer
	started    time.Time
	supervisor *supervisor
}

// Bounds of the waits. A loaded machine with two cores has the API server ready
// in about 10 s.
const (
	readyTimeout = 120 * time.Second
	stopTimeout  = 20 * time.Second
	startTries   = 3
)

// Start starts the control plane and returns when all of it is ready: the API
// server answers, every definition is established, the controllers are ready.
// When it fails, nothing is left running and the error shows the end of the
// log of what did not come up. It chooses free ports, and starts over when
// somebody else took one of them in the meantime.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if entries, err := os.ReadDir(o.Dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("start a cluster: %s is not empty", o.Dir)
	}
	for try := 1; ; try++ {
		c, err := startOnce(ctx, o)
		if err == nil {
			return c, nil
		}
		if !errors.Is(err, spawn.ErrPortTaken) || try == startTries {
			return nil, fmt.Errorf("start a cluster: %w", err)
		}
		if err := os.RemoveAll(o.Dir); err != nil {
			return nil, fmt.Errorf("start a cluster: %w", err)
		}
	}
}

func startOnce(ctx context.Context, o Options) (*Cluster, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	config := filepath.Join(dir, "kubeconfig")
	s, err := supervise(dir, o.Detached, "KUBECONFIG="+config, "RUNTIME_NAMESPACE="+fluxNamespace)
	if err != nil {
		return nil, err
	}
	c, err := newCluster(dir, config, s, o.Log)
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	limited, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if err := c.bringUp(limited, o.Flux); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx) // the caller gave up: no log explains that
		}
		return nil, errors.Join(err, s.stop())
	}
	return c, nil
}

func newCluster(dir, kubeconfig string, s *supervisor, log io.Writer) (*Cluster, error) {
	if log == nil {
		log = io.Discard
	}
	for _, sub := range []string{"crds", "artifacts"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	kubectl, err := toolbox.Find("kubectl")
	if err != nil {
		return nil, err
	}
	return &Cluster{Dir: dir, Kubeconfig: kubeconfig, kubectl: kubectl, log: log, started: time.Now(), supervisor: s}, nil
}

func (c *Cluster) bringUp(ctx context.Context, flux bool) error {
	if err := c.startControlPlane(ctx); err != nil {
		return err
	}
	if err := c.installDefinitions(ctx, flux); err != nil {
		return err
	}
	if flux {
		if err := c.startFlux(ctx); err != nil {
			return err
		}
	}
	return c.supervisor.complete()
}

func (c *Cluster) ready(what string) {
	fmt.Fprintf(c.log, "cluster: %s (%.1f s)\n", what, time.Since(c.started).Seconds())
}

// Stop ends the processes that Start started, the last one first, and returns
// when they are gone: SIGTERM, then SIGKILL after 20 s. The folder stays.
// Stopping twice is not an error.
func (c *Cluster) Stop() error { return c.supervisor.stop() }

// Kubectl runs kubectl as the cluster's administrator and returns its standard
// output. The error holds its standard error.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (string, error) {
	return c.kubectlInput(ctx, "", args...)
}

// Apply applies manifests (YAML documents) server-side; unknown and duplicate
// fields are errors.
func (c *Cluster) Apply(ctx context.Context, manifests string) error {
	_, err := c.kubectlInput(ctx, manifests, "apply", "--server-side", "--validate=strict", "-f", "-")
	return err
}

func (c *Cluster) kubectlInput(ctx context.Context, stdin string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, c.kubectl, args...)
	cmd.Env = c.supervisor.environment
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}
