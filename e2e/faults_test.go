package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/gsq"
)

func TestServeFaults(t *testing.T) {
	t.Parallel()
	for _, p := range places() {
		t.Run("drain/"+p.name, func(t *testing.T) { t.Parallel(); testDrain(t, p) })
	}
	t.Run("folder in use", func(t *testing.T) { t.Parallel(); testFolderInUse(t) })
	t.Run("registry down", func(t *testing.T) { t.Parallel(); testRegistryDown(t) })
}

// SIGTERM under load: it ends in time and well, and what it acknowledged is
// there.
func testDrain(t *testing.T, p place) {
	s, host := p.start(t)
	w := startWriters(t, s, "drain", 16)
	w.awaitCount(t, 30)
	began := time.Now()
	if err := s.Terminate(); err != nil {
		t.Fatal(err)
	}
	code, err := s.Wait(15 * time.Second)
	if code != 0 || err != nil {
		t.Errorf("after SIGTERM: exit code %d, %v", code, err)
	}
	t.Logf("ended after %.1f s", time.Since(began).Seconds())
	w.end()
	startServer(t, s)
	w.check(t, s, "drain")
	readHistory(t, host)
}

// Two servers on one data folder: the second refuses and says why, the first
// does not notice.
func testFolderInUse(t *testing.T) {
	dir := t.TempDir()
	first := newServer(t, gsq.Options{Dir: filepath.Join(dir, "first")})
	startServer(t, first)
	second := newServer(t, gsq.Options{Dir: filepath.Join(dir, "second"), Args: []string{"--data", filepath.Join(dir, "first", "data")}})
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	code, err := second.Wait(30 * time.Second)
	if code != 1 || err != nil || !strings.Contains(second.Log(), "in use by another process") {
		t.Errorf("the second: exit code %d, %v\n%s", code, err, second.Log())
	}
	call(t, first, http.StatusCreated, http.MethodPut, "/api/v1/resources/web", api.ResourcePut{Spec: api.Spec{Type: "vm", Size: "small"}}, nil)
}

func failed(r api.Readiness) map[string]string {
	found := map[string]string{}
	for _, c := range r.Checks {
		if c.Status != "ok" {
			found[c.Name] = c.Detail
		}
	}
	return found
}

// answerBound is the bound on an answer while the registry is away: 5 s, and
// another for the machine, which the tests share.
const answerBound = 6 * time.Second

// A registry that is gone, and one that takes connections and answers nothing:
// writes are answered in time, and afterwards everything goes on.
func testRegistryDown(t *testing.T) {
	d := newDistribution(t)
	s := newServer(t, gsq.Options{Registry: d.Host})
	runGSQ(t, s, "", "init")
	startServer(t, s)
	put(t, s, http.StatusCreated, "default", "before")
	for _, outage := range []struct {
		name  string
		begin func() error
		end   func(context.Context) error
	}{
		{"stopped", d.Stop, d.Restart},
		{"frozen", d.Pause, func(context.Context) error { return d.Resume() }},
	} {
		name := outage.name
		if err := outage.begin(); err != nil {
			t.Fatal(err)
		}
		for _, namespace := range []string{"default", "down-" + name} { // one that exists, and one that does not
			began := time.Now()
			a, err := s.Do(t.Context(), http.MethodPut, "/api/v1/namespaces/"+namespace+"/resources/during-"+name, api.ResourcePut{Spec: api.Spec{Type: "vm", Size: "small"}})
			took := time.Since(began)
			if err != nil {
				t.Fatal(err)
			}
			known := a.Status == http.StatusServiceUnavailable && a.Code() == api.CodeRegistryUnavailable ||
				a.Status == http.StatusGatewayTimeout && a.Code() == api.CodeOutcomeUnknown
			if !known || took > answerBound || a.Header.Get("Retry-After") == "" {
				t.Errorf("%s: a write to %s was answered after %v: %d, Retry-After %q, %s", name, namespace, took, a.Status, a.Header.Get("Retry-After"), a.Body)
			}
			t.Logf("%s: a write to %s was answered %d %s after %.1f s", name, namespace, a.Status, a.Code(), took.Seconds())
		}
		call(t, s, http.StatusOK, http.MethodGet, "/api/v1/resources/before", nil, nil) // reads go on
		var readiness api.Readiness
		call(t, s, http.StatusServiceUnavailable, http.MethodGet, "/readyz", nil, &readiness)
		if why := failed(readiness)["registry"]; why == "" {
			t.Errorf("%s: readyz: %+v", name, readiness)
		}
		call(t, s, http.StatusOK, http.MethodGet, "/livez", nil, nil)
		if err := outage.end(t.Context()); err != nil {
			t.Fatal(err)
		}
		awaitReady(t, s)
		for _, namespace := range []string{"default", "down-" + name} {
			// An unanswered write bars the next until it has settled.
			await(t, time.Minute, name+": a write to "+namespace+" afterwards", func() error {
				a, err := s.Do(t.Context(), http.MethodPut, "/api/v1/namespaces/"+namespace+"/resources/after-"+name, api.ResourcePut{Spec: api.Spec{Type: "vm", Size: "small"}})
				if err == nil && a.Status/100 != 2 {
					err = fmt.Errorf("answered %d %s", a.Status, a.Body)
				}
				return err
			})
		}
	}
	readHistory(t, d.Host)
}

func put(t *testing.T, s *gsq.Server, status int, namespace, name string) {
	t.Helper()
	call(t, s, status, http.MethodPut, "/api/v1/namespaces/"+namespace+"/resources/"+name, api.ResourcePut{Spec: api.Spec{Type: "vm", Size: "small"}}, nil)
}
