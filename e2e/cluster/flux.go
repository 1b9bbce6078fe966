package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"gitops-squared.io/gsq/deploy/crd"
	"gitops-squared.io/gsq/e2e/spawn"
	"gitops-squared.io/gsq/internal/toolbox"
)

const fluxNamespace = "flux-system"

// installDefinitions installs our custom resource definition, and with flux
// also Flux's, and returns when the API server serves them all.
func (c *Cluster) installDefinitions(ctx context.Context, flux bool) error {
	ours := filepath.Join(c.Dir, "crds", "platformresource.yaml")
	if err := os.WriteFile(ours, crd.PlatformResource, 0o600); err != nil {
		return err
	}
	args := []string{"apply", "--server-side", "-f", ours}
	if flux {
		for _, module := range []string{"github.com/fluxcd/source-controller", "github.com/fluxcd/kustomize-controller"} {
			dir, err := moduleDir(ctx, module)
			if err != nil {
				return err
			}
			args = append(args, "-f", filepath.Join(dir, "config", "crd", "bases"))
		}
	}
	if _, err := c.Kubectl(ctx, args...); err != nil {
		return err
	}
	if _, err := c.Kubectl(ctx, "wait", "--for=condition=Established", "customresourcedefinition", "--all", "--timeout=60s"); err != nil {
		return err
	}
	c.ready("custom resource definitions are established")
	return nil
}

// moduleDir returns the folder of a module that tools/flux pins.
func moduleDir(ctx context.Context, module string) (string, error) {
	root, err := toolbox.Root()
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module)
	cmd.Dir = filepath.Join(root, "tools", "flux")
	cmd.Env = append(os.Environ(), "GOWORK=off")
	out, err := cmd.Output()
	var answer struct{ Dir, Error string }
	if e := json.Unmarshal(bytes.TrimSpace(out), &answer); e != nil || answer.Error != "" || answer.Dir == "" {
		return "", fmt.Errorf("find the folder of %s: %w: %s", module, errors.Join(err, e), answer.Error)
	}
	return answer.Dir, nil
}

// startFlux starts both controllers, as administrators of the cluster.
func (c *Cluster) startFlux(ctx context.Context) error {
	ports, err := spawn.Ports(5)
	if err != nil {
		return err
	}
	if _, err := c.Kubectl(ctx, "create", "namespace", fluxNamespace); err != nil {
		return err
	}
	storage, sourceHealth, kustomizeHealth := spawn.Address(ports[0]), spawn.Address(ports[1]), spawn.Address(ports[3])
	source, err := c.supervisor.run("source-controller",
		"--storage-path", filepath.Join(c.Dir, "artifacts"),
		"--storage-addr", storage,
		"--storage-adv-addr", storage,
		"--health-addr", sourceHealth,
		"--metrics-addr", spawn.Address(ports[2]),
	)
	if err != nil {
		return err
	}
	kustomize, err := c.supervisor.run("kustomize-controller",
		"--health-addr", kustomizeHealth,
		"--metrics-addr", spawn.Address(ports[4]),
	)
	if err != nil {
		return err
	}
	for _, waiting := range []struct {
		process *process
		health  string
	}{{source, sourceHealth}, {kustomize, kustomizeHealth}} {
		err := waiting.process.await(ctx, func(ctx context.Context) error {
			_, err := request(ctx, http.DefaultTransport, http.MethodGet, "http://"+waiting.health+"/readyz", "", "")
			return err
		})
		if err != nil {
			return err
		}
		c.ready(waiting.process.name + " is ready")
	}
	return nil
}
