package main

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"time"

	"gitops-squared.io/gsq/bench/drive"
	"gitops-squared.io/gsq/bench/report"
)

// session measures one target.
type session struct {
	target      string // targetEmbedded, targetDistribution or "registry"
	registryURL string // of the target "registry"
	run         string // a name for this run
	dir         string // everything lies below it
	sizes       sizes
	only        *regexp.Regexp // of the rows' ids
	profiles    string         // folder for profiles; empty without
	log         io.Writer      // what happens, for who waits
	client      *drive.Client

	places []*place          // all that are open
	shared map[string]*place // by durability: the one for rows that need nothing special
	grown  *grown            // nil until it is needed
	old    *old              // likewise
	plots  []report.Plot
}

// measure is a part of the program: one row or a few that belong together.
type measure struct {
	id       string
	durable  bool // is measured again with --durability none
	embedded bool // does not depend on the registry: measured on the embedded one alone
	run      func(s *session, ctx context.Context, m setting) ([]report.Row, error)
}

// setting is how a measure is run.
type setting struct {
	id         string // target/measure
	durability string
}

func measures() []measure {
	return []measure{
		{id: "creates", durable: true, run: (*session).measureCreates},
		{id: "updates", durable: true, run: (*session).measureUpdates},
		{id: "write", durable: true, run: (*session).measureWrite},
		{id: "apply", durable: true, run: (*session).measureApply},
		{id: "growth", run: (*session).measureGrowth},
		{id: "memory", run: (*session).measureMemory},
		{id: "restart", run: (*session).measureRestart},
		{id: "revisions", run: (*session).measureRevisions},
		{id: "history", run: (*session).measureHistory},
		{id: "travel", run: (*session).measureTravel},
		{id: "fsck", run: (*session).measureFsck},
		{id: "backup", run: (*session).measureBackup},
		{id: "get", embedded: true, run: (*session).measureGet},
		{id: "list", embedded: true, run: (*session).measureList},
	}
}

// measureAll runs every measure that was chosen. What fails becomes a row that
// says so; the others go on.
func (s *session) measureAll(ctx context.Context) []report.Row {
	var rows []report.Row
	s.shared = map[string]*place{}
	for _, m := range measures() {
		id := s.target + "/" + m.id
		if m.embedded && s.target != targetEmbedded || s.only != nil && !s.only.MatchString(id) {
			continue
		}
		rows = append(rows, s.measureOne(ctx, m, setting{id, durabilityCommit})...)
		if m.durable && s.target == targetEmbedded {
			rows = append(rows, s.measureOne(ctx, m, setting{id + "/none", durabilityNone})...)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return rows
}

func (s *session) measureOne(ctx context.Context, m measure, how setting) []report.Row {
	started := time.Now()
	rows, err := m.run(s, ctx, how)
	if err != nil {
		rows = []report.Row{{ID: how.id, Measure: m.id, Error: err.Error()}}
	}
	for i := range rows {
		r := &rows[i]
		r.Target = s.target
		if s.target == targetEmbedded {
			r.Durability = how.durability
		}
		if how.durability == durabilityNone { // shown for comparison
			r.Goal = nil
			r.Measure += ", with --durability none"
		}
		r.Judge()
	}
	fmt.Fprintf(s.log, "%s: %.1f s\n", how.id, time.Since(started).Seconds())
	return rows
}

// place returns the place that rows share which leave no trace that others
// would notice.
func (s *session) place(ctx context.Context, durability string) (*place, error) {
	if p := s.shared[durability]; p != nil {
		return p, nil
	}
	p, err := s.open(ctx, "shared-"+durability, durability)
	if err != nil {
		return nil, err
	}
	s.shared[durability] = p
	return p, nil
}

// embeddedOr picks a goal by the registry.
func (s *session) embeddedOr(embedded, other report.Goal) *report.Goal {
	if s.target == targetEmbedded {
		return &embedded
	}
	return &other
}

// reading measures something once.
type reading func(ctx context.Context, round int) (float64, error)

// inTurn measures the baseline and the product in turn, as often as there are
// rounds.
func (s *session) inTurn(ctx context.Context, baseline, product reading) (b, p []float64, err error) {
	return inTurn(ctx, s.sizes.rounds, baseline, product)
}

func inTurn(ctx context.Context, rounds int, baseline, product reading) (b, p []float64, err error) {
	for round := range rounds {
		for _, side := range []struct {
			read reading
			into *[]float64
		}{{baseline, &b}, {product, &p}} {
			v, err := side.read(ctx, round)
			if err != nil {
				return nil, nil, err
			}
			*side.into = append(*side.into, v)
		}
	}
	return b, p, nil
}
