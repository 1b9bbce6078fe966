package server_test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The proof of concept's clients must find what they found there.

func members(t *testing.T, body string) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatalf("%v in %s", err, body)
	}
	return m
}

func wantMembers(t *testing.T, body string, names ...string) map[string]any {
	t.Helper()
	m := members(t, body)
	for _, name := range names {
		if _, ok := m[name]; !ok {
			t.Errorf("%s lacks %q", body, name)
		}
	}
	return m
}

func TestContractOfTheUnnamespacedCalls(t *testing.T) {
	t.Parallel()
	f := newFixture(t)

	empty := wantMembers(t, f.do("GET", resources, "").want(200).body, "resources", "count")
	if list, ok := empty["resources"].([]any); !ok || len(list) != 0 || empty["count"] != 0.0 {
		t.Errorf("a new server lists %v, want no resources and the count 0", empty)
	}

	created := wantMembers(t, f.do("POST", resources, vm).want(201).body, "name", "version", "digest", "repository", "spec")
	if created["name"] != "web" || created["repository"] != "gitops-squared/resources/default/web" {
		t.Errorf("created %v", created)
	}
	if v, _ := created["version"].(string); !regexp.MustCompile(`^v[0-9]{16}$`).MatchString(v) {
		t.Errorf("version %q is not v and microseconds", v)
	}
	want := map[string]any{"type": "vm", "size": "small", "region": "eu", "replicas": 2.0}
	if got, _ := created["spec"].(map[string]any); !maps.Equal(got, want) {
		t.Errorf("spec %v, want %v", got, want)
	}

	updated := wantMembers(t, f.do("POST", resources, bigger).want(201).body, "version", "digest")
	if updated["version"] == created["version"] || updated["digest"] == created["digest"] {
		t.Errorf("the update %v has the version or digest of the creation %v", updated, created)
	}

	got := wantMembers(t, f.do("GET", resources+"/web", "").want(200).body, "name", "version", "digest", "repository", "spec")
	if got["digest"] != updated["digest"] {
		t.Errorf("read %v, want %v", got, updated)
	}

	f.do("POST", resources, `{"name":"db","spec":{"type":"database","size":"medium"}}`).want(201)
	list := wantMembers(t, f.do("GET", resources, "").want(200).body, "resources", "count")
	if list["count"] != 2.0 || len(list["resources"].([]any)) != 2 {
		t.Errorf("list %v, want two", list)
	}

	deleted := wantMembers(t, f.do("DELETE", resources+"/web", "").want(200).body, "name", "version", "digest", "deleted")
	if deleted["name"] != "web" || deleted["deleted"] != true || deleted["version"] == updated["version"] {
		t.Errorf("deleted %v, want a tombstone of its own version", deleted)
	}
	f.do("GET", resources+"/web", "").problem(404, "not-found")
	f.do("DELETE", resources+"/web", "").problem(404, "not-found")
}

func TestContractOfHealth(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if body := strings.TrimSpace(f.do("GET", "/healthz", "").want(200).body); body != `{"status":"ok"}` {
		t.Errorf("healthz answers %s", body)
	}
}

func TestReplicasDefaultToOne(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.do("POST", resources, `{"name":"b","spec":{"type":"bucket","size":"small"}}`).want(201).resource()
	if r.Spec.Replicas != 1 || r.Spec.Region != "" {
		t.Errorf("spec %+v, want one replica and no region", r.Spec)
	}
}

// TestDefectsOfTheProofOfConcept sends what it accepted, or answered with 500.
func TestDefectsOfTheProofOfConcept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for body, where := range map[string]string{
		`{"name":"a/b","spec":{"type":"vm","size":"small"}}`:                             "/name",
		`{"name":"my_db","spec":{"type":"vm","size":"small"}}`:                           "/name",
		`{"name":"UPPER","spec":{"type":"vm","size":"small"}}`:                           "/name",
		`{"name":"","spec":{"type":"vm","size":"small"}}`:                                "/name",
		`{"name":"x","spec":{"type":"vm","size":"small","replicas":-3}}`:                 "/spec/replicas",
		`{"name":"x","spec":{"type":"vm","size":"small","replicas":0}}`:                  "/spec/replicas",
		`{"name":"x","spec":{"type":"vm","size":"small","replicas":11}}`:                 "/spec/replicas",
		`{"name":"x","spec":{"type":"vm","size":"small","replica":2}}`:                   "/spec/replica",
		`{"name":"x","namespace":"y","spec":{"type":"vm","size":"small"}}`:               "/namespace",
		`{"name":"x","spec":{"type":"toaster","size":"small"}}`:                          "/spec/type",
		`{"name":"` + strings.Repeat("n", 64) + `","spec":{"type":"vm","size":"small"}}`: "/name",
	} {
		p := f.do("POST", resources, body).problem(400, "invalid")
		if got := places(p); !slices.Equal(got, []string{where}) {
			t.Errorf("%s: faults at %q, want %q", body, got, where)
		}
	}
	if n := f.do("GET", resources, "").list().Count; n != 0 {
		t.Errorf("%d resources exist, want none", n)
	}
}
