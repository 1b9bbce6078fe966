package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"gitops-squared.io/gsq/bench/report"
)

const megabyte = 1e6

func (s *session) measureMemory(ctx context.Context, m setting) ([]report.Row, error) {
	g, total, err := s.grownFull(ctx)
	if err != nil {
		return nil, err
	}
	bytes := 0
	for i := range total {
		namespace, resource := spread(g.namespaces, i)
		_, data, err := manifest(namespace, resource, 0)
		if err != nil {
			return nil, err
		}
		bytes += len(data)
	}
	baseline := func(context.Context, int) (float64, error) { return float64(bytes) / megabyte, nil }
	n := s.sizes.updates
	var heap []float64
	product := func(ctx context.Context, round int) (float64, error) {
		list, err := g.many.updates(g.namespaces, 0, n, 1+round)
		if err != nil {
			return 0, err
		}
		if _, err := g.many.update(ctx, list); err != nil {
			return 0, err
		}
		select {
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-time.After(time.Duration(s.sizes.settle) * time.Second):
		}
		inUse, err := g.many.product.Metric(ctx, "go_memstats_heap_inuse_bytes")
		if err != nil {
			return 0, err
		}
		heap = append(heap, inUse/megabyte)
		resident, err := g.many.product.Metric(ctx, "process_resident_memory_bytes")
		return resident / megabyte, err
	}
	b, got, err := s.inTurn(ctx, baseline, product)
	if err == nil {
		err = s.heapProfile(ctx, g.many, m.id)
	}
	return []report.Row{{
		ID: m.id, Measure: fmt.Sprintf("resident memory with %d resources, %d s after %d updates", total, s.sizes.settle, n),
		Unit:     report.Megabytes,
		Baseline: report.NewSeries("bytes of the manifests", b),
		Product:  report.NewSeries("resident", got),
		Goal:     &report.Goal{AtMost: 10, Plus: 60},
		Notes:    []string{fmt.Sprintf("of the resident memory, Go's heap in use is %s", report.Megabytes.Text(report.Median(heap)))},
	}}, err
}

// claimWait is what the log says before a start waits for writes of an earlier
// holder of the writer claim.
var claimWait = regexp.MustCompile(`msg="writer claim put;[^\n]* wait=(\S+)`)

func (s *session) measureRestart(ctx context.Context, m setting) ([]report.Row, error) {
	g, total, err := s.grownFull(ctx)
	if err != nil {
		return nil, err
	}
	p := g.many
	repositories := []string{p.layout.System()}
	for _, namespace := range g.namespaces {
		repositories = append(repositories, p.layout.Catalog(namespace))
	}
	received := int64(0)
	baseline := func(ctx context.Context, _ int) (float64, error) {
		received = 0
		if err := p.connect(ctx); err != nil {
			return 0, err
		}
		started := time.Now()
		for _, repository := range repositories {
			n, err := p.registry.Pull(ctx, repository, "latest")
			if err != nil {
				return 0, err
			}
			received += n
		}
		return milliseconds(time.Since(started)), nil
	}
	var waited time.Duration
	product := func(ctx context.Context, _ int) (float64, error) {
		before := len(p.server.Log())
		if err := p.server.Stop(); err != nil {
			return 0, err
		}
		took, err := p.start(ctx)
		if err != nil {
			return 0, err
		}
		waited = 0
		if found := claimWait.FindStringSubmatch(p.server.Log()[before:]); found != nil {
			if waited, err = time.ParseDuration(strings.Trim(found[1], `"`)); err != nil {
				return 0, err
			}
		}
		return milliseconds(took - waited), nil
	}
	b, got, err := s.inTurn(ctx, baseline, s.profiledStart(p, m.id, product))
	row := report.Row{
		ID: m.id, Measure: fmt.Sprintf("restart to ready with %d resources in %d namespaces, from the start of the process", total, len(g.namespaces)),
		Unit:     report.Milliseconds,
		Baseline: report.NewSeries("one raw pull of the same bytes, verified and unpacked, over kept connections", b),
		Product:  report.NewSeries("restart", got),
		Goal:     &report.Goal{AtMost: 5},
		Notes:    []string{fmt.Sprintf("the raw pull received %d bytes", received)},
	}
	if waited > 0 {
		row.Notes = append(row.Notes, fmt.Sprintf("the start waited %s more for the writer claim to settle, which is not counted", waited))
	}
	return []report.Row{row}, err
}
