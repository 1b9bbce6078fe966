package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gitops-squared.io/gsq/internal/artifact"
)

// period is a length of time that policies speak of, in whole seconds, as a
// flag's value: 30d, 12h, 1w2d. Days have 24 hours.
type period struct{ seconds int64 }

var (
	periodText = regexp.MustCompile(`^([0-9]+[wdhms])+$`)
	periodPart = regexp.MustCompile(`([0-9]+)([wdhms])`)
)

var periodUnits = []struct {
	letter  string
	seconds int64
}{{"w", 7 * 24 * 3600}, {"d", 24 * 3600}, {"h", 3600}, {"m", 60}, {"s", 1}}

// parsePeriod reads a number of weeks, days, hours, minutes or seconds, or
// several of them; 0 needs no unit.
func parsePeriod(text string) (period, error) {
	if text == "0" {
		return period{}, nil
	}
	if !periodText.MatchString(text) {
		return period{}, fmt.Errorf("%q is no length of time; write numbers with w, d, h, m or s, as in 30d or 1d12h", text)
	}
	var total int64
	for _, part := range periodPart.FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseInt(part[1], 10, 64)
		for _, u := range periodUnits {
			if u.letter != part[2] {
				continue
			}
			if err != nil || n > artifact.MaxRetentionSeconds/u.seconds {
				return period{}, fmt.Errorf("%q is longer than a hundred years", text)
			}
			total += n * u.seconds
		}
		if total > artifact.MaxRetentionSeconds {
			return period{}, fmt.Errorf("%q is longer than a hundred years", text)
		}
	}
	return period{total}, nil
}

// String writes what parsePeriod reads: days are the largest unit.
func (p period) String() string {
	var b strings.Builder
	rest := p.seconds
	for _, u := range periodUnits[1:] {
		if n := rest / u.seconds; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.letter)
			rest %= u.seconds
		}
	}
	if b.Len() == 0 {
		return "0"
	}
	return b.String()
}

// Set implements pflag.Value.
func (p *period) Set(text string) (err error) {
	*p, err = parsePeriod(text)
	return err
}

// Type names the value in the help.
func (p *period) Type() string { return "time" }
