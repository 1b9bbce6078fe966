package server

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// defaultStreams bounds the event streams that are open at once, unless the
// operator says otherwise: each costs about 30 KiB and a file descriptor.
const defaultStreams = 1000

// streams counts the event streams. It is safe for concurrent use.
type streams struct {
	most int
	open prometheus.Gauge
	sent prometheus.Counter
	// large has room for each event that is large and being written.
	large chan struct{}

	mu    sync.Mutex
	count int
	ended chan struct{} // closed when all are to end
}

func newStreams(most int) *streams {
	return &streams{
		most: most, large: make(chan struct{}, largeEvents), ended: make(chan struct{}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gsq_event_streams", Help: "Event streams that are open.",
		}),
		sent: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gsq_events_sent_total", Help: "Events that were written to event streams.",
		}),
	}
}

// take counts another stream, which must be given back. It returns false if
// there are as many as there may be, or if all are to end.
func (s *streams) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count >= s.most || s.over() {
		return false
	}
	s.count++
	s.open.Inc()
	return true
}

func (s *streams) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count--
	s.open.Dec()
}

// end ends all streams and lets no other begin. It may be called again.
func (s *streams) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.over() {
		close(s.ended)
	}
}

func (s *streams) over() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

func (s *streams) collectors() []prometheus.Collector {
	return []prometheus.Collector{s.open, s.sent}
}
