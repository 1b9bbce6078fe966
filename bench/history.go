package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gitops-squared.io/gsq/bench/drive"
	"gitops-squared.io/gsq/bench/report"
	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
)

// historyPage is how many versions a page asks for.
const historyPage = 50

// measureHistory measures one page of a resource's history. Each page is read
// for the first time: they go back in the history. The resources are changed in
// turn, so a page of one goes over all of their revisions.
func (s *session) measureHistory(ctx context.Context, m setting) ([]report.Row, error) {
	o, err := s.oldest(ctx)
	if err != nil {
		return nil, err
	}
	page := min(historyPage, s.sizes.historyPage)
	namespace, catalog := o.namespace[0], o.layout.Catalog(o.namespace[0])
	head, err := o.product.Revision(ctx, namespace)
	if err != nil {
		return nil, err
	}
	records := page * o.set
	if err := o.restart(ctx); err != nil { // what was read or written is forgotten
		return nil, err
	}
	baseline := func(ctx context.Context, round int) (float64, error) {
		if err := o.connect(ctx); err != nil {
			return 0, err
		}
		first := head - int64(round*records)
		took, err := drive.Fan(ctx, pushers, records, func(ctx context.Context, i int) error {
			return o.registry.ReadRecord(ctx, catalog, artifact.RevisionTag(max(1, first-int64(i))))
		})
		return milliseconds(took), err
	}
	next := ""
	product := func(ctx context.Context, round int) (float64, error) {
		if round > 0 && next == "" {
			return 0, errors.New("the history is at its end")
		}
		started := time.Now()
		n := 0
		for n < page {
			var entries int
			var err error
			if entries, next, err = o.product.Versions(ctx, namespace, name(0), page-n, next); err != nil {
				return 0, err
			}
			if n += entries; next == "" {
				break
			}
		}
		return milliseconds(time.Since(started)), nil
	}
	b, got, err := s.inTurn(ctx, baseline, s.profiled(o.place, m.id, product))
	return []report.Row{{
		ID: m.id, Measure: fmt.Sprintf("a page of %d versions of one resource, each page read for the first time, with %d revisions of %d resources", page, head, o.set),
		Unit:     report.Milliseconds,
		Baseline: report.NewSeries(fmt.Sprintf("raw reads of the %d records (manifest and config), %d at a time", records, pushers), b),
		Product:  report.NewSeries("pages", got),
	}}, err
}

// measureTravel measures lists of a moment that was not asked for before.
func (s *session) measureTravel(ctx context.Context, m setting) ([]report.Row, error) {
	o, err := s.oldest(ctx)
	if err != nil {
		return nil, err
	}
	namespace, catalog := o.namespace[0], o.layout.Catalog(o.namespace[0])
	head, err := o.product.Revision(ctx, namespace)
	if err != nil {
		return nil, err
	}
	// Moments all over the history, in an order in which no two are neighbours.
	const stride = 7919
	n, step := s.sizes.travels, 0
	var numbers []int64
	var moments []string
	for range n * s.sizes.rounds {
		step += stride
		number := 1 + int64(step)%head
		at, err := o.product.RevisionTime(ctx, namespace, number)
		if err != nil {
			return nil, err
		}
		numbers = append(numbers, number)
		moments = append(moments, intent.FormatTime(at))
	}
	if err := o.restart(ctx); err != nil { // what was just read is forgotten
		return nil, err
	}
	baseline := func(ctx context.Context, round int) (float64, error) {
		return median(n, func(i int) error {
			_, err := o.registry.Pull(ctx, catalog, artifact.RevisionTag(numbers[round*n+i]))
			return err
		})
	}
	product := func(ctx context.Context, round int) (float64, error) {
		return median(n, func(i int) error {
			list, err := o.product.ListAt(ctx, namespace, moments[round*n+i])
			if want := numbers[round*n+i]; err == nil && list.Revision.Number != want {
				err = fmt.Errorf("at %s: revision %d, want %d", moments[round*n+i], list.Revision.Number, want)
			}
			return err
		})
	}
	b, got, err := s.inTurn(ctx, baseline, s.profiled(o.place, m.id, product))
	return []report.Row{{
		ID: m.id, Measure: fmt.Sprintf("the list of a namespace at a moment, p50 of %d moments of %d revisions, one client", n, head),
		Unit:     report.Milliseconds,
		Baseline: report.NewSeries("a raw pull of the same catalog by its tag, p50", b),
		Product:  report.NewSeries("lists", got),
	}}, err
}

// restart stops the server and starts it again.
func (p *place) restart(ctx context.Context) error {
	if err := p.server.Stop(); err != nil {
		return err
	}
	_, err := p.start(ctx)
	return err
}
