package main

import (
	"strings"
	"testing"
	"time"
)

// An empty --at, as of a variable that is not set, does not mean now.
func TestEmptyMomentIsRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"get", "--at", ""}, {"get", "web", "--at="}, {"backup", "--to", "nowhere", "--at", ""}, {"restore", "--from", "nowhere", "--at", ""},
	} {
		got := gsq(t, []string{"GSQ_SERVER=http://127.0.0.1:1"}, "", args...)
		if got.code != exitUsage || !strings.Contains(got.err, "--at is given, but empty") {
			t.Errorf("%q: code %d, error %q", args, got.code, got.err)
		}
	}
}

func TestMoments(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("", 2*60*60)
	now := time.Date(2026, 3, 1, 14, 30, 0, 0, zone)
	for text, want := range map[string]string{
		"r1":                             "r1",
		"r120":                           "r120",
		"14:00":                          "2026-03-01T12:00:00Z",
		"14:30":                          "2026-03-01T12:30:00Z",
		"14:30:01":                       "2026-02-28T12:30:01Z",
		"23:59:59.5":                     "2026-02-28T21:59:59.5Z",
		"00:00":                          "2026-02-28T22:00:00Z",
		"2026-05-04T14:00":               "2026-05-04T12:00:00Z",
		"2026-05-04 14:00":               "2026-05-04T12:00:00Z",
		"2026-05-04T14:00:00.25":         "2026-05-04T12:00:00.25Z",
		"2026-05-04 14:00:01":            "2026-05-04T12:00:01Z",
		"2026-05-04T14:00:00Z":           "2026-05-04T14:00:00Z",
		"2026-05-04T14:00:00.000001Z":    "2026-05-04T14:00:00.000001Z",
		"2026-05-04T14:00:00-05:00":      "2026-05-04T19:00:00Z",
		"2026-05-04T14:00:00.5+05:30":    "2026-05-04T08:30:00.5Z",
		"9999-12-31T23:59:59.999999999Z": "9999-12-31T23:59:59.999999999Z",
	} {
		if got, err := parseMoment(text, now); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", "r0", "r", "r-1", "r01", "R1", "12", "25:00", "14", "14:60", "14:00Z", "yesterday", "2026-05-04", "2026-02-30T14:00",
		"2026-05-04T14:00Z", "04.05.2026", "latest", "v1785585722000000", "1785585722", "-1h", " 14:00",
	} {
		if got, err := parseMoment(text, now); err == nil || !strings.Contains(err.Error(), "a revision (r12)") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

// In the night when clocks go forward, a day has 23 hours.
func TestTheLastTimeOfDayAcrossAChangeOfClocks(t *testing.T) {
	t.Parallel()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 29, 12, 0, 0, 0, zone)
	for text, want := range map[string]string{
		"13:00": "2026-03-28T12:00:00Z", // it was winter
		"11:00": "2026-03-29T09:00:00Z", // it is summer
	} {
		if got, err := parseMoment(text, now); err != nil || got != want {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}
