package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gitops-squared.io/gsq/e2e/cluster"
)

// controlPlane is the one that the package's tests share, each in namespaces of
// its own. The first that needs it starts it; TestMain stops it.
var controlPlane struct {
	sync.Mutex
	dir     string
	cluster *cluster.Cluster
	err     error
}

func kubernetes(t *testing.T) *cluster.Cluster {
	t.Helper()
	p := &controlPlane
	p.Lock()
	defer p.Unlock()
	if p.cluster == nil && p.err == nil {
		if p.dir, p.err = os.MkdirTemp("", "gsq-e2e"); p.err == nil {
			// Not the test's context: it outlives the test.
			p.cluster, p.err = cluster.Start(context.Background(), cluster.Options{Dir: filepath.Join(p.dir, "cluster"), Flux: true, Log: t.Output()})
		}
	}
	if p.err != nil {
		t.Fatal(p.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			showFlux(t, p.cluster)
		}
	})
	return p.cluster
}

func stopControlPlane() {
	p := &controlPlane
	if p.cluster != nil {
		if err := p.cluster.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if p.dir != "" {
		os.RemoveAll(p.dir)
	}
}

// showFlux logs what explains why something did not arrive in the cluster.
func showFlux(t *testing.T, c *cluster.Cluster) {
	ctx := context.Background() // the test's has ended
	objects, err := c.Kubectl(ctx, "get", "ocirepositories,kustomizations", "-A", "-o",
		`jsonpath={range .items[*]}{.kind} {.metadata.name}: {.spec.url} {.status.lastAppliedRevision}{range .status.conditions[*]}{"\n  "}{.type}={.status} {.message}{end}{"\n"}{end}`)
	t.Logf("Flux's objects: %v\n%s", err, objects)
	for _, name := range []string{"source-controller", "kustomize-controller"} {
		log, err := os.ReadFile(filepath.Join(c.Dir, "logs", name+".log"))
		lines := strings.Split(strings.TrimSpace(string(log)), "\n")
		lines = lines[max(0, len(lines)-10):]
		for i, line := range lines {
			lines[i] = line[:min(len(line), 300)]
		}
		t.Logf("end of %s's log: %v\n%s", name, err, strings.Join(lines, "\n"))
	}
}

// object is a PlatformResource as kubectl shows it.
type object struct {
	Metadata struct {
		Name        string            `json:"name"`
		Namespace   string            `json:"namespace"`
		UID         string            `json:"uid"`
		Generation  int64             `json:"generation"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
	} `json:"metadata"`
	Spec struct {
		Type     string `json:"type"`
		Size     string `json:"size"`
		Region   string `json:"region"`
		Replicas int    `json:"replicas"`
	} `json:"spec"`
}

// objects returns a namespace's PlatformResources by name.
func objects(t *testing.T, c *cluster.Cluster, namespace string) (map[string]object, error) {
	out, err := c.Kubectl(t.Context(), "get", "platformresources", "-n", namespace, "-o", "json")
	if err != nil {
		return nil, err
	}
	var list struct{ Items []object }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, errors.Join(err, errors.New(out))
	}
	all := map[string]object{}
	for _, o := range list.Items {
		all[o.Metadata.Name] = o
	}
	return all, nil
}
