package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"gitops-squared.io/gsq/bench/drive"
	"gitops-squared.io/gsq/e2e/cluster"
	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/e2e/spawn"
	"gitops-squared.io/gsq/internal/artifact"
)

// The targets that the program starts itself. Any other is a URL.
const (
	targetEmbedded     = "embedded"
	targetDistribution = "distribution"
)

// The values of gsq serve --durability.
const (
	durabilityCommit = "commit"
	durabilityNone   = "none"
)

// readyTimeout is far above what a start takes, the 15 s of a claim included.
const readyTimeout = 3 * time.Minute

// place is a gsq server and its registry, which nobody else uses unless it is
// one that was named.
type place struct {
	server       *gsq.Server
	distribution *cluster.Distribution // nil unless it was started for this place
	product      drive.Product
	registry     drive.Registry
	layout       artifact.Layout // of the product
	raw          string          // prefix of the repositories of raw pushes
	debug        string          // URL of the server's profiles; empty without
	used         int             // namespaces that were named so far
}

// open starts the registry, if it is ours to start, and a server on it, and
// waits until it is ready.
func (s *session) open(ctx context.Context, name, durability string) (*place, error) {
	p := &place{layout: artifact.Layout{Prefix: "gitops-squared"}, raw: "raw"}
	dir := filepath.Join(s.dir, s.target, name)
	options := gsq.Options{Dir: filepath.Join(dir, "gsq")}
	s.places = append(s.places, p)
	switch s.target {
	case targetEmbedded:
		options.Args = append(options.Args, "--durability", durability)
	case targetDistribution:
		d, err := cluster.StartDistribution(ctx, filepath.Join(dir, "distribution"))
		if err != nil {
			return nil, err
		}
		p.distribution = d
		options.Registry = "http://" + d.Host
	default:
		options.Registry = s.registryURL
		own := fmt.Sprintf("gsq-bench-%s-%s", s.run, name)
		p.layout.Prefix, p.raw = own, own+"-raw"
	}
	options.Args = append(options.Args, "--prefix", p.layout.Prefix)
	if s.profiles != "" {
		ports, err := spawn.Ports(1)
		if err != nil {
			return nil, err
		}
		options.Args = append(options.Args, "--debug-listen", spawn.Address(ports[0]))
		p.debug = "http://" + spawn.Address(ports[0]) + "/debug/pprof/"
	}
	server, err := gsq.New(options)
	if err != nil {
		return nil, err
	}
	p.server = server
	p.product = drive.Product{Client: s.client, URL: server.URL}
	p.registry = drive.Registry{Client: s.client, URL: server.URL}
	if options.Registry != "" {
		p.registry.URL = strings.TrimSuffix(options.Registry, "/")
		r, err := server.Run(ctx, "", "init", "--prefix", p.layout.Prefix)
		if err != nil {
			return nil, err
		}
		if r.Code != 0 {
			return nil, fmt.Errorf("gsq init: exit code %d: %s", r.Code, r.Stderr)
		}
	}
	_, err = p.start(ctx)
	return p, err
}

// start starts the server, which does not run, and returns how long it took
// from the start of the process until it was ready.
func (p *place) start(ctx context.Context) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	started := time.Now()
	if err := p.server.Start(); err != nil {
		return 0, err
	}
	for {
		err := p.product.Ready(ctx)
		if err == nil {
			return time.Since(started), nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("gsq serve is not ready: %w\n%s", err, p.server.LogTail(20))
		case <-time.After(time.Millisecond):
		}
	}
}

// close ends what open started.
func (p *place) close() error {
	if p.server != nil {
		p.server.Close()
	}
	if p.distribution != nil {
		return p.distribution.Stop()
	}
	return nil
}

// namespace returns a name that was not used in this place before.
func (p *place) namespace(what string) string {
	p.used++
	return fmt.Sprintf("%s-%d", what, p.used)
}

// closePlaces ends every server and registry.
func (s *session) closePlaces() error {
	var errs []error
	for _, p := range s.places {
		errs = append(errs, p.close())
	}
	s.places = nil
	return errors.Join(errs...)
}
