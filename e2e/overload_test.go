package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/gsq"
)

const (
	floodClients   = 2000
	bulkClients    = 24  // half again as many bodies as one namespace may hold
	floodResources = 900 // a catalog has at most 1,000
	floodTime      = 6 * time.Second
	calmWrites     = 30
	// overloadedBytes bounds the memory of a server under all of that.
	overloadedBytes = 500 << 20
)

// 2,000 clients write into one namespace, and 24 send large bodies into
// another, as fast as they are answered. Who is refused is told so; who is
// acknowledged finds what was acknowledged; one who writes into a third
// namespace is never refused; probes are answered; memory is bounded.
//
// It has its turn before the parallel tests run, like TestKilledUnderLoad.
func TestOverload(t *testing.T) {
	s := newServer(t, gsq.Options{})
	startServer(t, s)
	idle := resident(t, s)
	call(t, s, http.StatusCreated, http.MethodPost, "/api/v1/namespaces/calm/resources", calmBody(0), nil)
	f := startFlood(t, s)

	var took []time.Duration
	highest, slow := 0.0, 0
	for began := time.Now(); len(took) < calmWrites || time.Since(began) < floodTime; {
		sent := time.Now()
		slow += writeCalmly(t, s, calmBody(len(took)+1))
		took = append(took, time.Since(sent))
		call(t, s, http.StatusOK, http.MethodGet, "/livez", nil, nil)
		call(t, s, http.StatusOK, http.MethodGet, "/readyz", nil, nil)
		highest = max(highest, resident(t, s))
	}
	f.end()
	slices.Sort(took)
	t.Logf("calm: %d writes acknowledged, none refused, %d repeated because the machine was too slow; p50 %v, p99 %v",
		len(took), slow, took[len(took)/2], took[len(took)*99/100])
	t.Logf("flood: %d acknowledged, %d refused %v", f.acknowledgedCount(), f.refusedCount(), f.refused)
	t.Logf("server: %.1f s of processor time", number(t, s, "process_cpu_seconds_total"))
	t.Logf("memory: %.0f MB before, at most %.0f MB", idle/1e6, highest/1e6)
	if highest > overloadedBytes {
		t.Errorf("the server held %.0f MB, at most %d are allowed", highest/1e6, overloadedBytes/1_000_000)
	}
	if f.refused[api.CodeQueueFull] == 0 || f.acknowledgedCount() == 0 {
		t.Error("this was no overload")
	}
	f.check(t, s)
	var list api.ResourceList
	call(t, s, http.StatusOK, http.MethodGet, "/api/v1/namespaces/calm/resources", nil, &list)
	if len(list.Resources) != 1 || list.Resources[0].Spec.Region != calmBody(len(took)).Spec.Region {
		t.Errorf("calm's resource is %+v, want the last one that was written", list.Resources)
	}
}

// writeCalmly writes what is not to be refused for what others do. It repeats
// what took longer than a write may take, and returns how often.
func writeCalmly(t *testing.T, s *gsq.Server, body api.ResourceRequest) (slow int) {
	t.Helper()
	for ; t.Context().Err() == nil; slow++ {
		a, err := s.Do(t.Context(), http.MethodPost, "/api/v1/namespaces/calm/resources", body)
		if err != nil {
			t.Fatal(err)
		}
		if a.Status == http.StatusOK {
			return slow
		}
		if code := a.Code(); code != api.CodeRegistryUnavailable && code != api.CodeOutcomeUnknown {
			t.Fatalf("a write that is not part of the flood is answered %d: %s", a.Status, a.Body)
		}
	}
	return slow
}

func calmBody(i int) api.ResourceRequest {
	return api.ResourceRequest{Name: "one", Spec: api.Spec{Type: "vm", Size: "small", Region: strconv.Itoa(i)}}
}

// resident is the server's memory in bytes.
func resident(t *testing.T, s *gsq.Server) float64 {
	return number(t, s, "process_resident_memory_bytes")
}

