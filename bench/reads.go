package main

import (
	"context"
	"fmt"
	"net/http"

	"gitops-squared.io/gsq/bench/drive"
	"gitops-squared.io/gsq/bench/report"
)

func (s *session) measureGet(ctx context.Context, m setting) ([]report.Row, error) {
	p, into, err := s.readable(ctx)
	if err != nil {
		return nil, err
	}
	var list []drive.Request
	for i := range s.sizes.full {
		list = append(list, p.product.GetRequest(into, name(i)))
	}
	b, got, err := s.reads(ctx, p, m.id, list, s.sizes.gets)
	return []report.Row{{
		ID: m.id, Measure: fmt.Sprintf("GET of one resource a second, by %d clients, of %d in the namespace", callers, s.sizes.full),
		Unit:     report.PerSecond,
		Baseline: report.NewSeries("net/http answering the same bytes", b),
		Product:  report.NewSeries("reads", got),
		Goal:     &report.Goal{AtLeast: 0.5},
	}}, err
}

func (s *session) measureList(ctx context.Context, m setting) ([]report.Row, error) {
	p, into, err := s.readable(ctx)
	if err != nil {
		return nil, err
	}
	b, got, err := s.reads(ctx, p, m.id, []drive.Request{p.product.GetRequest(into, "")}, s.sizes.lists)
	return []report.Row{{
		ID: m.id, Measure: fmt.Sprintf("lists of %d resources a second, by %d clients", s.sizes.full, callers),
		Unit:     report.PerSecond,
		Baseline: report.NewSeries("net/http answering the same bytes", b),
		Product:  report.NewSeries("lists", got),
		Goal:     &report.Goal{AtLeast: 0.5},
	}}, err
}

// readable returns a full namespace.
func (s *session) readable(ctx context.Context) (*place, string, error) {
	p, err := s.place(ctx, durabilityCommit)
	if err != nil {
		return nil, "", err
	}
	into := p.namespace("reads")
	return p, into, p.fill(ctx, []string{into}, 0, s.sizes.full)
}

// reads sends n of the requests to the product, and in turn to a bare server
// that gives the product's answers.
func (s *session) reads(ctx context.Context, p *place, id string, list []drive.Request, n int) (b, got []float64, err error) {
	answers := bareAnswers{}
	lengths := make([]int64, len(list))
	for i, r := range list {
		a, err := p.product.Send(ctx, r, http.StatusOK)
		if err != nil {
			return nil, nil, err
		}
		answers[r.URL[len(p.product.URL):]] = bareAnswer{a.Header, a.Body}
		lengths[i] = int64(len(a.Body))
	}
	bare, err := startBare(ctx, s.dir, answers)
	if err != nil {
		return nil, nil, err
	}
	defer bare.close()
	from := func(url string) reading {
		return func(ctx context.Context, _ int) (float64, error) {
			if err := p.connect(ctx); err != nil {
				return 0, err
			}
			get := func(ctx context.Context, i int) error {
				r := list[i%len(list)]
				r.URL = url + r.URL[len(p.product.URL):]
				return p.product.Fetch(ctx, r, lengths[i%len(list)])
			}
			if _, err := drive.Fan(ctx, callers, min(n, 2*callers), get); err != nil { // opens the connections
				return 0, err
			}
			took, err := drive.Fan(ctx, callers, n, get)
			return rate(n, took), err
		}
	}
	return s.inTurn(ctx, from(bare.url), s.profiled(p, id, from(p.product.URL)))
}
