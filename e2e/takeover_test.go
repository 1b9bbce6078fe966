package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/cluster"
	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/e2e/history"
)

// A registry that the proof of concept wrote, with objects in it that stop
// Flux, is taken over under a running cluster: nothing is pruned, nothing
// changes that nobody chose, and Flux goes on.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	d := newDistribution(t)
	old := &oldRegistry{t: t, host: d.Host}
	old.declare(1770731425, "old-web", "{region: us-east-1, replicas: 2, size: medium, type: vm}")
	old.declare(1770731430, "old-db", "{replicas: 1, size: small, type: database}")
	old.declare(1770731431, "old-gone", "{replicas: 1, size: small, type: bucket}")
	old.delete(1770731440, "old-gone")

	kube := kubernetes(t)
	if err := kube.Apply(t.Context(), proofOfConceptFlux("takeover", d.Host)); err != nil {
		t.Fatal(err)
	}
	const web, db = "vm/medium/us-east-1/2", "database/small//1"
	awaitSpecs(t, kube, "the old catalog is applied", "old-web", web, "old-db", db, "old-gone", "")
	before, err := objects(t, kube, "default")
	if err != nil {
		t.Fatal(err)
	}
	old.declare(1770731500, "old-db", "{replicas: -3, size: small, type: database}")
	old.declare(1770731501, "my_db", "{replicas: 1, size: large, type: database}")
	await(t, 90*time.Second, "Flux stops at what is not valid", func() error { return kustomizationReady(t, kube, "takeover-resources", "False") })

	s := newServer(t, gsq.Options{Registry: d.Host})
	refuse := func(want string, args ...string) {
		t.Helper()
		r, err := s.Run(t.Context(), "", args...)
		if err != nil || r.Code == 0 || !strings.Contains(r.Stdout+r.Stderr, want) {
			t.Errorf("gsq %v: exit code %d, %v\n%s%s\nwant a refusal with %q", args, r.Code, err, r.Stdout, r.Stderr, want)
		}
	}
	reader := history.New(d.Host)
	t.Cleanup(reader.Close)
	catalogs := func() string {
		m, err := reader.Manifest(t.Context(), "gitops-squared/catalog", "latest")
		tags, tagsErr := reader.Tags(t.Context(), "gitops-squared/catalog")
		return fmt.Sprint(m.Digest, err, tags, tagsErr)
	}
	unchanged := catalogs()
	refuse("--use-last-valid old-db", "init", "--take-over")
	refuse("--drop my_db", "init", "--take-over", "--use-last-valid", "old-db")
	if now := catalogs(); now != unchanged {
		t.Errorf("a refused take-over changed the catalog from %s to %s", unchanged, now)
	}
	out := runGSQ(t, s, "", "init", "--take-over", "--use-last-valid", "old-db", "--drop", "my_db")
	for _, line := range []string{"taken over: old-db", "taken over: old-web", "dropped: my_db", "2 resources taken over, 1 dropped"} {
		if !strings.Contains(out, line+"\n") {
			t.Errorf("gsq init --take-over does not say %q:\n%s", line, out)
		}
	}
	refuse("already", "init", "--take-over")
	startServer(t, s)

	await(t, 90*time.Second, "Flux goes on", func() error { return kustomizationReady(t, kube, "takeover-resources", "True") })
	var list api.ResourceList
	call(t, s, http.StatusOK, http.MethodGet, "/api/v1/resources", nil, &list)
	if list.Count != 2 {
		t.Errorf("the API lists %+v", list)
	}
	for _, r := range list.Resources {
		await(t, 90*time.Second, r.Name+" in the cluster is what the API has", func() error {
			now, err := objects(t, kube, "default")
			if err != nil {
				return err
			}
			return sameObject(now[r.Name], r)
		})
	}
	awaitSpecs(t, kube, "nothing changed", "old-web", web, "old-db", db, "old-gone", "", "my_db", "")
	after, err := objects(t, kube, "default")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"old-web", "old-db"} {
		b, a := before[name].Metadata, after[name].Metadata
		if a.UID != b.UID || a.Generation != b.Generation {
			t.Errorf("%s is another object than it was, or its spec changed: %+v, before %+v", name, a, b)
		}
	}
	call(t, s, http.StatusOK, http.MethodDelete, "/api/v1/resources/old-db", nil, nil)
	awaitSpecs(t, kube, "deleted afterwards", "old-web", web, "old-db", "")
	readHistory(t, d.Host)
}

// kustomizationReady returns an error unless the Kustomization's condition
// Ready has the status.
func kustomizationReady(t *testing.T, kube *cluster.Cluster, name, status string) error {
	const condition = `jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.message}{end}`
	got, err := kube.Kubectl(t.Context(), "get", "kustomization", name, "-n", "flux-system", "-o", condition)
	if err == nil && !strings.HasPrefix(got, status+" ") {
		err = fmt.Errorf("Ready is %s", got)
	}
	return err
}
