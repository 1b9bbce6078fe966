package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
)

// Outcomes of a collection, as a label.
const (
	collectedOK          = "ok"
	collectedInterrupted = "interrupted" // the server stopped
	collectedUnsupported = "unsupported" // the registry does not delete
	collectedFailed      = "failed"
)

// collections are the metrics of what is deleted of the history.
type collections struct {
	runs    *prometheus.CounterVec
	deleted *prometheus.CounterVec
	bytes   prometheus.Counter
	freed   prometheus.Counter
	last    prometheus.Gauge
}

func newCollections() collections {
	m := collections{
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gsq_gc_runs_total", Help: "Collections of a namespace's history that have ended, dry runs excluded.",
		}, []string{"outcome"}),
		deleted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gsq_gc_deleted_total", Help: "Manifests that collections deleted.",
		}, []string{"kind"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gsq_gc_deleted_bytes_total", Help: "Bytes of the manifests that collections deleted and of what they name; what several name counts for each.",
		}),
		freed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gsq_gc_freed_bytes_total", Help: "Bytes of content that the registry freed at the end of collections; none if it does that by means of its own.",
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gsq_gc_last_success_timestamp_seconds", Help: "When the last collection ended that succeeded, in Unix seconds; 0 if none has.",
		}),
	}
	for _, outcome := range []string{collectedOK, collectedInterrupted, collectedUnsupported, collectedFailed} {
		m.runs.WithLabelValues(outcome)
	}
	for _, kind := range []string{"revision", "version", "referrer"} {
		m.deleted.WithLabelValues(kind)
	}
	return m
}

func (m *collections) all() []prometheus.Collector {
	return []prometheus.Collector{m.runs, m.deleted, m.bytes, m.freed, m.last}
}

// Collected implements ledger.Observer.
func (m *collections) Collected(c ledger.Collection) {
	outcome := collectedOK
	if c.Err != nil {
		switch c.Err.Code {
		case ledger.CodeNotReady:
			outcome = collectedInterrupted
		case ledger.CodeUnsupported:
			outcome = collectedUnsupported
		default:
			outcome = collectedFailed
		}
	}
	m.runs.WithLabelValues(outcome).Inc()
	m.deleted.WithLabelValues("revision").Add(float64(c.Revisions))
	m.deleted.WithLabelValues("version").Add(float64(c.Versions))
	m.deleted.WithLabelValues("referrer").Add(float64(c.Referrers))
	m.bytes.Add(float64(c.Bytes))
	if c.Err == nil {
		m.last.Set(float64(c.Ended.Unix()))
	}
}

// Freed implements ledger.Observer.
func (m *collections) Freed(f registry.Freed) { m.freed.Add(float64(f.Bytes)) }
