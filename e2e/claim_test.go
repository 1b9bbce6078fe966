package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/e2e/history"
	"gitops-squared.io/gsq/e2e/load"
	"gitops-squared.io/gsq/e2e/proxy"
)

// contested is the namespace that several servers write to.
const contested = "contested"

// moveOf matches the commit point of the contested namespace.
func moveOf(prefix string) *regexp.Regexp {
	return regexp.MustCompile("^/v2/" + prefix + "/catalogs/" + contested + "/manifests/latest$")
}

// Several servers on one prefix of an external registry: whoever claimed it
// last writes, the others say that they do not, and no write that any of them
// acknowledged is lost.
func TestSecondServer(t *testing.T) {
	t.Parallel()
	d := newDistribution(t)
	t.Run("under load", func(t *testing.T) { t.Parallel(); testSecondUnderLoad(t, d.Host, "second") })
	t.Run("paused before its move", func(t *testing.T) { t.Parallel(); testPausedBeforeItsMove(t, d.Host, "paused") })
	t.Run("a third during the wait", func(t *testing.T) { t.Parallel(); testThirdDuringTheWait(t, d.Host, "third") })
	t.Run("registry frozen in the move", func(t *testing.T) { t.Parallel(); testFrozenInTheMove(t, "frozen") })
}

func testSecondUnderLoad(t *testing.T, registry, prefix string) {
	p := newProxy(t, registry)
	first, second := startExternal(t, p.Host, prefix), newExternal(t, registry, prefix)
	l := startContest(t, first, second, "")
	startServer(t, second)
	assertSuperseded(t, first)
	writes := p.Add(proxy.Rule{Fault: countWrites(t)})
	awaitAcknowledged(t, l, l.Acknowledged()+20)
	call(t, first, http.StatusOK, http.MethodGet, "/api/v1/namespaces/"+contested+"/resources", nil, nil) // it stays up for reads
	put(t, first, http.StatusServiceUnavailable, contested, "refused")
	put(t, first, http.StatusServiceUnavailable, "another", "refused")
	writes.Remove()
	report := endLoad(t, l)
	if report.Superseded == 0 {
		t.Error("no caller was told that the first is superseded")
	}
	checkContest(t, second, registry, prefix, report)
}

// countWrites lets everything pass, but a write is an error.
func countWrites(t *testing.T) proxy.Fault {
	return func(c *proxy.Call) {
		if c.Method != http.MethodGet && c.Method != http.MethodHead {
			t.Errorf("the superseded one sent %s %s", c.Method, c.Path)
		}
		c.Pass()
	}
}

// The first is stopped when it has read that the claim is its own and sent the
// move of latest, which reaches the registry only when the second has written
// for a while.
func testPausedBeforeItsMove(t *testing.T, registry, prefix string) {
	p := newProxy(t, registry)
	first, second := startExternal(t, p.Host, prefix), newExternal(t, registry, prefix)
	l := startContest(t, first, second, "")
	gate := proxy.NewGate(2 * time.Minute)
	defer gate.Open()
	p.Add(proxy.Rule{Method: http.MethodPut, Path: moveOf(prefix), Fault: gate.Hold})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := gate.Arrived(ctx); err != nil {
		t.Fatal(err)
	}
	if err := first.Pause(); err != nil {
		t.Fatal(err)
	}
	startServer(t, second)
	others := startContest(t, second, nil, "second-")
	awaitAcknowledged(t, others, 20)
	otherReport := endLoad(t, others)

	before := latestOf(t, registry, prefix)
	gate.Open()
	if err := gate.Done(ctx); err != nil {
		t.Fatal(err)
	}
	if latestOf(t, registry, prefix) == before {
		t.Error("the late move changed nothing: this was no test")
	}
	if err := first.Resume(); err != nil {
		t.Fatal(err)
	}
	put(t, second, http.StatusCreated, contested, "afterwards")
	if !strings.Contains(second.Log(), "putting the head forward again") {
		t.Error("the second one's log does not say that latest was put back")
	}
	awaitAcknowledged(t, l, l.Acknowledged()+20)
	report := endLoad(t, l)
	if report.Unknown == 0 {
		t.Error("the caller of the late move was not told that its outcome is unknown")
	}
	assertSuperseded(t, first)
	checkContest(t, second, registry, prefix, report, otherReport)
}

// latestOf is the digest of the contested namespace's latest.
func latestOf(t *testing.T, registry, prefix string) string {
	t.Helper()
	r := history.New(registry)
	defer r.Close()
	m, err := r.Manifest(t.Context(), prefix+"/catalogs/"+contested, "latest")
	if err != nil {
		t.Fatal(err)
	}
	return m.Digest.String()
}

