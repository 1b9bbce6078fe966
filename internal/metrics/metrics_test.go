package metrics_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// values returns what a collector exports: counters and gauges by name and
// labels, of histograms the count (…_count) and the sum (…_sum).
func values(t *testing.T, c prometheus.Collector) map[string]float64 {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := ""
			for _, l := range m.GetLabel() {
				labels += "," + l.GetValue()
			}
			if h := m.GetHistogram(); h != nil {
				all[f.GetName()+"_count"+labels] = float64(h.GetSampleCount())
				all[f.GetName()+"_sum"+labels] = h.GetSampleSum()
			} else {
				all[f.GetName()+labels] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return all
}

// moved compares what is not 0 with what should be.
func moved(t *testing.T, got, want map[string]float64) {
	t.Helper()
	for name, value := range got {
		if value != want[name] {
			t.Errorf("%s is %v, want %v", name, value, want[name])
		}
	}
	for name := range want {
		if _, ok := got[name]; !ok {
			t.Errorf("%s is not exported", name)
		}
	}
}
