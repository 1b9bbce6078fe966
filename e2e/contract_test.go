package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/e2e/cluster"
)

// The commands of the proof of concept's users work as they are, but for the
// address, and so do the Flux objects that they have in their clusters.
func TestContract(t *testing.T) {
	t.Parallel()
	s, host := places()[0].start(t)
	kube := kubernetes(t)
	if err := kube.Apply(t.Context(), proofOfConceptFlux("gitops-squared", host)); err != nil {
		t.Fatal(err)
	}
	curl := func(status string, args ...string) map[string]any {
		t.Helper()
		return runCurl(t, status, args...)
	}
	resources := s.URL + "/api/v1/resources"
	declare := func(body string) map[string]any {
		t.Helper()
		return curl("201", "-X", "POST", resources, "-H", "Content-Type: application/json", "-d", body)
	}

	if got := curl("200", "-f", s.URL+"/healthz"); got["status"] != "ok" {
		t.Errorf("healthz: %v", got)
	}
	web := declare(`{"name": "web-server", "spec": {"type": "vm", "size": "medium", "region": "us-east-1", "replicas": 2}}`)
	hasFields(t, "create", web, map[string]any{
		"name": "web-server", "repository": "gitops-squared/resources/default/web-server",
		"spec": map[string]any{"type": "vm", "size": "medium", "region": "us-east-1", "replicas": 2.0},
	}, "version", "digest")
	db := declare(`{"name": "app-db", "spec": {"type": "database", "size": "large", "region": "us-east-1"}}`)
	hasFields(t, "create", db, map[string]any{
		"name": "app-db", "spec": map[string]any{"type": "database", "size": "large", "region": "us-east-1", "replicas": 1.0},
	}, "version", "digest", "repository")

	list := curl("200", resources)
	names := []string{}
	for _, r := range list["resources"].([]any) {
		names = append(names, r.(map[string]any)["name"].(string))
	}
	if list["count"] != 2.0 || !slices.Equal(names, []string{"app-db", "web-server"}) {
		t.Errorf("list: %v", list)
	}
	hasFields(t, "get", curl("200", resources+"/web-server"), map[string]any{"name": "web-server", "spec": web["spec"]})
	awaitSpecs(t, kube, "created", "web-server", "vm/medium/us-east-1/2", "app-db", "database/large/us-east-1/1")
	if wide, err := kube.Kubectl(t.Context(), "get", "platformresources", "-n", "default", "-o", "wide"); err != nil || !strings.Contains(wide, "REGION") {
		t.Errorf("kubectl get platformresources -o wide: %v\n%s", err, wide)
	}

	again := declare(`{"name": "web-server", "spec": {"type": "vm", "size": "large", "region": "us-east-1", "replicas": 5}}`)
	if again["version"] == web["version"] || again["digest"] == web["digest"] {
		t.Errorf("an update made no version: %v after %v", again, web)
	}
	awaitSpecs(t, kube, "updated", "web-server", "vm/large/us-east-1/5", "app-db", "database/large/us-east-1/1")

	gone := curl("200", "-X", "DELETE", resources+"/web-server")
	hasFields(t, "delete", gone, map[string]any{"name": "web-server", "deleted": true}, "version", "digest")
	awaitSpecs(t, kube, "deleted", "web-server", "", "app-db", "database/large/us-east-1/1")
	curl("404", resources+"/web-server")
	curl("404", "-X", "DELETE", resources+"/web-server")
	curl("400", "-X", "POST", resources, "-H", "Content-Type: application/json", "-d", `{"name": "UPPER", "spec": {"type": "vm", "size": "small"}}`)
	readHistory(t, host)
}

// runCurl runs the real curl and returns the JSON that was answered.
func runCurl(t *testing.T, status string, args ...string) map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "curl", append([]string{"-s", "-S", "-q", "-w", "\n%{http_code}"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("curl %v: %v: %s", args, err, stderr.Bytes())
	}
	at := bytes.LastIndexByte(out, '\n')
	var answer map[string]any
	if err := json.Unmarshal(out[:at], &answer); err != nil {
		t.Fatalf("curl %v: %v: %s", args, err, out)
	}
	if got := string(out[at+1:]); got != status {
		t.Errorf("curl %v: status %s, want %s: %s", args, got, status, out[:at])
	}
	return answer
}

// hasFields checks fields by value, and that others are not empty.
func hasFields(t *testing.T, what string, got map[string]any, want map[string]any, filled ...string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if fmt.Sprint(got[name]) != fmt.Sprint(want[name]) {
			t.Errorf("%s: %s is %v, want %v", what, name, got[name], want[name])
		}
	}
	for _, name := range filled {
		if text, ok := got[name].(string); !ok || text == "" {
			t.Errorf("%s: %s is %v", what, name, got[name])
		}
	}
}

// proofOfConceptFlux are objects of the shape that the proof of concept
// installs, on our registry.
func proofOfConceptFlux(name, host string) string {
	return fmt.Sprintf(`apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: %[1]s-catalog, namespace: flux-system}
spec:
  interval: 10s
  insecure: true
  url: oci://%[2]s/gitops-squared/catalog
  ref: {tag: latest}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: %[1]s-resources, namespace: flux-system}
spec:
  interval: 30s
  timeout: 1m
  path: ./manifests
  prune: true
  wait: true
  sourceRef: {kind: OCIRepository, name: %[1]s-catalog}
`, name, host)
}

// awaitSpecs waits until resources of the namespace default, given as name and
// type/size/region/replicas, are in the cluster as they should be; an empty
// spec means absent.
func awaitSpecs(t *testing.T, kube *cluster.Cluster, what string, want ...string) {
	t.Helper()
	await(t, 90*time.Second, what, func() error {
		have, err := objects(t, kube, "default")
		if err != nil {
			return err
		}
		for i := 0; i < len(want); i += 2 {
			got := ""
			if o, ok := have[want[i]]; ok {
				got = fmt.Sprintf("%s/%s/%s/%d", o.Spec.Type, o.Spec.Size, o.Spec.Region, o.Spec.Replicas)
			}
			if got != want[i+1] {
				return fmt.Errorf("%s is %q, want %q", want[i], got, want[i+1])
			}
		}
		return nil
	})
}
