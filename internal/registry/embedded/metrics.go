package embedded

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"gitops-squared.io/gsq/internal/registry"
)

// Collector returns the metrics of the disk's room and of collections, for one registry of
// metrics. docs/metrics.md describes them.
func (s *Store) Collector() prometheus.Collector {
	return collector{
		space:     s.space,
		collected: s.collected,
		free:      prometheus.NewDesc("gsq_embedded_registry_free_bytes", "Bytes that are free on the embedded registry's file system, the reserve left out.", nil, nil),
		reserve:   prometheus.NewDesc("gsq_embedded_registry_reserve_bytes", "Bytes of the embedded registry's reserve; 0 when it is used up.", nil, nil),
		refuses:   prometheus.NewDesc("gsq_embedded_registry_refuses_writes", "1 when the embedded registry refuses new content because its disk is full.", nil, nil),

		collections:    prometheus.NewDesc("gsq_embedded_registry_collections_total", "Collections of what no manifest names.", nil, nil),
		collectedBytes: prometheus.NewDesc("gsq_embedded_registry_collected_bytes_total", "Bytes of content that collections have removed.", nil, nil),
		collectedBlobs: prometheus.NewDesc("gsq_embedded_registry_collected_blobs_total", "Blobs that collections have removed.", nil, nil),
	}
}

type collector struct {
	space                  *space
	free, reserve, refuses *prometheus.Desc

	collected                                   *collected
	collections, collectedBytes, collectedBlobs *prometheus.Desc
}

// collected is what all collections have removed.
type collected struct {
	collections, bytes, blobs atomic.Int64
}

func (c *collected) add(freed registry.Freed) {
	c.collections.Add(1)
	c.bytes.Add(freed.Bytes)
	c.blobs.Add(int64(freed.Blobs))
}

// Describe implements prometheus.Collector.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	to <- c.free
	to <- c.reserve
	to <- c.refuses
	to <- c.collections
	to <- c.collectedBytes
	to <- c.collectedBlobs
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
	to <- prometheus.MustNewConstMetric(c.collections, prometheus.CounterValue, float64(c.collected.collections.Load()))
	to <- prometheus.MustNewConstMetric(c.collectedBytes, prometheus.CounterValue, float64(c.collected.bytes.Load()))
	to <- prometheus.MustNewConstMetric(c.collectedBlobs, prometheus.CounterValue, float64(c.collected.blobs.Load()))
}
