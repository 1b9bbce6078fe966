package report

import "testing"

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0}, {[]float64{7}, 7}, {[]float64{9, 1}, 5}, {[]float64{3, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}, {[]float64{5, 5, 1, 5}, 5},
	} {
		before := append([]float64(nil), c.values...)
		if got := Median(c.values); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.values, got, c.want)
		}
		for i := range before {
			if before[i] != c.values[i] {
				t.Errorf("Median changed the order of %v", before)
			}
		}
	}
}

func TestSeriesHasBounds(t *testing.T) {
	t.Parallel()
	if s := NewSeries("x", []float64{3, 1, 2}); s.Min != 1 || s.Max != 3 || s.Median != 2 {
		t.Errorf("%+v", s)
	}
	if s := NewSeries("x", nil); s.Min != 0 || s.Max != 0 || s.Median != 0 {
		t.Errorf("of nothing: %+v", s)
	}
}

func TestValuesAsText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		unit  Unit
		value float64
		want  string
	}{
		{PerSecond, 1234.6, "1,235/s"}, {PerSecond, 1234567, "1,234,567/s"}, {Milliseconds, 1.234, "1.23 ms"},
		{Milliseconds, 12.34, "12.3 ms"}, {Megabytes, 123.4, "123 MB"}, {Megabytes, 0, "0.00 MB"}, {PerSecond, 1002, "1,002/s"},
	} {
		if got := c.unit.Text(c.value); got != c.want {
			t.Errorf("%v %s = %q, want %q", c.value, c.unit, got, c.want)
		}
	}
}
