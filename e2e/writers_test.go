package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/gsq"
)

// writers create resources, each one once, until they are told to stop.
type writers struct {
	mu           sync.Mutex
	acknowledged map[string]api.Resource // by name
	codes        map[api.Code]int        // of what was refused

	stop context.CancelFunc
	wait sync.WaitGroup
}

// startWriters starts n writers into the namespace. They end at the latest
// with the test.
func startWriters(t *testing.T, s *gsq.Server, namespace string, n int) *writers {
	ctx, stop := context.WithCancel(t.Context())
	w := &writers{acknowledged: map[string]api.Resource{}, codes: map[api.Code]int{}, stop: stop}
	for i := range n {
		w.wait.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				if !w.write(t, s, namespace, fmt.Sprintf("w%d-%d", i, k)) {
					return
				}
			}
		})
	}
	t.Cleanup(w.end)
	return w
}

// write returns false when the server is gone.
func (w *writers) write(t *testing.T, s *gsq.Server, namespace, name string) bool {
	spec := api.Spec{Type: "vm", Size: "small", Region: name, Replicas: 1}
	// Not the context that stops: what was begun is heard to its end.
	a, err := s.Do(t.Context(), http.MethodPut, "/api/v1/namespaces/"+namespace+"/resources/"+name, api.ResourcePut{Spec: spec})
	if err != nil {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.Status/100 != 2 {
		w.codes[a.Code()]++
		time.Sleep(10 * time.Millisecond)
		return true
	}
	var r api.Resource
	if err := a.Decode(&r); err != nil {
		t.Error(err)
	}
	w.acknowledged[name] = r
	return true
}

func (w *writers) end() {
	w.stop()
	w.wait.Wait()
}

func (w *writers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acknowledged)
}

// awaitCount waits until so many writes were acknowledged.
func (w *writers) awaitCount(t *testing.T, n int) {
	t.Helper()
	await(t, time.Minute, fmt.Sprintf("%d writes are acknowledged", n), func() error {
		if got := w.count(); got < n {
			return fmt.Errorf("%d", got)
		}
		return nil
	})
}

// check ends the writers and compares: everything acknowledged must be there.
func (w *writers) check(t *testing.T, s *gsq.Server, namespace string) {
	t.Helper()
	w.end()
	var list api.ResourceList
	call(t, s, http.StatusOK, http.MethodGet, "/api/v1/namespaces/"+namespace+"/resources", nil, &list)
	have := map[string]api.Resource{}
	for _, r := range list.Resources {
		have[r.Name] = r
	}
	var faults []error
	for name, want := range w.acknowledged {
		if got, ok := have[name]; !ok || got.Digest != want.Digest || got.Version != want.Version {
			faults = append(faults, fmt.Errorf("%s was acknowledged as %s (%s), there is %s (%s)", name, want.Version, want.Digest, got.Version, got.Digest))
		}
	}
	if err := errors.Join(faults...); err != nil {
		t.Error(err)
	}
	t.Logf("%d writes acknowledged, all of them there; refused: %v", len(w.acknowledged), w.codes)
}
