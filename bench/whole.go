package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"gitops-squared.io/gsq/bench/drive"
	"gitops-squared.io/gsq/bench/report"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/toolbox"
)

// wholeRounds bounds the rounds of what reads everything.
const wholeRounds = 3

// named is one tag of a repository.
type named struct{ repository, tag string }

// contents returns every tag of everything that the old namespace's history
// consists of.
func (o *old) contents(ctx context.Context) ([]named, error) {
	repositories := []string{o.layout.System(), o.layout.Catalog("default"), o.layout.Catalog(o.namespace[0])}
	for i := range o.set {
		repositories = append(repositories, o.layout.Resource(intent.Ref{Namespace: o.namespace[0], Name: name(i)}))
	}
	var all []named
	for _, repository := range repositories {
		tags, err := o.registry.Tags(ctx, repository)
		if err != nil {
			return nil, err
		}
		for _, tag := range tags {
			all = append(all, named{repository, tag})
		}
	}
	return all, nil
}

// run runs a gsq command against the place's registry. It must succeed.
func (p *place) run(ctx context.Context, args ...string) error {
	r, err := p.server.Run(ctx, "", append(args, "--registry", p.registry.URL, "--prefix", p.layout.Prefix)...)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("gsq %s: exit code %d: %s%s", args[0], r.Code, r.Stdout, r.Stderr)
	}
	return err
}

func (s *session) measureFsck(ctx context.Context, m setting) ([]report.Row, error) {
	o, err := s.oldest(ctx)
	if err != nil {
		return nil, err
	}
	all, err := o.contents(ctx)
	if err != nil {
		return nil, err
	}
	var bytes atomic.Int64
	baseline := func(ctx context.Context, _ int) (float64, error) {
		bytes.Store(0)
		if err := o.connect(ctx); err != nil {
			return 0, err
		}
		took, err := drive.Fan(ctx, pushers, len(all), func(ctx context.Context, i int) error {
			n, err := o.registry.Read(ctx, all[i].repository, all[i].tag)
			bytes.Add(n)
			return err
		})
		return float64(bytes.Load()) / megabyte / took.Seconds(), err
	}
	product := func(ctx context.Context, _ int) (float64, error) {
		started := time.Now()
		err := o.run(ctx, "fsck")
		return float64(bytes.Load()) / megabyte / time.Since(started).Seconds(), err
	}
	b, got, err := inTurn(ctx, min(wholeRounds, s.sizes.rounds), baseline, product)
	return []report.Row{{
		ID: m.id, Measure: fmt.Sprintf("gsq fsck of a history with %d tags", len(all)),
		Unit:     report.MegabytesPerSecond,
		Baseline: report.NewSeries(fmt.Sprintf("raw reads of the same bytes (a manifest and its blobs for each tag), %d at a time", pushers), b),
		Product:  report.NewSeries("fsck, of the same bytes", got),
	}}, err
}

// measureBackup copies a history of its own: the tool that it is compared with
// is run once for each tag.
func (s *session) measureBackup(ctx context.Context, m setting) ([]report.Row, error) {
	oras, err := toolbox.Find("oras")
	if err != nil {
		return nil, err
	}
	o, err := s.aged(ctx, "copied")
	if err != nil {
		return nil, err
	}
	if err := o.ageTo(ctx, s.sizes.copied); err != nil {
		return nil, err
	}
	all, err := o.contents(ctx)
	if err != nil {
		return nil, err
	}
	host, err := url.Parse(o.registry.URL)
	if err != nil {
		return nil, err
	}
	perRepository := map[string][]string{}
	var repositories []string
	for _, n := range all {
		if perRepository[n.repository] == nil {
			repositories = append(repositories, n.repository)
		}
		perRepository[n.repository] = append(perRepository[n.repository], n.tag)
	}
	into := func(round int, what string) string {
		return filepath.Join(s.dir, s.target, fmt.Sprintf("copy-%s-%d", what, round))
	}
	baseline := func(ctx context.Context, round int) (float64, error) {
		dir := into(round, "oras")
		defer os.RemoveAll(dir)
		took, err := drive.Fan(ctx, copiers, len(repositories), func(ctx context.Context, i int) error {
			repository := repositories[i]
			for _, tag := range perRepository[repository] {
				out, err := exec.CommandContext(ctx, oras, "cp", "-r", "--from-plain-http", "--to-oci-layout",
					host.Host+"/"+repository+":"+tag, filepath.Join(dir, repository)+":"+tag).CombinedOutput()
				if err != nil {
					return fmt.Errorf("oras cp of %s:%s: %w: %s", repository, tag, err, out)
				}
			}
			return nil
		})
		return milliseconds(took), err
	}
	product := func(ctx context.Context, round int) (float64, error) {
		dir := into(round, "gsq")
		defer os.RemoveAll(dir)
		started := time.Now()
		err := o.run(ctx, "backup", "--to", dir)
		return milliseconds(time.Since(started)), err
	}
	b, got, err := inTurn(ctx, min(wholeRounds, s.sizes.rounds), baseline, product)
	return []report.Row{{
		ID: m.id, Measure: fmt.Sprintf("gsq backup of %d tags in %d repositories into a folder", len(all), len(repositories)),
		Unit:     report.Milliseconds,
		Baseline: report.NewSeries(fmt.Sprintf("oras cp -r of each tag into the same layouts, %d repositories at a time", copiers), b),
		Product:  report.NewSeries("backup", got),
		Goal:     &report.Goal{AtMost: 1},
		Notes:    []string{"oras is started once for each tag, which is most of its time"},
	}}, err
}