// number returns a metric without labels.
func number(t *testing.T, s *gsq.Server, metric string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(metricOf(t, s, metric), 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// flood is many clients that write as fast as they are answered.
type flood struct {
	client *http.Client
	stop   context.CancelFunc
	wait   sync.WaitGroup

	mu           sync.Mutex
	acknowledged map[string][]string // versions by the resource's name
	refused      map[api.Code]int
}

func startFlood(t *testing.T, s *gsq.Server) *flood {
	ctx, stop := context.WithCancel(t.Context())
	f := &flood{
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: floodClients}, Timeout: time.Minute},
		stop:   stop, acknowledged: map[string][]string{}, refused: map[api.Code]int{},
	}
	t.Cleanup(f.end)
	for i := range floodClients {
		name := fmt.Sprintf("flood-%03d", i%floodResources)
		f.wait.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				body, err := json.Marshal(api.ResourceRequest{
					Name: name, Spec: api.Spec{Type: "vm", Size: "small", Region: fmt.Sprintf("client-%d-%d", i, k)},
				})
				if err == nil {
					err = f.send(ctx, s.URL+"/api/v1/namespaces/flood/resources", name, body)
				}
				if err != nil {
					t.Errorf("client %d: %v", i, err)
					return
				}
			}
		})
	}
	// One resource, and as much white space as there may be.
	large := bytes.Repeat([]byte{' '}, api.MaxBodyBytes)
	copy(large, `{"resources":[{"name":"bulk","spec":{"type":"vm","size":"small"}}]`)
	large[len(large)-1] = '}'
	for i := range bulkClients {
		f.wait.Go(func() {
			for ctx.Err() == nil {
				if err := f.send(ctx, s.URL+"/api/v1/namespaces/bulk/apply", "", large); err != nil {
					t.Errorf("client %d of large bodies: %v", i, err)
					return
				}
			}
		})
	}
	return f
}

// send posts a body once. An error is an answer that nobody should get.
func (f *flood) send(ctx context.Context, url, name string, body []byte) error {
	// Not the context that stops: what was begun is heard to its end.
	resp, err := f.client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	data, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return err
	}
	if resp.StatusCode/100 == 2 {
		if name == "" {
			time.Sleep(200 * time.Millisecond) // the bodies are what matters, not how many fit into a second
			return nil
		}
		var r api.Resource
		if err := json.Unmarshal(data, &r); err != nil {
			return err
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.acknowledged[name] = append(f.acknowledged[name], r.Version)
		return nil
	}
	var p api.Problem
	if err := json.Unmarshal(data, &p); err != nil {
		return fmt.Errorf("%d %s: %w", resp.StatusCode, data, err)
	}
	expected := resp.StatusCode == http.StatusServiceUnavailable || p.Code == api.CodeOutcomeUnknown
	if !expected || resp.Header.Get("Retry-After") == "" || p.RetryAfter == 0 || resp.Header.Get("Content-Type") != api.ProblemMediaType {
		return fmt.Errorf("refused with %d, Retry-After %q: %s", resp.StatusCode, resp.Header.Get("Retry-After"), data)
	}
	f.mu.Lock()
	f.refused[p.Code]++
	f.mu.Unlock()
	select {
	case <-ctx.Done():
	case <-time.After(time.Duration(p.RetryAfter) * time.Second):
	}
	return nil
}

func (f *flood) end() {
	f.stop()
	f.wait.Wait()
	f.client.CloseIdleConnections()
}

func (f *flood) acknowledgedCount() int {
	n := 0
	for _, versions := range f.acknowledged {
		n += len(versions)
	}
	return n
}

func (f *flood) refusedCount() int {
	n := 0
	for _, count := range f.refused {
		n += count
	}
	return n
}

// check finds every acknowledged version in the registry, under its tag.
func (f *flood) check(t *testing.T, s *gsq.Server) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(f.acknowledged)) {
		var list struct {
			Tags []string `json:"tags"`
		}
		call(t, s, http.StatusOK, http.MethodGet, "/v2/gitops-squared/resources/flood/"+name+"/tags/list", nil, &list)
		there := map[string]bool{}
		for _, tag := range list.Tags {
			there[tag] = true
		}
		missing := slices.DeleteFunc(slices.Clone(f.acknowledged[name]), func(version string) bool { return there[version] })
		if len(missing) > 0 {
			t.Errorf("%s: acknowledged, but not there: %s", name, strings.Join(missing, ", "))
		}
	}
}
