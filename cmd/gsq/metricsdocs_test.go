package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// served starts gsq serve in this process, on an embedded registry, and
// returns its URL once it is ready.
func served(t *testing.T) string {
	t.Helper()
	out, printed := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan int, 1)
	var log strings.Builder
	go func() {
		p := process{In: strings.NewReader(""), Out: printed, Err: &log}
		ended <- execute(ctx, p, []string{"serve", "--listen", "127.0.0.1:0", "--data", t.TempDir()})
		printed.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != 0 {
			t.Errorf("gsq serve ended with %d: %s", code, log.String())
		}
	})
	line := make([]byte, 200)
	n, err := out.Read(line)
	if err != nil {
		t.Fatalf("gsq serve printed nothing: %v", err)
	}
	return strings.TrimSpace(strings.TrimPrefix(string(line[:n]), "listening on "))
}

func fetch(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

// exportedMetric is what /metrics says of one metric.
type exportedMetric struct {
	kind   string
	labels []string
	values map[string][]string // by label
}

func parseMetrics(text string) map[string]exportedMetric {
	all := map[string]exportedMetric{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (gsq_\w+) (\w+)$`).FindAllStringSubmatch(text, -1) {
		e := exportedMetric{kind: m[2], values: map[string][]string{}}
		for _, sample := range regexp.MustCompile(`(?m)^`+m[1]+`(?:_bucket|_sum|_count)?(?:\{(.*)\})? `).FindAllStringSubmatch(text, -1) {
			for _, label := range regexp.MustCompile(`(\w+)="([^"]*)"`).FindAllStringSubmatch(sample[1], -1) {
				if label[1] != "le" {
					e.labels = append(e.labels, label[1])
					e.values[label[1]] = append(e.values[label[1]], label[2])
				}
			}
		}
		slices.Sort(e.labels)
		e.labels = slices.Compact(e.labels)
		all[m[1]] = e
	}
	return all
}

// Every metric of a server is on the page, with its type and its labels, and so
// is every value of the labels that have a table; nothing else is.
func TestTheMetricsPageIsComplete(t *testing.T) {
	t.Parallel()
	url := served(t)
	for deadline := time.Now().Add(serverStart); ; time.Sleep(5 * time.Millisecond) {
		status, answer := fetch(t, "GET", url+"/readyz", "")
		if status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready: %s", answer)
		}
	}
	if status, answer := fetch(t, "POST", url+"/api/v1/resources", `{"name":"web","spec":{"type":"vm","size":"small"}}`); status != http.StatusCreated {
		t.Fatalf("creating: %d %s", status, answer)
	}
	_, text := fetch(t, "GET", url+"/metrics", "")
	exported := parseMetrics(text)
	if len(exported) < 20 {
		t.Fatalf("only %d metrics", len(exported))
	}
	data, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(gsq_\\w+)` \\| (\\w+) \\|([^|]*)\\| ([^|]+) \\|$").FindAllStringSubmatch(page, -1) {
		documented[m[1]] = true
		e, ok := exported[m[1]]
		if !ok {
			t.Errorf("docs/metrics.md has %s, which is not exported", m[1])
			continue
		}
		var labels []string
		for _, l := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(m[3], -1) {
			labels = append(labels, l[1])
		}
		slices.Sort(labels)
		if e.kind != m[2] || !slices.Equal(e.labels, labels) {
			t.Errorf("docs/metrics.md: %s is a %s with %q, the page says %s with %q", m[1], e.kind, e.labels, m[2], labels)
		}
	}
	for name := range exported {
		if !documented[name] {
			t.Errorf("docs/metrics.md lacks %s", name)
		}
	}
	for _, c := range []struct{ metric, label string }{
		{"gsq_commit_phase_duration_seconds", "phase"}, {"gsq_ledger_repairs_total", "kind"},
		{"gsq_registry_requests_total", "operation"}, {"gsq_registry_requests_total", "outcome"},
	} {
		for _, value := range exported[c.metric].values[c.label] {
			if !strings.Contains(page, "`"+value+"`") {
				t.Errorf("docs/metrics.md lacks the %s %s of %s", c.label, value, c.metric)
			}
		}
	}
}
