package e2e_test

import (
	"testing"
	"time"

	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/e2e/load"
)

// The registry stops for 20 s, longer than everything settles, with writes in
// every phase: callers are answered in time, with words that are true, and when
// it goes on so do they.
func TestRegistryFrozenUnderLoad(t *testing.T) {
	t.Parallel()
	d := newDistribution(t)
	s := startExternal(t, d.Host, defaultPrefix)
	l := startOutageLoad(t, s)
	if err := d.Pause(); err != nil {
		t.Fatal(err)
	}
	const frozen = 20 * time.Second
	time.Sleep(frozen)
	before := l.Acknowledged()
	if err := d.Resume(); err != nil {
		t.Fatal(err)
	}
	awaitAcknowledged(t, l, before+30)
	checkOutage(t, l, d.Host)
}

// The registry is killed and started again with writes in every phase.
func TestRegistryKilledUnderLoad(t *testing.T) {
	t.Parallel()
	d := newDistribution(t)
	s := startExternal(t, d.Host, defaultPrefix)
	l := startOutageLoad(t, s)
	for range 3 {
		if err := d.Kill(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		before := l.Acknowledged()
		if err := d.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		awaitAcknowledged(t, l, before+30)
	}
	checkOutage(t, l, d.Host)
}

func startOutageLoad(t *testing.T, s *gsq.Server) *load.Load {
	t.Helper()
	l := load.Start(t.Context(), load.Options{
		Server: s, Namespaces: []string{"default", "outage-a", "outage-b"}, Writers: 12, Writes: 100_000, Resources: 4, Pause: 20 * time.Millisecond, Seed: 3,
	})
	t.Cleanup(l.Stop)
	awaitAcknowledged(t, l, 60)
	return l
}

func checkOutage(t *testing.T, l *load.Load, host string) {
	t.Helper()
	report := endLoad(t, l)
	if report.Unknown+report.Refused == 0 {
		t.Error("no write noticed the outage: this was no test")
	}
	if report.Slowest > answerBound {
		t.Errorf("an answer took %v, the bound is %v", report.Slowest, answerBound)
	}
	h := readHistory(t, host)
	if err := load.Check(h, report); err != nil {
		t.Error(err)
	}
}
