package report

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestPlotIsWellFormedAndWithinItsFrame(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]Plot{
		"two curves": {Title: "a < b & c", X: "size", Y: "ms", Curves: []Curve{
			{"first", []Point{{100, 0.5}, {9750, 0.7}}}, {"second", []Point{{100, 3}, {9750, 2}}},
		}},
		"one point": {Curves: []Curve{{"only", []Point{{1, 1}}}}},
		"no point":  {Curves: []Curve{{"none", nil}}},
		"zeros":     {Curves: []Curve{{"flat", []Point{{0, 0}, {0, 0}}}}},
	} {
		var b strings.Builder
		if err := p.WriteSVG(&b); err != nil {
			t.Fatal(err)
		}
		points := 0
		for d := xml.NewDecoder(strings.NewReader(b.String())); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v in\n%s", name, err, &b)
			}
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "circle" {
				points++
			}
		}
		want := 0
		for _, c := range p.Curves {
			want += len(c.Points)
		}
		if points != want {
			t.Errorf("%s: %d points are drawn, want %d", name, points, want)
		}
		if s := b.String(); strings.Contains(s, "NaN") || strings.Contains(s, "Inf") || strings.Contains(s, `"-`) {
			t.Errorf("%s: draws outside of its frame:\n%s", name, s)
		}
	}
}

func TestAxesHaveRoundSteps(t *testing.T) {
	t.Parallel()
	for most, want := range map[float64]float64{10: 2, 9750: 2000, 20000: 5000, 0.7: 0.2, 1: 0.2, 3: 1, 0: 1} {
		if got := step(most); got < want*0.999 || got > want*1.001 {
			t.Errorf("step(%v) = %v, want %v", most, got, want)
		}
	}
}
