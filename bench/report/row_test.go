package report

import "testing"

func TestJudge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		baseline, product []float64
		goal              *Goal
		ratio             float64
		verdict           string
	}{
		"at least, met":       {[]float64{100}, []float64{150}, &Goal{AtLeast: 1.5}, 1.5, "met"},
		"at least, missed":    {[]float64{100}, []float64{149}, &Goal{AtLeast: 1.5}, 1.49, "not met"},
		"at most, met":        {[]float64{10}, []float64{25}, &Goal{AtMost: 2.5}, 2.5, "met"},
		"at most, missed":     {[]float64{10}, []float64{26}, &Goal{AtMost: 2.5}, 2.6, "not met"},
		"plus, met":           {[]float64{4}, []float64{100}, &Goal{AtMost: 10, Plus: 60}, 25, "met"},
		"plus, missed":        {[]float64{4}, []float64{104}, &Goal{AtMost: 10, Plus: 60}, 26, "not met"},
		"without a goal":      {[]float64{4}, []float64{8}, nil, 2, ""},
		"rounds are compared": {[]float64{10, 100, 1000}, []float64{20, 200, 3000}, &Goal{AtLeast: 2}, 2, "met"},
		"nothing measured":    {nil, nil, &Goal{AtMost: 2}, 0, "not met"},
		"no baseline":         {[]float64{0}, []float64{5}, &Goal{AtLeast: 1}, 0, "not met"},
	} {
		r := Row{Baseline: NewSeries("b", c.baseline), Product: NewSeries("p", c.product), Goal: c.goal}
		r.Judge()
		if r.Ratio != c.ratio || r.verdict() != c.verdict {
			t.Errorf("%s: ratio %v, %q; want %v, %q", name, r.Ratio, r.verdict(), c.ratio, c.verdict)
		}
	}
}

func TestAFailedRowIsNeverMet(t *testing.T) {
	t.Parallel()
	r := Row{Baseline: NewSeries("b", []float64{1}), Product: NewSeries("p", []float64{9}), Goal: &Goal{AtLeast: 1}, Error: "answered 500"}
	r.Judge()
	if r.Met || r.verdict() != "failed" || r.spread(r.Product) != "" || r.ratio() != "" {
		t.Errorf("%+v is %q", r, r.verdict())
	}
}
