package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// mark is what a collection keeps, and where it looks for what it does not.
type mark struct {
	thinned int64                  // the last revision that may go
	oldest  intent.Version         // when the oldest kept one was committed: what is younger stays
	kept    map[digest.Digest]bool // older versions that kept revisions have, or name
	names   map[string]bool        // resources to look at: those that are not live may have versions left
	upTo    int64                  // the head's number when it was made
}

// mark reads the kept revisions. Everything that they have stays: the versions
// in their catalogs, and those that their changes made, tombstones included.
func (r *collection) mark(ctx context.Context, thinned int64) (*mark, error) {
	now := r.ns.state.Load()
	m := &mark{thinned: thinned, kept: map[digest.Digest]bool{}, names: map[string]bool{}, upTo: now.Revision.Number}
	oldest, err := r.l.ListAt(ctx, r.ns.name, thinned+1)
	if err != nil {
		return nil, err
	}
	m.oldest = intent.Version(oldest.Revision.Time.UnixMicro())
	for _, s := range []Snapshot{oldest, now.Snapshot} {
		m.keep(s)
		for _, e := range s.Entries {
			m.names[e.Name] = true
		}
	}
	if r.running, err = r.l.runningRevisions(ctx, r.ns.name); err != nil {
		return nil, err
	}
	for d := range r.running.digests {
		s, err := r.catalog(ctx, d)
		if err != nil {
			return nil, err
		}
		m.keep(s)
	}
	// Names of resources that were deleted before are known from the last
	// collection, or in the records of everything before.
	pending, from := r.ns.leftovers.of()
	for name := range pending {
		m.names[name] = true
	}
	err = r.records(ctx, min(thinned+1, from+1), func(c Commit) error {
		for _, change := range c.Changes {
			m.names[change.Name] = true
			if c.Revision.Number <= thinned || change.After == nil {
				continue
			}
			v, err := intent.ParseVersion(change.After.Version)
			if err != nil {
				return fmt.Errorf("revision %d of namespace %s: %w: %w", c.Revision.Number, r.ns.name, err, errDamaged)
			}
			if v < m.oldest {
				m.kept[change.After.Digest] = true
			}
		}
		return nil
	})
	return m, err
}

func (m *mark) keep(s Snapshot) {
	for _, e := range s.Entries {
		if e.Version < m.oldest {
			m.kept[e.Digest] = true
		}
	}
}

// catalog reads a revision's content by its digest: nothing if the registry
// does not have it.
func (r *collection) catalog(ctx context.Context, d digest.Digest) (Snapshot, error) {
	a, err := get(ctx, r.l.o.Registry, r.ns.chain.repo, d.String())
	if errors.Is(err, registry.ErrNotFound) {
		return Snapshot{}, nil
	}
	if err != nil {
		return Snapshot{}, fmt.Errorf("reading what a cluster runs: %w", err)
	}
	rev, err := r.ns.chain.unpack(a)
	if err != nil {
		return Snapshot{}, nil // none of ours: the take-over's r0
	}
	s, err := readState(r.l.layout, r.ns.name, rev)
	if err != nil {
		return Snapshot{}, fmt.Errorf("%w: %w", err, errDamaged)
	}
	return s.Snapshot, nil
}

// sorted returns the names to look at.
func (m *mark) sorted() []string { return slices.Sorted(maps.Keys(m.names)) }

// leftovers are what a namespace's last complete collection left: deleted
// resources that have versions. They spare the next one the records of
// everything before.
type leftovers struct {
	mu    sync.Mutex
	names map[string]bool
	upTo  int64 // the records that need not be read again
}

// maxLeftovers bounds what is remembered.
const maxLeftovers = 100_000

func (l *leftovers) of() (names map[string]bool, upTo int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.names, l.upTo
}

func (l *leftovers) set(names map[string]bool, upTo int64) {
	if len(names) > maxLeftovers {
		names, upTo = nil, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names, l.upTo = names, upTo
}

// reused are the versions that commits have brought back since a collection's
// mark.
type reused struct {
	mu      sync.Mutex
	closed  bool
	digests map[digest.Digest]bool
}

// add notes what a commit brought back. It returns false when the collection
// has ended.
func (r *reused) add(changes []artifact.RecordChange) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range changes {
		if Operation(c.Operation) == RolledBack && c.After != nil && !r.closed {
			if r.digests == nil {
				r.digests = map[digest.Digest]bool{}
			}
			r.digests[c.After.Digest] = true
		}
	}
	return !r.closed
}

func (r *reused) has(d digest.Digest) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.digests[d]
}

func (r *reused) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed, r.digests = true, nil
}
