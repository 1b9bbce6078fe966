package embedded

import "github.com/prometheus/client_golang/prometheus"

// Collector returns the metrics of the disk's room, for one registry of
// metrics. docs/metrics.md describes them.
func (s *Store) Collector() prometheus.Collector {
	return collector{
		space:   s.space,
		free:    prometheus.NewDesc("gsq_embedded_registry_free_bytes", "Bytes that are free on the embedded registry's file system, the reserve left out.", nil, nil),
		reserve: prometheus.NewDesc("gsq_embedded_registry_reserve_bytes", "Bytes of the embedded registry's reserve; 0 when it is used up.", nil, nil),
		refuses: prometheus.NewDesc("gsq_embedded_registry_refuses_writes", "1 when the embedded registry refuses new content because its disk is full.", nil, nil),
	}
}

type collector struct {
	space                  *space
	free, reserve, refuses *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	to <- c.free
	to <- c.reserve
	to <- c.refuses
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	free, reserve, full := c.space.state()
	refuses := 0.0
	if full {
		refuses = 1
	}
	to <- prometheus.MustNewConstMetric(c.free, prometheus.GaugeValue, float64(free))
	to <- prometheus.MustNewConstMetric(c.reserve, prometheus.GaugeValue, float64(reserve))
	to <- prometheus.MustNewConstMetric(c.refuses, prometheus.GaugeValue, refuses)
}
