package soak_test

import (
	"context"
	"testing"
	"time"

	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/e2e/load"
)

// Like the test of this name in package e2e, with many times the load.
func TestKilledUnderLoad(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		s := start(t, "")
		killed(t, s, s.Host, load.Options{
			Server: s, Namespaces: namespaces(6), Writers: 256, Writes: 100, Resources: 20, Kills: 60, Seed: 1,
		})
	})
	t.Run("distribution", func(t *testing.T) {
		d := distribution(t)
		s := start(t, d.Host)
		killed(t, s, d.Host, load.Options{
			Server: s, Namespaces: namespaces(4), Writers: 32, Writes: 100, Resources: 20, Kills: 20, Seed: 2,
		})
	})
}

func killed(t *testing.T, s *gsq.Server, host string, o load.Options) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	report, err := load.Run(ctx, o)
	t.Log(report)
	if err != nil {
		t.Fatal(err)
	}
	ready(t, s)
	check(t, host, report)
}
