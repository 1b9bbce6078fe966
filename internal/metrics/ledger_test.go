package metrics_test

import (
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/metrics"
)

func TestLedger(t *testing.T) {
	t.Parallel()
	m := metrics.NewLedger()
	fresh := values(t, m)
	moved(t, fresh, nil)
	for _, p := range ledger.Phases() {
		if _, ok := fresh["gsq_commit_phase_duration_seconds_count,"+string(p)]; !ok {
			t.Errorf("the phase %s is not exported before it is spent", p)
		}
	}
	for _, r := range ledger.Repairs() {
		if _, ok := fresh["gsq_ledger_repairs_total,"+string(r)]; !ok {
			t.Errorf("the repair %s is not exported before it is made", r)
		}
	}
	for _, code := range ledger.ApplyCodes() {
		if _, ok := fresh["gsq_writes_rejected_total,"+string(code)]; !ok {
			t.Errorf("the reason %s is not exported before it is given", code)
		}
	}
	m.Answered(2*time.Second, "")
	m.Answered(500*time.Millisecond, "")
	m.Answered(time.Hour, ledger.CodeQueueFull)
	m.Committed(3, 7)
	m.Committed(1, 1)
	m.Spent(ledger.PhaseOffer, 250*time.Millisecond)
	m.Repaired(ledger.RepairAdopted)
	moved(t, values(t, m), map[string]float64{
		"gsq_write_duration_seconds_count": 2, "gsq_write_duration_seconds_sum": 2.5,
		"gsq_writes_rejected_total,queue-full": 1,
		"gsq_batch_requests_count":             2, "gsq_batch_requests_sum": 4,
		"gsq_batch_changes_count": 2, "gsq_batch_changes_sum": 8,
		"gsq_commit_phase_duration_seconds_count,offer": 1, "gsq_commit_phase_duration_seconds_sum,offer": .25,
		"gsq_ledger_repairs_total,adopted": 1,
	})
}

// What is told on the way of every write allocates nothing.
func TestLedgerCostsNothing(t *testing.T) {
	m := metrics.NewLedger()
	if n := testing.AllocsPerRun(100, func() {
		m.Answered(time.Millisecond, "")
		m.Committed(3, 7)
		m.Spent(ledger.PhaseWait, time.Millisecond)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkLedger(b *testing.B) {
	m := metrics.NewLedger()
	for b.Loop() {
		m.Answered(time.Millisecond, "")
		m.Spent(ledger.PhaseWait, time.Millisecond)
	}
}
