package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"gitops-squared.io/gsq/bench/report"
)

// Baseline and product are measured in turn, and the first error ends it.
func TestInTurn(t *testing.T) {
	t.Parallel()
	s := &session{sizes: sizes{rounds: 3}}
	var order []string
	side := func(name string, value float64) reading {
		return func(_ context.Context, round int) (float64, error) {
			order = append(order, name)
			return value + float64(round), nil
		}
	}
	b, p, err := s.inTurn(t.Context(), side("baseline", 10), side("product", 20))
	if err != nil || !slices.Equal(b, []float64{10, 11, 12}) || !slices.Equal(p, []float64{20, 21, 22}) {
		t.Errorf("%v, %v, error %v", b, p, err)
	}
	if want := []string{"baseline", "product", "baseline", "product", "baseline", "product"}; !slices.Equal(order, want) {
		t.Errorf("measured in the order %q", order)
	}
	broken := errors.New("answered 500")
	fails := func(context.Context, int) (float64, error) { return 0, broken }
	if _, _, err := s.inTurn(t.Context(), side("baseline", 1), fails); !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

// A measure that fails gives a row that says so and meets no goal.
func TestAMeasureThatFails(t *testing.T) {
	t.Parallel()
	s := &session{target: targetEmbedded, log: io.Discard}
	m := measure{id: "creates", run: func(*session, context.Context, setting) ([]report.Row, error) {
		return []report.Row{{Goal: &report.Goal{AtLeast: 1}}}, errors.New("answered 503")
	}}
	rows := s.measureOne(t.Context(), m, setting{"embedded/creates", durabilityCommit})
	if len(rows) != 1 || rows[0].Error != "answered 503" || rows[0].Met || rows[0].ID != "embedded/creates" {
		t.Errorf("%+v", rows)
	}
}

// What is measured without durability is shown for comparison: no goal counts.
func TestRowsWithoutDurabilityHaveNoGoal(t *testing.T) {
	t.Parallel()
	s := &session{target: targetEmbedded, log: io.Discard}
	m := measure{id: "creates", run: func(*session, context.Context, setting) ([]report.Row, error) {
		return []report.Row{{Goal: &report.Goal{AtLeast: 1}, Baseline: report.NewSeries("b", []float64{1}), Product: report.NewSeries("p", []float64{2})}}, nil
	}}
	for durability, goal := range map[string]bool{durabilityCommit: true, durabilityNone: false} {
		r := s.measureOne(t.Context(), m, setting{"embedded/creates", durability})[0]
		if (r.Goal != nil) != goal || r.Met != goal || r.Ratio != 2 || r.Durability != durability {
			t.Errorf("%s: %+v", durability, r)
		}
	}
}

// A raw push takes the bytes that the product would store.
func TestPushesAreOfTheProductsArtifacts(t *testing.T) {
	t.Parallel()
	p := &place{raw: "raw"}
	list, err := p.pushes("shop", 5, 2, 1)
	if err != nil {
		t.Fatal(err)
	}
	one := list[1]
	if one.Repository != "raw/resources/shop/resource-000006" || len(one.Artifact.Blobs) != 2 || len(one.Tags) != 2 || one.Tags[1] != "latest" {
		t.Errorf("%+v", one)
	}
	_, want, err := manifest("shop", "resource-000006", 1)
	if err != nil || len(one.Artifact.Blobs[1].Data) != len(want) {
		t.Errorf("the layer is %q, want one like %q; error %v", one.Artifact.Blobs[1].Data, want, err)
	}
}

// Resources are spread evenly, and no two are the same.
func TestSpread(t *testing.T) {
	t.Parallel()
	namespaces := []string{"a", "b", "c"}
	seen, each := map[string]bool{}, map[string]int{}
	for i := range 30 {
		namespace, resource := spread(namespaces, i)
		seen[namespace+"/"+resource] = true
		each[namespace]++
	}
	if len(seen) != 30 || each["a"] != 10 || each["b"] != 10 || each["c"] != 10 {
		t.Errorf("%d different resources, %v", len(seen), each)
	}
	calls := applies(namespaces, 3, 6, 0, true)
	if len(calls) != 3 || !slices.Equal(calls["a"].Deletes, []string{"resource-000001", "resource-000002"}) || calls["a"].Resources == nil {
		t.Errorf("%+v", calls)
	}
}
