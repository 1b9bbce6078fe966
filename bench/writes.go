package main

import (
	"context"
	"fmt"
	"time"

	"gitops-squared.io/gsq/bench/drive"
	"gitops-squared.io/gsq/bench/report"
)

func (s *session) measureCreates(ctx context.Context, m setting) ([]report.Row, error) {
	p, err := s.place(ctx, m.durability)
	if err != nil {
		return nil, err
	}
	n := s.sizes.creates
	baseline := func(ctx context.Context, _ int) (float64, error) {
		list, err := p.pushes(p.namespace("raw-creates"), 0, n, 0)
		if err != nil {
			return 0, err
		}
		took, err := p.push(ctx, list)
		return rate(n, took), err
	}
	product := func(ctx context.Context, _ int) (float64, error) {
		into := []string{p.namespace("creates")}
		list, err := p.creates(into, 1, n, 0)
		if err != nil {
			return 0, err
		}
		if err := p.fill(ctx, into, 0, 1); err != nil { // creates the namespace
			return 0, err
		}
		took, err := p.create(ctx, list)
		return rate(n, took), err
	}
	b, got, err := s.inTurn(ctx, baseline, s.profiled(p, m.id, product))
	return []report.Row{{
		ID: m.id, Measure: fmt.Sprintf("creates a second: %d, by %d clients, into one namespace", n, callers),
		Unit:     report.PerSecond,
		Baseline: report.NewSeries(fmt.Sprintf("raw pushes into new repositories, by %d clients", pushers), b),
		Product:  report.NewSeries("creates", got),
		Goal:     s.embeddedOr(report.Goal{AtLeast: 1.5}, report.Goal{AtLeast: 0.6}),
	}}, err
}

func (s *session) measureUpdates(ctx context.Context, m setting) ([]report.Row, error) {
	p, err := s.place(ctx, m.durability)
	if err != nil {
		return nil, err
	}
	full, n := s.sizes.full, s.sizes.updates
	into, raw := []string{p.namespace("updates")}, p.namespace("raw-updates")
	if err := p.fill(ctx, into, 0, full); err != nil {
		return nil, err
	}
	existing, err := p.pushes(raw, 0, n, 0)
	if err != nil {
		return nil, err
	}
	if _, err := p.push(ctx, existing); err != nil {
		return nil, err
	}
	baseline := func(ctx context.Context, round int) (float64, error) {
		list, err := p.pushes(raw, 0, n, 1+round)
		if err != nil {
			return 0, err
		}
		took, err := p.push(ctx, list)
		return rate(n, took), err
	}
	product := func(ctx context.Context, round int) (float64, error) {
		list, err := p.updates(into, 0, n, 1+round)
		if err != nil {
			return 0, err
		}
		took, err := p.update(ctx, list)
		return rate(n, took), err
	}
	b, got, err := s.inTurn(ctx, baseline, s.profiled(p, m.id, product))
	return []report.Row{{
		ID: m.id, Measure: fmt.Sprintf("updates a second: %d, by %d clients, in a namespace of %d resources", n, callers, full),
		Unit:     report.PerSecond,
		Baseline: report.NewSeries(fmt.Sprintf("raw pushes into existing repositories, by %d clients", pushers), b),
		Product:  report.NewSeries("updates", got),
		Goal:     s.embeddedOr(report.Goal{AtLeast: 1}, report.Goal{AtLeast: 0.6}),
	}}, err
}

func (s *session) measureWrite(ctx context.Context, m setting) ([]report.Row, error) {
	p, err := s.place(ctx, m.durability)
	if err != nil {
		return nil, err
	}
	settled, n := s.sizes.settled, s.sizes.writes
	into, raw := []string{p.namespace("writes")}, p.namespace("raw-writes")
	if err := p.fill(ctx, into, 0, settled); err != nil {
		return nil, err
	}
	edition := 0
	baseline := func(ctx context.Context, _ int) (float64, error) {
		var list []drive.Push
		for i := range n { // one at a time: a later edition each time round
			edition++
			one, err := p.pushes(raw, i%settled, 1, edition)
			if err != nil {
				return 0, err
			}
			list = append(list, one...)
		}
		return median(n, func(i int) error { return p.registry.Push(ctx, list[i]) })
	}
	product := func(ctx context.Context, _ int) (float64, error) {
		var list []drive.Request
		for i := range n {
			edition++
			one, err := p.updates(into, i%settled, 1, edition)
			if err != nil {
				return 0, err
			}
			list = append(list, one...)
		}
		return median(n, func(i int) error { return p.product.Update(ctx, list[i]) })
	}
	b, got, err := s.inTurn(ctx, baseline, s.profiled(p, m.id, product))
	return []report.Row{{
		ID: m.id, Measure: fmt.Sprintf("one write of one client, p50 of %d updates in a namespace of %d resources", n, settled),
		Unit:     report.Milliseconds,
		Baseline: report.NewSeries("one raw push of one client, p50", b),
		Product:  report.NewSeries("updates", got),
		Goal:     &report.Goal{AtMost: 2.5},
	}}, err
}

// median does something n times, one after the other, and returns the median
// of the times in milliseconds.
func median(n int, do func(i int) error) (float64, error) {
	times := make([]float64, n)
	for i := range times {
		started := time.Now()
		if err := do(i); err != nil {
			return 0, err
		}
		times[i] = milliseconds(time.Since(started))
	}
	return report.Median(times), nil
}

func (s *session) measureApply(ctx context.Context, m setting) ([]report.Row, error) {
	p, err := s.place(ctx, m.durability)
	if err != nil {
		return nil, err
	}
	n := s.sizes.full
	baseline := func(ctx context.Context, _ int) (float64, error) {
		list, err := p.pushes(p.namespace("raw-apply"), 0, n, 0)
		if err != nil {
			return 0, err
		}
		took, err := p.push(ctx, list)
		return milliseconds(took), err
	}
	product := func(ctx context.Context, _ int) (float64, error) {
		into := p.namespace("apply")
		r, err := p.product.ApplyRequest(into, applies([]string{into}, 0, n, 0, false)[into])
		if err != nil {
			return 0, err
		}
		started := time.Now()
		err = p.product.Apply(ctx, r, n)
		return milliseconds(time.Since(started)), err
	}
	b, got, err := s.inTurn(ctx, baseline, s.profiled(p, m.id, product))
	return []report.Row{{
		ID: m.id, Measure: fmt.Sprintf("apply of %d new resources in one call, into a new namespace", n),
		Unit:     report.Milliseconds,
		Baseline: report.NewSeries(fmt.Sprintf("%d raw pushes, by %d clients", n, pushers), b),
		Product:  report.NewSeries("apply", got),
		Goal:     &report.Goal{AtMost: 1.3},
	}}, err
}
