package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/internal/artifact"
)

// momentForms is what parseMoment takes, for help and messages.
const momentForms = "a revision (r12), a time of day (14:00, of the last 24 hours), or a time (2026-05-04T14:00:00Z, or without a zone in the local one)"

// parseMoment reads a revision or a time as people write it, and returns what
// the API takes: r<number>, or RFC 3339 in UTC. A time of day is the last one
// that has been, today or yesterday. What names no zone is of now's.
func parseMoment(text string, now time.Time) (string, error) {
	if n, err := artifact.ParseRevisionTag(text); err == nil && n > 0 {
		return text, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return apiTime(t), nil
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return apiTime(t), nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return apiTime(lastTime(t, now)), nil
		}
	}
	return "", fmt.Errorf("%q is not %s", text, momentForms)
}

// givenMoment refuses a flag --at that is given, but empty, as when a variable is
// not set: it must not mean now.
func givenMoment(cmd *cobra.Command, at string) error {
	if at == "" && cmd.Flags().Changed("at") {
		return usagef("--at is given, but empty; it must be %s", momentForms)
	}
	return nil
}

// lastTime is the last moment, not after now, when clocks showed the time of
// day.
func lastTime(day, now time.Time) time.Time {
	year, month, date := now.Date()
	on := func(date int) time.Time {
		return time.Date(year, month, date, day.Hour(), day.Minute(), day.Second(), day.Nanosecond(), now.Location())
	}
	if today := on(date); !today.After(now) {
		return today
	}
	return on(date - 1)
}

func apiTime(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
