package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/e2e/history"
	"gitops-squared.io/gsq/e2e/load"
)

// Every write that was acknowledged while the server was killed again and
// again is in the registry afterwards, byte for byte and in its order.
//
// It has its turn before the parallel tests run: it keeps the machine busy,
// and the others would wait in vain.
func TestKilledUnderLoad(t *testing.T) {
	s, host := places()[0].start(t)
	// One catalog is large from the start.
	fill(t, s, "load-a", 600)
	loadAndCheck(t, host, load.Options{
		Server: s, Namespaces: []string{"default", "load-a", "load-b", "load-c"},
		Writers: 64, Writes: 40, Resources: 8, Kills: 30, Seed: 1,
	})
}

// The same on an external registry, where each start waits for the claim to
// settle.
func TestKilledUnderLoadExternally(t *testing.T) {
	t.Parallel()
	s, host := places()[1].start(t)
	loadAndCheck(t, host, load.Options{
		Server: s, Namespaces: []string{"default", "load-a"},
		Writers: 8, Writes: 15, Resources: 4, Kills: 2, Seed: 2,
	})
}

func loadAndCheck(t *testing.T, host string, o load.Options) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	report, err := load.Run(ctx, o)
	t.Log(report)
	if err != nil {
		t.Fatal(err)
	}
	if report.Kills != o.Kills || report.Acknowledged == 0 || report.Unknown == 0 {
		t.Errorf("this was no test: %s", report)
	}
	awaitReady(t, o.Server)
	began := time.Now()
	h := readHistory(t, host)
	if err := load.Check(h, report); err != nil {
		t.Error(err)
	}
	for namespace, n := range h.Namespaces {
		compareWithAPI(t, o.Server, namespace, n)
	}
	t.Logf("%d namespaces with %d revisions, read and compared in %.1f s", len(h.Namespaces), h.Revisions(), time.Since(began).Seconds())
}

// compareWithAPI checks that the API answers what the last catalog holds.
func compareWithAPI(t *testing.T, s *gsq.Server, namespace string, n *history.Namespace) {
	t.Helper()
	var list api.ResourceList
	call(t, s, http.StatusOK, http.MethodGet, "/api/v1/namespaces/"+namespace+"/resources", nil, &list)
	last := n.Revisions[len(n.Revisions)-1]
	if list.Revision.Number != last.Record.Number || list.Revision.Digest != last.Manifest.Digest.String() {
		t.Errorf("%s: the API is at revision %+v, the registry at %d (%s)", namespace, list.Revision, last.Record.Number, last.Manifest.Digest)
	}
	var names []string
	for _, r := range list.Resources {
		names = append(names, r.Name)
		changes := n.Changes[r.Name]
		if len(changes) == 0 {
			t.Errorf("%s/%s: the registry does not have it", namespace, r.Name)
			continue
		}
		newest := changes[len(changes)-1]
		if r.Version != newest.After.Version || r.Digest != newest.After.Digest.String() {
			t.Errorf("%s/%s: the API has %s (%s), the registry %+v", namespace, r.Name, r.Version, r.Digest, *newest.After)
		}
	}
	if want := slices.Sorted(maps.Keys(n.Live)); !slices.Equal(names, want) {
		t.Errorf("%s: the API lists %v, the catalog holds %v", namespace, names, want)
	}
}

// fill declares n resources with one apply.
func fill(t *testing.T, s *gsq.Server, namespace string, n int) {
	t.Helper()
	var wanted api.ApplyRequest
	for i := range n {
		wanted.Resources = append(wanted.Resources, api.ApplyResource{
			Name: fmt.Sprintf("many-%03d", i), Spec: api.Spec{Type: "bucket", Size: "small", Region: fmt.Sprintf("r%d", i), Replicas: 1 + i%10},
		})
	}
	var answer api.ApplyResponse
	call(t, s, http.StatusOK, http.MethodPost, "/api/v1/namespaces/"+namespace+"/apply", wanted, &answer)
	if answer.Created != n {
		t.Fatalf("%d of %d resources were created", answer.Created, n)
	}
}
