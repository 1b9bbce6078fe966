// Package fsck re-reads everything that a ledger wrote, through the seam to the
// registry alone, hashes every byte again and compares all of it: chains of
// revisions, their records with their layers, artifacts and tags of resources,
// checkpoints, deployment records. It trusts no server and writes nothing.
//
// A ledger may write meanwhile. The head is read first and checked up to; what
// looks wrong is read again at the end, when what was under way has landed,
// before it is reported.
package fsck

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// Options of a check. Registry and Prefix are required.
type Options struct {
	Registry registry.Registry
	Prefix   string // of all repositories, without a slash at the end

	// Namespace, unless empty, is the only one that is checked, besides the
	// system catalog.
	Namespace string

	// Since limits what is read in depth (layers, resource artifacts,
	// deployment records) to revisions from that moment on. The chains'
	// manifests and records are verified wholly in any case.
	Since time.Time

	Requests   int           // at once; default 16
	Namespaces int           // checked at once; default 4
	Memory     int64         // bytes of blobs read ahead, over all namespaces; default 256 MiB
	Timeout    time.Duration // of one request; default 30 s

	// Patience is how long something that looks wrong may be a write under way:
	// it is read again after that time. Default 5 s.
	Patience time.Duration
	// Pauses are waited between the repetitions of a request that the registry
	// did not answer; after the last one the check ends. Default 0.2, 1 and 3 s.
	Pauses []time.Duration

	// Found, unless nil, is called for every finding, one after the other.
	Found func(Finding)
	// Progress, unless nil, is called now and then, from one goroutine at a time.
	Progress func(Summary)
}

// MaxFindings is where a check ends early: whatever is wrong, it is everywhere.
const MaxFindings = 10_000

// Summary says what was read and found so far.
type Summary struct {
	Namespaces      int   `json:"namespaces"`      // checked, deleted ones included
	OfNamespaces    int   `json:"ofNamespaces"`    // to be checked
	Revisions       int64 `json:"revisions"`       // of all chains, those in checkpoints included
	Thinned         int64 `json:"thinned"`         // …of them, kept in checkpoints alone
	Versions        int64 `json:"versions"`        // of resources, whose artifacts were read
	ThinnedVersions int64 `json:"thinnedVersions"` // that records of thinned revisions name and that are gone
	Deployments     int64 `json:"deployments"`     // deployment records
	Bytes           int64 `json:"bytes"`           // read and hashed
	Requests        int64 `json:"requests"`
	Errors          int   `json:"errors"`
	Warnings        int   `json:"warnings"`
	Infos           int   `json:"infos"`
	Truncated       bool  `json:"truncated,omitempty"` // it ended at MaxFindings
}

// Clean reports whether nothing is wrong; what is only worth knowing does not
// count.
func (s Summary) Clean() bool { return s.Errors == 0 && s.Warnings == 0 }

// ErrNotInitialised says that there is no system catalog under the prefix.
var ErrNotInitialised = errors.New("there is no system catalog")

func (o Options) complete() (Options, error) {
	if o.Registry == nil || o.Prefix == "" {
		return o, errors.New("fsck: registry and prefix are required")
	}
	if o.Namespace != "" && !intent.IsLabel(o.Namespace) {
		return o, fmt.Errorf("%q is not the name of a namespace", o.Namespace)
	}
	fill := func(n *int, otherwise int) {
		if *n <= 0 {
			*n = otherwise
		}
	}
	fill(&o.Requests, 16)
	fill(&o.Namespaces, 4)
	if o.Memory <= 0 {
		o.Memory = 256 << 20
	}
	o.Memory = max(o.Memory, registry.MaxBlobBytes+artifact.MaxRecordBytes)
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	if o.Pauses == nil {
		o.Pauses = []time.Duration{200 * time.Millisecond, time.Second, 3 * time.Second}
	}
	return o, nil
}

// Run checks everything. The findings are told as they are certain. An error
// means that the check did not come to its end, so that nothing can be said of
// what was not read: the registry does not answer, or refuses, or ctx ended.
func Run(ctx context.Context, o Options) (Summary, error) {
	o, err := o.complete()
	if err != nil {
		return Summary{}, err
	}
	r := &run{
		o: o, layout: artifact.Layout{Prefix: o.Prefix},
		reader: &reader{registry: o.Registry, slots: make(chan struct{}, o.Requests), timeout: o.Timeout, pauses: o.Pauses},
		memory: semaphore.NewWeighted(o.Memory),
	}
	if !o.Since.IsZero() {
		r.since = intent.FormatTime(o.Since)
	}
	err = r.everything(ctx)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return r.summary(), err
}

// run is one check.
type run struct {
	o      Options
	layout artifact.Layout
	reader *reader
	memory *semaphore.Weighted
	since  string // as records have times; empty: from the beginning
	claim  claim
	found  collector
	counts counts
}

func (r *run) everything(ctx context.Context) error {
	stop := r.tellProgress()
	defer stop()
	if err := r.readClaim(ctx); err != nil {
		return err
	}
	system := newSystemReplay(r)
	sys := r.newChain("", r.layout.System(), artifact.ScopeSystem, artifact.TypeSystemConfig, artifact.TypeSystem, system)
	if err := sys.check(ctx); err != nil {
		return err
	}
	if sys.head.number == 0 && len(sys.tags.revisions) == 0 {
		return fmt.Errorf("%s: %w; is the prefix right, and was the registry initialised?", r.layout.System(), ErrNotInitialised)
	}
	names := system.names()
	if o := r.o.Namespace; o != "" {
		if !slices.Contains(names, o) {
			return fmt.Errorf("the system catalog never named a namespace %s", o)
		}
		names = []string{o}
	}
	r.counts.ofNamespaces.Store(int64(len(names)))
	// Before the namespaces: what a record names was committed before it.
	deployed, err := r.deployments(ctx, system.clusters())
	if err != nil {
		return err
	}
	outer := ctx
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(r.o.Namespaces)
	for _, name := range names {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			err := r.namespace(ctx, name, system.state(name), deployed.of(name))
			r.counts.namespaces.Add(1)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := deployed.strange(r, names); err != nil {
		return err
	}
	return r.confirm(outer)
}
