package soak_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"gitops-squared.io/gsq/e2e/cluster"
	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/e2e/load"
	"gitops-squared.io/gsq/e2e/proxy"
)

// Everything that may happen to a server and its registry, in random order and
// under load. SOAK_TIME says for how long (a Go duration, 5m if it is empty),
// SOAK_SEED repeats an order; the load's timing cannot be repeated.
func TestMixedFaults(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		s := start(t, "")
		m := newMixed(t, s.Host, s, nil)
		m.run([]event{
			{"the server is killed", m.kill},
			{"the server is stopped and started", m.restart},
			{"the server is paused", m.pauseServer},
		})
	})
	t.Run("distribution", func(t *testing.T) {
		d := distribution(t)
		p := newProxy(t, d.Host)
		m := newMixed(t, d.Host, start(t, p.Host), newServer(t, p.Host))
		m.registry, m.proxy = d, p
		m.run([]event{
			{"the server is killed", m.kill},
			{"the server is paused", m.pauseServer},
			{"the registry is paused", m.pauseRegistry},
			{"the registry is killed", m.killRegistry},
			{"the registry answers wrongly", m.spoil},
			{"the registry answers wrongly", m.spoil}, // twice as often
			{"another server starts", m.succeed},
			{"another server starts while the first is paused", m.succeedPaused},
		})
	})
}

// event is something that happens, and has ended when do returns.
type event struct {
	name string
	do   func() error
}

type mixed struct {
	t        *testing.T
	host     string // of the registry
	random   *rand.Rand
	writer   *gsq.Server
	other    *gsq.Server // superseded or not started
	registry *cluster.Distribution
	proxy    *proxy.Proxy
	load     *load.Load
}

func newMixed(t *testing.T, host string, writer, other *gsq.Server) *mixed {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv("SOAK_SEED"); given != "" {
		var err error
		seed, err = strconv.ParseUint(given, 10, 64)
		must(t, err)
	}
	t.Logf("SOAK_SEED=%d", seed)
	return &mixed{t: t, host: host, random: rand.New(rand.NewPCG(seed, 0)), writer: writer, other: other}
}

// goesOn is how long it may take until writes succeed again: a start that waits
// for its claim to settle, and then for a write that was not answered.
const goesOn = 2 * time.Minute

func (m *mixed) run(events []event) {
	m.t.Helper()
	duration := 5 * time.Minute
	if given := os.Getenv("SOAK_TIME"); given != "" {
		var err error
		duration, err = time.ParseDuration(given)
		must(m.t, err)
	}
	m.load = load.Start(m.t.Context(), load.Options{
		Server: m.writer, Fallback: m.other, Namespaces: namespaces(4), Writers: 16, Writes: 1_000_000, Resources: 10,
		Pause: 100 * time.Millisecond, Seed: m.random.Uint64(),
	})
	defer m.load.Stop()
	count := 0
	for end := time.Now().Add(duration); time.Now().Before(end); count++ {
		m.awaitWrites(20)
		m.pause(0, 2*time.Second)
		e := events[m.random.IntN(len(events))]
		m.t.Logf("%d: %s", count, e.name)
		must(m.t, e.do())
	}
	m.awaitWrites(20)
	m.load.Stop()
	report, err := m.load.Wait()
	m.t.Logf("%d events; %s", count, report)
	if err != nil {
		m.t.Error(err)
	}
	check(m.t, m.host, report)
}

// awaitWrites waits until so many more writes are acknowledged.
func (m *mixed) awaitWrites(n int) {
	m.t.Helper()
	want, deadline := m.load.Acknowledged()+n, time.Now().Add(goesOn)
	for m.load.Acknowledged() < want {
		if time.Now().After(deadline) {
			m.t.Fatalf("%d writes of %d are acknowledged after %v", m.load.Acknowledged(), want, goesOn)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (m *mixed) pause(shortest, longest time.Duration) {
	time.Sleep(shortest + time.Duration(m.random.Int64N(int64(longest-shortest))))
}

func (m *mixed) kill() error {
	if err := m.writer.Kill(); err != nil {
		return err
	}
	return m.writer.Start()
}

func (m *mixed) restart() error {
	if err := m.writer.Stop(); err != nil {
		return err
	}
	return m.writer.Start()
}

func (m *mixed) pauseServer() error {
	if err := m.writer.Pause(); err != nil {
		return err
	}
	m.pause(0, 20*time.Second)
	return m.writer.Resume()
}

func (m *mixed) pauseRegistry() error {
	if err := m.registry.Pause(); err != nil {
		return err
	}
	m.pause(0, 20*time.Second)
	return m.registry.Resume()
}

func (m *mixed) killRegistry() error {
	if err := m.registry.Kill(); err != nil {
		return err
	}
	m.pause(0, 3*time.Second)
	return m.registry.Restart(m.t.Context())
}

// spoil makes the registry answer some requests of all namespaces wrongly.
func (m *mixed) spoil() error {
	faults := []struct {
		name  string
		fault proxy.Fault
	}{
		{"429", proxy.Refuse(http.StatusTooManyRequests, 1)},
		{"500", proxy.Refuse(http.StatusInternalServerError, 0)},
		{"503", proxy.Refuse(http.StatusServiceUnavailable, 1)},
		{"reset", proxy.ResetAfter},
		{"half a body", proxy.HalfBody},
		{"wrong digest", proxy.WrongDigest},
		{"late", proxy.NewGate(time.Duration(m.random.Int64N(int64(12 * time.Second)))).Hold}, // within the settle time
	}
	targets := []struct{ method, path string }{
		{"", "/blobs/uploads/"}, {"PUT", "/manifests/sha256:"}, {"PUT", "/manifests/latest$"}, {"PUT", "/manifests/r[0-9]+$"},
		{"PUT", "/manifests/v[0-9]+$"}, {"GET", "/writer/manifests/latest$"}, {"GET", "/catalogs?(/[^/]+)?/manifests/latest$"},
		{"GET", "/manifests/r[0-9]+$"}, {"", ""},
	}
	f, on := faults[m.random.IntN(len(faults))], targets[m.random.IntN(len(targets))]
	rule := m.proxy.Add(proxy.Rule{Method: on.method, Path: regexp.MustCompile(on.path), Fault: f.fault})
	for deadline := time.Now().Add(20 * time.Second); rule.Hits() == 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	m.pause(0, 3*time.Second)
	rule.Remove()
	m.t.Logf("   %s for %d requests %s %s", f.name, rule.Hits(), on.method, on.path)
	return nil
}

// succeed starts the other server, which supersedes the writer.
func (m *mixed) succeed() error {
	if m.other.Started() {
		if err := m.other.Kill(); err != nil {
			return err
		}
	}
	if err := m.other.Start(); err != nil {
		return err
	}
	m.writer, m.other = m.other, m.writer
	ready(m.t, m.writer)
	return nil
}

func (m *mixed) succeedPaused() error {
	before := m.writer
	if err := before.Pause(); err != nil {
		return err
	}
	if err := m.succeed(); err != nil {
		return fmt.Errorf("while the first is paused: %w", err)
	}
	m.pause(0, 3*time.Second)
	return before.Resume()
}
