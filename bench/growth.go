package main

import (
	"context"
	"fmt"

	"gitops-squared.io/gsq/bench/report"
)

// grown is a server with few resources and one with many, each over the same
// number of namespaces.
type grown struct {
	few, many  *place
	namespaces []string
	held       int   // resources in many
	broken     error // not nil: what the servers hold is unknown
}

// growth returns the two servers: the one with many resources holds nothing
// yet when it is asked for the first time.
func (s *session) growth(ctx context.Context) (*grown, error) {
	if s.grown != nil {
		return s.grown, s.grown.broken
	}
	g := &grown{}
	for i := range s.sizes.namespaces {
		g.namespaces = append(g.namespaces, fmt.Sprintf("shard-%d", i+1))
	}
	var err error
	if g.few, err = s.open(ctx, "few", durabilityCommit); err != nil {
		return nil, err
	}
	if err := g.few.fill(ctx, g.namespaces, 0, s.sizes.few); err != nil {
		return nil, err
	}
	if g.many, err = s.open(ctx, "many", durabilityCommit); err != nil {
		return nil, err
	}
	s.grown = g
	return g, nil
}

// fillTo makes the larger server hold that many resources.
func (g *grown) fillTo(ctx context.Context, total int) error {
	if total <= g.held {
		return nil
	}
	if err := g.many.fill(ctx, g.namespaces, g.held, total-g.held); err != nil {
		return err
	}
	g.held = total
	return nil
}

// creating measures creates of n resources beyond the first held ones, and
// deletes them again.
func (p *place) creating(namespaces []string, held, n int) reading {
	return func(ctx context.Context, _ int) (float64, error) {
		list, err := p.creates(namespaces, held, n, 0)
		if err != nil {
			return 0, err
		}
		took, err := p.create(ctx, list)
		if err != nil {
			return 0, err
		}
		return rate(n, took), p.empty(ctx, namespaces, held, n)
	}
}

// pushing measures raw pushes of as many artifacts.
func (p *place) pushing(n int) reading {
	return func(ctx context.Context, _ int) (float64, error) {
		list, err := p.pushes(p.namespace("raw-growth"), 0, n, 0)
		if err != nil {
			return 0, err
		}
		took, err := p.push(ctx, list)
		return rate(n, took), err
	}
}

// cost is the time of one in milliseconds, from a series of rates.
func cost(rates []float64) float64 { return 1000 / report.Median(rates) }

func (s *session) measureGrowth(ctx context.Context, m setting) (rows []report.Row, err error) {
	g, err := s.growth(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			g.broken = fmt.Errorf("what was written before it failed cannot be measured: %w", err)
		}
	}()
	n, few := s.sizes.grown, s.sizes.few
	small, creates, raw := g.few.creating(g.namespaces, few, n), report.Curve{Name: "a create"}, report.Curve{Name: "a raw push"}
	b, got, err := inTurn(ctx, s.sizes.points, g.few.pushing(n), small)
	if err != nil {
		return nil, err
	}
	add := func(size int, pushed, created []float64) {
		x := float64(size + n/2)
		raw.Points = append(raw.Points, report.Point{X: x, Y: cost(pushed)})
		creates.Points = append(creates.Points, report.Point{X: x, Y: cost(created)})
	}
	add(few, b, got)
	for _, step := range s.sizes.steps {
		if err := g.fillTo(ctx, step); err != nil {
			return nil, err
		}
		b, got, err := inTurn(ctx, s.sizes.points, g.many.pushing(n), g.many.creating(g.namespaces, g.held, n))
		if err != nil {
			return nil, err
		}
		add(step, b, got)
	}
	s.plots = append(s.plots, report.Plot{
		Name:  s.target + "-resources",
		Title: fmt.Sprintf("Cost of a create against resources (%s registry, %d namespaces)", s.target, len(g.namespaces)),
		X:     fmt.Sprintf("resources in %d namespaces", len(g.namespaces)), Y: "milliseconds each, many clients at a time",
		Curves: []report.Curve{creates, raw},
	})
	b, got, err = s.inTurn(ctx, small, s.profiled(g.many, m.id, g.many.creating(g.namespaces, g.held, n)))
	return []report.Row{{
		ID: m.id, Measure: fmt.Sprintf("creates a second: the last %d of %d resources in %d namespaces, by %d clients", n, g.held+n, len(g.namespaces), callers),
		Unit:     report.PerSecond,
		Baseline: report.NewSeries(fmt.Sprintf("%d creates from %d resources on, on another server", n, few), b),
		Product:  report.NewSeries("creates", got),
		Goal:     &report.Goal{AtLeast: 0.8},
	}}, err
}

// grownFull is growth with all resources there.
func (s *session) grownFull(ctx context.Context) (*grown, int, error) {
	g, err := s.growth(ctx)
	if err != nil {
		return nil, 0, err
	}
	total := s.sizes.steps[len(s.sizes.steps)-1] + s.sizes.grown
	return g, total, g.fillTo(ctx, total)
}