// The registry stops with the first one's move of latest under way. The second
// starts before it goes on.
func testFrozenInTheMove(t *testing.T, prefix string) {
	d := newDistribution(t)
	p := newProxy(t, d.Host)
	first, second := startExternal(t, p.Host, prefix), newExternal(t, d.Host, prefix)
	l := startContest(t, first, second, "")
	frozen := make(chan error, 1)
	var freeze sync.Once
	p.Add(proxy.Rule{Method: http.MethodPut, Path: moveOf(prefix), Fault: proxy.Before(func() {
		freeze.Do(func() { frozen <- d.Pause() })
	})})
	select {
	case err := <-frozen:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("no commit came")
	}
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(6 * time.Second) // the first one's patience with its move has ended
	if err := d.Resume(); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, second)
	awaitAcknowledged(t, l, l.Acknowledged()+20)
	report := endLoad(t, l)
	assertSuperseded(t, first)
	checkContest(t, second, d.Host, prefix, report)
}

func testThirdDuringTheWait(t *testing.T, registry, prefix string) {
	first, second, third := startExternal(t, registry, prefix), newExternal(t, registry, prefix), newExternal(t, registry, prefix)
	l := startContest(t, first, third, "")
	if err := second.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, time.Minute, "the second waits for its claim to settle", func() error {
		if !strings.Contains(second.Log(), "writer claim put; waiting") {
			return errors.New("its log does not say so")
		}
		return nil
	})
	startServer(t, third)
	await(t, time.Minute, "the second is superseded", func() error {
		if !strings.Contains(second.Log(), "another ledger has claimed the prefix") {
			return errors.New("its log does not say so")
		}
		return nil
	})
	for _, s := range []*gsq.Server{first, second} {
		assertSuperseded(t, s)
		put(t, s, http.StatusServiceUnavailable, contested, "refused")
	}
	awaitAcknowledged(t, l, l.Acknowledged()+20)
	checkContest(t, third, registry, prefix, endLoad(t, l))
}

// startContest starts a load on the contested namespace that goes on to next
// when s is superseded, and waits until it writes.
func startContest(t *testing.T, s, next *gsq.Server, name string) *load.Load {
	t.Helper()
	l := load.Start(t.Context(), load.Options{
		Server: s, Fallback: next, Name: name, Namespaces: []string{contested}, Writers: 4, Writes: 100_000, Resources: 3, Pause: 50 * time.Millisecond, Seed: 4,
	})
	t.Cleanup(l.Stop)
	awaitAcknowledged(t, l, 10)
	return l
}

// assertSuperseded checks that a server says everywhere that it is not the
// writer any more.
func assertSuperseded(t *testing.T, s *gsq.Server) {
	t.Helper()
	await(t, time.Minute, "it is superseded", func() error {
		a, err := s.Do(t.Context(), http.MethodGet, "/readyz", nil)
		if err != nil {
			return err
		}
		var readiness api.Readiness
		if err := a.Decode(&readiness); err != nil {
			return err
		}
		if why := failed(readiness)["ledger"]; a.Status != http.StatusServiceUnavailable || !strings.Contains(why, "claimed") {
			return fmt.Errorf("readyz: %d %s", a.Status, a.Body)
		}
		return nil
	})
	if !strings.Contains(s.Log(), "another ledger has claimed the prefix") {
		t.Error("its log does not say that it is superseded")
	}
	for metric, want := range map[string]string{"gsq_ledger_ready": "0", "gsq_ledger_superseded": "1"} {
		if got := metricOf(t, s, metric); got != want {
			t.Errorf("%s is %q, want %s", metric, got, want)
		}
	}
}

// metricOf returns the value of a metric without labels, empty if there is none.
func metricOf(t *testing.T, s *gsq.Server, name string) string {
	t.Helper()
	a, err := s.Do(t.Context(), http.MethodGet, "/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(a.Body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// checkContest checks that the writer is the writer, and everything that the
// loads were told.
func checkContest(t *testing.T, writer *gsq.Server, registry, prefix string, reports ...*load.Report) {
	t.Helper()
	awaitReady(t, writer)
	if got := metricOf(t, writer, "gsq_ledger_superseded"); got != "0" {
		t.Errorf("the writer's gsq_ledger_superseded is %q", got)
	}
	put(t, writer, http.StatusCreated, contested, "at-the-end")
	h := readPrefix(t, registry, prefix)
	if err := load.Check(h, reports...); err != nil {
		t.Error(err)
	}
	compareWithAPI(t, writer, contested, h.Namespaces[contested])
}
