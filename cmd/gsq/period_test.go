package main

import "testing"

func TestPeriods(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		seconds int64
		again   string
	}{
		"0": {0, "0"}, "0s": {0, "0"}, "90s": {90, "1m30s"}, "30d": {30 * 86400, "30d"}, "2w": {14 * 86400, "14d"},
		"1d12h": {36 * 3600, "1d12h"}, "36h": {36 * 3600, "1d12h"}, "1w1d1h1m1s": {8*86400 + 3661, "8d1h1m1s"}, "36500d": {36500 * 86400, "36500d"},
	} {
		p, err := parsePeriod(text)
		if err != nil || p.seconds != want.seconds || p.String() != want.again {
			t.Errorf("%s: %d s, %s (%v), want %+v", text, p.seconds, p, err, want)
		}
	}
	for _, text := range []string{"", "30", "d", "-1d", "1.5h", "1 d", "1y", "36501d", "99999999999999999999d", "36500d1s", "1D"} {
		if p, err := parsePeriod(text); err == nil {
			t.Errorf("%q is read as %v", text, p)
		}
	}
}

func FuzzPeriod(f *testing.F) {
	for _, text := range []string{"0", "30d", "1w2d3h4m5s", "x", "9999999999w"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePeriod(text)
		if err != nil {
			return
		}
		if again, err := parsePeriod(p.String()); err != nil || again != p {
			t.Errorf("%q is %v, which is %v (%v)", text, p, again, err)
		}
	})
}
