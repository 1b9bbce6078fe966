package cluster_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gitops-squared.io/gsq/internal/toolbox"
)

// What lies in deploy/, and the Flux that "make setup" installs, is what a real
// API server accepts, with no field that it does not know.
func TestDeployIsAccepted(t *testing.T) {
	t.Parallel()
	root, err := toolbox.Root()
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, true)
	install := exec.CommandContext(t.Context(), filepath.Join(root, "scripts", "flux-manifests"))
	install.Env = append(os.Environ(), "KUBECTL="+toolbox.Path(t, "kubectl"))
	install.Stderr = t.Output()
	flux, err := install.Output()
	if err != nil {
		t.Fatalf("scripts/flux-manifests: %v", err)
	}
	if err := c.Apply(t.Context(), string(flux)); err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"namespace", "crd", "registry", "gsq", "flux", "."} {
		out, err := c.Kubectl(t.Context(), "apply", "--server-side", "--validate=strict", "-k", filepath.Join(root, "deploy", base))
		if err != nil {
			t.Errorf("deploy/%s: %v", base, err)
		}
		t.Log(out)
	}

	// There are no nodes that would run the pods: have the API server judge
	// them now, by the namespace's pod security standard.
	workloads, err := c.Kubectl(t.Context(), "get", "deployments,jobs", "-n", "gitops-squared", "-o", "json")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Items []struct {
			Kind     string
			Metadata struct{ Name string }
			Spec     struct {
				Template struct {
					Spec map[string]any
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(workloads), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 3 {
		t.Errorf("found %d workloads, want the registry, gsq and its init job", len(list.Items))
	}
	for _, workload := range list.Items {
		name := strings.ToLower(workload.Kind) + "-" + workload.Metadata.Name
		if err := c.Apply(t.Context(), pod(t, name, workload.Spec.Template.Spec)); err != nil {
			t.Errorf("pod of %s: %v", name, err)
		}
	}

	// The standard is enforced: a pod that breaks it is refused.
	spec := list.Items[0].Spec.Template.Spec
	spec["hostNetwork"] = true
	if err := c.Apply(t.Context(), pod(t, "intruder", spec)); err == nil || !strings.Contains(err.Error(), "PodSecurity") {
		t.Errorf("a pod on the host's network: %v; want a refusal by PodSecurity", err)
	}
}

func pod(t *testing.T, name string, spec map[string]any) string {
	t.Helper()
	manifest, err := json.Marshal(map[string]any{
		"apiVersion": "v1",
		"kind":       "Pod",
		"metadata":   map[string]any{"name": name, "namespace": "gitops-squared"},
		"spec":       spec,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(manifest)
}
