// Package metrics measures the ledger and the registry that it writes to, for
// Prometheus. docs/metrics.md lists what it exports.
package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gitops-squared.io/gsq/internal/ledger"
)

// durations are the bounds, in seconds, of all histograms of time: a commit on
// the embedded registry takes about a millisecond, one on a registry that fails
// up to a minute.
func durations() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
}

// sizes are the bounds of histograms of counts; a batch has at most 1,000
// changes unless one request has more.
func sizes() []float64 {
	return []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000}
}

// Ledger counts what a ledger tells it. It has no label that grows with the
// number of namespaces, and looks none up while a write goes well.
type Ledger struct {
	collections

	writes   prometheus.Histogram
	rejected *prometheus.CounterVec
	requests prometheus.Histogram
	changes  prometheus.Histogram
	duration *prometheus.HistogramVec
	repaired *prometheus.CounterVec

	phases map[ledger.Phase]prometheus.Observer
}

var (
	_ ledger.Observer      = (*Ledger)(nil)
	_ prometheus.Collector = (*Ledger)(nil)
)

// NewLedger returns metrics that have counted nothing. Every series exists from
// the start, so that the first event of its kind is seen as an increase.
func NewLedger() *Ledger {
	m := &Ledger{
		collections: newCollections(),
		writes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gsq_write_duration_seconds", Buckets: durations(),
			Help: "How long write requests took that succeeded, from their arrival at the ledger to the answer.",
		}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gsq_writes_rejected_total", Help: "Write requests that did not succeed, by the code that answered them.",
		}, []string{"reason"}),
		requests: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gsq_batch_requests", Help: "Requests that were committed together in one revision.", Buckets: sizes(),
		}),
		changes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "gsq_batch_changes", Help: "Resources that one revision changed.", Buckets: sizes(),
		}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gsq_commit_phase_duration_seconds", Help: "How long the phases of commits took, failed ones included.", Buckets: durations(),
		}, []string{"phase"}),
		repaired: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gsq_ledger_repairs_total", Help: "What late, lost or unanswered writes left behind and was put right.",
		}, []string{"kind"}),
		phases: map[ledger.Phase]prometheus.Observer{},
	}
	for _, p := range ledger.Phases() {
		m.phases[p] = m.duration.WithLabelValues(string(p))
	}
	for _, r := range ledger.Repairs() {
		m.repaired.WithLabelValues(string(r))
	}
	for _, code := range ledger.ApplyCodes() {
		m.rejected.WithLabelValues(string(code))
	}
	return m
}

// Answered implements ledger.Observer.
func (m *Ledger) Answered(took time.Duration, code ledger.Code) {
	if code != "" {
		m.rejected.WithLabelValues(string(code)).Inc()
		return
	}
	m.writes.Observe(took.Seconds())
}

// Committed implements ledger.Observer.
func (m *Ledger) Committed(requests, changes int) {
	m.requests.Observe(float64(requests))
	m.changes.Observe(float64(changes))
}

// Spent implements ledger.Observer.
func (m *Ledger) Spent(p ledger.Phase, took time.Duration) { m.phases[p].Observe(took.Seconds()) }

// Repaired implements ledger.Observer.
func (m *Ledger) Repaired(r ledger.Repair) { m.repaired.WithLabelValues(string(r)).Inc() }

func (m *Ledger) collectors() []prometheus.Collector {
	return append(m.collections.all(), m.writes, m.rejected, m.requests, m.changes, m.duration, m.repaired)
}

// Describe implements prometheus.Collector.
func (m *Ledger) Describe(out chan<- *prometheus.Desc) {
	for _, c := range m.collectors() {
		c.Describe(out)
	}
}

// Collect implements prometheus.Collector.
func (m *Ledger) Collect(out chan<- prometheus.Metric) {
	for _, c := range m.collectors() {
		c.Collect(out)
	}
}
