// Package report holds what was measured, judges it by the goals, and prints it:
// as a table, as JSON, as a page of the documentation, as plots.
package report

import (
	"fmt"
	"slices"
)

// Series is one quantity as it was measured in each round.
type Series struct {
	What   string    `json:"what"`
	Rounds []float64 `json:"rounds"`
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
}

// NewSeries returns a series with its median and its bounds, which are 0 when
// nothing was measured.
func NewSeries(what string, rounds []float64) Series {
	s := Series{What: what, Rounds: rounds, Median: Median(rounds)}
	if len(rounds) > 0 {
		s.Min, s.Max = slices.Min(rounds), slices.Max(rounds)
	}
	return s
}

// Median returns the middle value, the mean of the two middle ones if their
// number is even, and 0 if there are none. It leaves the values in their order.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Unit says what a row's values count.
type Unit string

// The units.
const (
	PerSecond    Unit = "/s"
	Milliseconds Unit = "ms"
	Megabytes    Unit = "MB" // of a million bytes

	MegabytesPerSecond Unit = "MB/s"
)

// Text is a value with three digits or more, and its unit.
func (u Unit) Text(v float64) string { return number(v) + joint(u) + string(u) }

func joint(u Unit) string {
	if u == PerSecond {
		return ""
	}
	return " "
}

func number(v float64) string {
	switch {
	case v >= 1000:
		return thousands(int64(v + 0.5))
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// thousands writes 12,345.
func thousands(n int64) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return thousands(n/1000) + fmt.Sprintf(",%03d", n%1000)
}
