package main

import (
	"context"
	"fmt"
	"net/http"

	"gitops-squared.io/gsq/bench/drive"
	"gitops-squared.io/gsq/bench/report"
)

// old is a namespace with a number of revisions.
type old struct {
	*place
	namespace []string // the one
	set       int      // resources in it
	edition   int
}

// aged opens a server with a namespace of few resources.
func (s *session) aged(ctx context.Context, name string) (*old, error) {
	p, err := s.open(ctx, name, durabilityCommit)
	if err != nil {
		return nil, err
	}
	o := &old{place: p, namespace: []string{"aged"}, set: s.sizes.revisionSet}
	return o, p.fill(ctx, o.namespace, 0, o.set)
}

// oldOne returns the server whose namespace gets the most revisions. It has few
// of them when it is asked for the first time.
func (s *session) oldOne(ctx context.Context) (*old, error) {
	if s.old == nil {
		o, err := s.aged(ctx, "old")
		if err != nil {
			return nil, err
		}
		s.old = o
	}
	return s.old, nil
}

// oldest returns it with all of its revisions.
func (s *session) oldest(ctx context.Context) (*old, error) {
	o, err := s.oldOne(ctx)
	if err != nil {
		return nil, err
	}
	return o, o.ageTo(ctx, s.sizes.oldSteps[len(s.sizes.oldSteps)-1])
}

// ageTo updates resources one after the other until the namespace has that
// many revisions.
func (o *old) ageTo(ctx context.Context, revisions int) error {
	present, err := o.product.Revision(ctx, o.namespace[0])
	if err != nil {
		return err
	}
	for range int64(revisions) - present {
		o.edition++
		one, err := o.updates(o.namespace, o.edition%o.set, 1, o.edition)
		if err != nil {
			return err
		}
		if err := o.product.Update(ctx, one[0]); err != nil {
			return err
		}
	}
	return nil
}

// latest measures reads of the catalog's latest, by many clients.
func (o *old) latest(n int) reading {
	return func(ctx context.Context, _ int) (float64, error) {
		r := o.registry.ManifestRequest(o.layout.Catalog(o.namespace[0]), "latest")
		a, err := o.registry.Send(ctx, r, http.StatusOK)
		if err != nil {
			return 0, err
		}
		if err := o.connect(ctx); err != nil {
			return 0, err
		}
		took, err := drive.Fan(ctx, callers, n, func(ctx context.Context, _ int) error {
			return o.registry.Fetch(ctx, r, int64(len(a.Body)))
		})
		return rate(n, took), err
	}
}

func (s *session) measureRevisions(ctx context.Context, m setting) ([]report.Row, error) {
	n, reads, few := s.sizes.oldGrown, s.sizes.latest, s.sizes.oldFew
	young, err := s.aged(ctx, "young")
	if err != nil {
		return nil, err
	}
	if err := young.ageTo(ctx, few); err != nil {
		return nil, err
	}
	o, err := s.oldOne(ctx)
	if err != nil {
		return nil, err
	}
	creates, raw := report.Curve{Name: "a create"}, report.Curve{Name: "a raw push"}
	revisions := 0
	for _, step := range append([]int{few}, s.sizes.oldSteps...) {
		revisions = step
		if err := o.ageTo(ctx, step); err != nil {
			return nil, err
		}
		b, got, err := inTurn(ctx, s.sizes.points, o.pushing(n), o.creating(o.namespace, o.set, n))
		if err != nil {
			return nil, err
		}
		raw.Points = append(raw.Points, report.Point{X: float64(step), Y: cost(b)})
		creates.Points = append(creates.Points, report.Point{X: float64(step), Y: cost(got)})
	}
	s.plots = append(s.plots, report.Plot{
		Name:  s.target + "-revisions",
		Title: fmt.Sprintf("Cost of a create against revisions (%s registry, one namespace)", s.target),
		X:     "revisions of the namespace", Y: "milliseconds each, many clients at a time",
		Curves: []report.Curve{creates, raw},
	})
	b, got, err := s.inTurn(ctx, young.creating(young.namespace, young.set, n),
		s.profiled(o.place, m.id, o.creating(o.namespace, o.set, n)))
	if err != nil {
		return nil, err
	}
	rows := []report.Row{{
		ID: m.id, Measure: fmt.Sprintf("creates a second: %d, by %d clients, in a namespace with %d revisions", n, callers, revisions),
		Unit:     report.PerSecond,
		Baseline: report.NewSeries(fmt.Sprintf("with %d revisions, on another server", few), b),
		Product:  report.NewSeries("creates", got),
		Goal:     &report.Goal{AtLeast: 0.8},
	}}
	b, got, err = s.inTurn(ctx, young.latest(reads), s.profiled(o.place, m.id+"-latest", o.latest(reads)))
	return append(rows, report.Row{
		ID: m.id + "-latest", Measure: fmt.Sprintf("GET of the catalog's latest at /v2/ a second, by %d clients, with %d revisions", callers, revisions),
		Unit:     report.PerSecond,
		Baseline: report.NewSeries(fmt.Sprintf("with %d revisions, on another server", few), b),
		Product:  report.NewSeries("reads", got),
		Goal:     &report.Goal{AtLeast: 0.8},
	}), err
}
