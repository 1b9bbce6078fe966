package server

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gitops-squared.io/gsq/internal/ledger"
)

// metrics are what /metrics shows.
type metrics struct {
	registry *prometheus.Registry
	inFlight prometheus.Gauge
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(l Ledger, version string, more []prometheus.Collector) (*metrics, error) {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gsq_http_requests_in_flight", Help: "Requests that are being answered.",
		}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gsq_http_requests_total", Help: "Requests that were answered.",
		}, []string{"route", "method", "code"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gsq_http_request_duration_seconds", Help: "How long the answers took.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route", "method"}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "gsq_build_info", Help: "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	})
	build.Set(1)
	all := append([]prometheus.Collector{
		m.inFlight, m.requests, m.duration, build, newLedgerCollector(l),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}, more...)
	for _, c := range all {
		if err := m.registry.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Timeout: 10 * time.Second, MaxRequestsInFlight: 16})
}

// observe counts an answer. That of a stream took as long as its client liked.
func (m *metrics) observe(route, method string, status int, took time.Duration, stream bool) {
	method = knownMethod(method)
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	if stream {
		return
	}
	m.duration.WithLabelValues(route, method).Observe(took.Seconds())
}

// knownMethod keeps callers from making up label values.
func knownMethod(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}

// ledgerCollector reads the ledger's state when it is asked.
type ledgerCollector struct {
	ledger     Ledger
	ready      *prometheus.Desc
	namespaces *prometheus.Desc
	resources  *prometheus.Desc
	revision   *prometheus.Desc
	refusing   *prometheus.Desc
	superseded *prometheus.Desc
	waiting    *prometheus.Desc
	oldest     *prometheus.Desc
}

func newLedgerCollector(l Ledger) *ledgerCollector {
	namespace := []string{"namespace"}
	return &ledgerCollector{
		ledger:     l,
		ready:      prometheus.NewDesc("gsq_ledger_ready", "1 when the ledger is loaded and may write.", nil, nil),
		namespaces: prometheus.NewDesc("gsq_namespaces", "Namespaces by state.", []string{"state"}, nil),
		resources:  prometheus.NewDesc("gsq_resources", "Live resources.", namespace, nil),
		revision:   prometheus.NewDesc("gsq_catalog_revision", "Number of the present revision.", namespace, nil),
		refusing:   prometheus.NewDesc("gsq_namespace_refuses_writes", "1 when the namespace has a problem.", namespace, nil),
		superseded: prometheus.NewDesc("gsq_ledger_superseded", "1 when another ledger has claimed the prefix.", nil, nil),
		waiting:    prometheus.NewDesc("gsq_queue_length", "Write requests that are not answered yet.", namespace, nil),
		oldest:     prometheus.NewDesc("gsq_queue_oldest_age_seconds", "Age of the oldest of them; 0 when there is none.", namespace, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *ledgerCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.ready, c.namespaces, c.resources, c.revision, c.refusing, c.superseded, c.waiting, c.oldest} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *ledgerCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	notReady := c.ledger.Ready()
	gauge(c.ready, flag(notReady == nil))
	var reason *ledger.Error
	gauge(c.superseded, flag(errors.As(notReady, &reason) && reason.Code == ledger.CodeSuperseded))
	list, err := c.ledger.Namespaces()
	if err != nil {
		return // not loaded yet: gsq_ledger_ready says so
	}
	states := map[string]int{"creating": 0, "active": 0, "deleted": 0}
	for _, n := range list {
		states[string(n.State)]++
		gauge(c.refusing, flag(n.Problem != ""), n.Name)
		gauge(c.waiting, float64(n.Waiting), n.Name)
		gauge(c.oldest, age(n.WaitingSince), n.Name)
		if n.Revision.Number > 0 {
			gauge(c.resources, float64(n.Resources), n.Name)
			gauge(c.revision, float64(n.Revision.Number), n.Name)
		}
	}
	for state, count := range states {
		gauge(c.namespaces, float64(count), state)
	}
}

// age returns the seconds since then, 0 if that is no time.
func age(then time.Time) float64 {
	if then.IsZero() {
		return 0
	}
	return max(0, time.Since(then).Seconds())
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
