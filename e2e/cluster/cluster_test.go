package cluster_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/e2e/cluster"
	"gitops-squared.io/gsq/internal/toolbox"
)

func start(t *testing.T, flux bool) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Start(t.Context(), cluster.Options{Dir: t.TempDir(), Flux: flux, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// An artifact in a real registry becomes an object in a real API server.
func TestFluxAppliesAnArtifact(t *testing.T) {
	t.Parallel()
	registry, err := cluster.StartDistribution(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := registry.Stop(); err != nil {
			t.Error(err)
		}
	})
	c := start(t, true)

	push(t, registry.Host+"/app:latest", map[string]string{"manifests/settings.yaml": `apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: default}
data: {colour: green}
`})
	err = c.Apply(t.Context(), `apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: app, namespace: flux-system}
spec:
  interval: 1s
  insecure: true
  url: oci://`+registry.Host+`/app
  ref: {tag: latest}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: app, namespace: flux-system}
spec:
  interval: 1m
  sourceRef: {kind: OCIRepository, name: app}
  path: ./manifests
  prune: true
  wait: true
`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Kubectl(t.Context(), "wait", "--for=condition=Ready", "kustomization/app", "-n", "flux-system", "--timeout=60s"); err != nil {
		status, _ := c.Kubectl(t.Context(), "get", "ocirepository,kustomization", "-A", "-o", "yaml")
		t.Fatalf("%v\n%s", err, status)
	}
	colour, err := c.Kubectl(t.Context(), "get", "configmap", "settings", "-o", "jsonpath={.data.colour}")
	if err != nil || colour != "green" {
		t.Errorf("colour = %q, %v; want green", colour, err)
	}
}

// push puts files into a registry in the form that Flux consumes.
func push(t *testing.T, reference string, files map[string]string) {
	t.Helper()
	var archive bytes.Buffer
	gz := gzip.NewWriter(&archive)
	tw := tar.NewWriter(gz)
	for name, content := range files {
		if err := tw.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(0, 0)}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "layer.tgz"), archive.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), toolbox.Path(t, "oras"), "push", "--plain-http", reference,
		"--config", "config.json:application/vnd.cncf.flux.config.v1+json",
		"layer.tgz:application/vnd.cncf.flux.content.v1.tar+gzip")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "HOME="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("oras push: %v\n%s", err, out)
	}
}

// Two clusters run at once, each with its own objects, and neither answers any
// more once it was stopped.
func TestTwoClustersAtOnce(t *testing.T) {
	t.Parallel()
	var clusters [2]*cluster.Cluster
	for i := range clusters {
		clusters[i] = start(t, false)
		if _, err := clusters[i].Kubectl(t.Context(), "create", "namespace", []string{"red", "blue"}[i]); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range clusters {
		out, err := c.Kubectl(t.Context(), "get", "namespaces", "-o", "name")
		if err != nil {
			t.Fatal(err)
		}
		own, other := []string{"red", "blue"}[i], []string{"blue", "red"}[i]
		if !strings.Contains(out, "namespace/"+own) || strings.Contains(out, "namespace/"+other) {
			t.Errorf("cluster %d has %q", i, out)
		}
		server, err := c.Kubectl(t.Context(), "config", "view", "-o", "jsonpath={.clusters[0].cluster.server}")
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
		u, err := url.Parse(server)
		if err != nil {
			t.Fatal(err)
		}
		if conn, err := net.Dial("tcp", u.Host); err == nil {
			conn.Close()
			t.Errorf("%s still answers after Stop", u.Host)
		}
	}
}

// A detached cluster is ended by what its folder says, and only once.
func TestDownEndsADetachedCluster(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := cluster.Start(t.Context(), cluster.Options{Dir: dir, Detached: true, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Stop() }) // what Down failed to end
	state, err := cluster.ReadState(dir)
	if err != nil || !state.Ready || len(state.Processes) != 2 {
		t.Fatalf("state = %+v, %v; want two processes, ready", state, err)
	}
	for _, p := range state.Processes {
		if !p.Alive() {
			t.Errorf("%s (pid %d) is not alive", p.Name, p.PID)
		}
		stranger := p
		stranger.Started = "1"
		if stranger.Alive() {
			t.Errorf("a process that started at another time is taken for pid %d", p.PID)
		}
	}
	if ended, err := cluster.Down(dir); ended != 2 || err != nil {
		t.Errorf("Down = %d, %v; want 2", ended, err)
	}
	for _, p := range state.Processes {
		if p.Alive() {
			t.Errorf("%s (pid %d) outlived Down", p.Name, p.PID)
		}
	}
	if ended, err := cluster.Down(dir); ended != 0 || err != nil {
		t.Errorf("second Down = %d, %v; want 0", ended, err)
	}
}

func TestStartRefusesAFolderInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Start(t.Context(), cluster.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("Start = %v, want a refusal", err)
	}
}

// A caller that gives up leaves no process behind.
func TestStartGivesUpCleanly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := cluster.Start(ctx, cluster.Options{Dir: dir, Log: onWrite(cancel)})
	if err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("Start = %v, want %v", err, context.Canceled)
	}
	state, err := cluster.ReadState(dir)
	if err != nil || len(state.Processes) == 0 || state.Ready {
		t.Fatalf("state = %+v, %v; want some processes, not ready", state, err)
	}
	for _, p := range state.Processes {
		if p.Alive() {
			t.Errorf("%s (pid %d) is still alive", p.Name, p.PID)
		}
	}
}

// onWrite is called at the first sign of progress.
type onWrite func()

func (f onWrite) Write(p []byte) (int, error) { f(); return len(p), nil }
