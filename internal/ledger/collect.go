package ledger

import (
	"context"
	"errors"
	"sync"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// Collection is what a collection of a namespace's history did, or, if it was
// a dry run, would do.
type Collection struct {
	Namespace string
	DryRun    bool
	Policy    artifact.Retention // what counted
	Began     time.Time
	Ended     time.Time // zero while it runs

	// Thinned is the last revision of which only manifest and record are kept,
	// in a checkpoint; 0 if there is none.
	Thinned int64

	Revisions int   // deleted
	Versions  int   // deleted, of resources; tombstones included
	Referrers int   // deleted with them: signatures, attestations
	Bytes     int64 // of the deleted manifests and what they name; what several name counts for each
	InUse     int   // thinned revisions that stay because a cluster runs them

	// Freed is what the registry freed, nil unless it frees space while it is
	// in use. It frees what nothing names any more, whoever deleted it.
	Freed *registry.Freed

	// Err is why it ended early; what it did until then is done. CodeUnsupported
	// if the registry does not delete.
	Err *Error
}

// modes are the two kinds of collections that a namespace can have at a time.
const (
	modeReal = iota
	modeDry
	modes
)

func modeOf(dryRun bool) int {
	if dryRun {
		return modeDry
	}
	return modeReal
}

// collections are a namespace's: of each mode, the one that runs, or the last
// one.
type collections struct {
	mu    sync.Mutex
	last  [modes]Collection
	ended [modes]chan struct{} // closed at the end of the one that runs; nil if none does
}

// Collect thins a namespace's history to what its retention keeps and deletes
// what is out of reach then, or says what that would be. It joins the
// collection that runs already. It returns what was done when that ended, or so
// far when ctx ends before: the collection goes on, and Collection tells.
func (l *Ledger) Collect(ctx context.Context, namespace string, dryRun bool) (Collection, error) {
	if err := l.Ready(); err != nil {
		return Collection{}, err
	}
	ns, err := l.namespace(namespace)
	if err != nil {
		return Collection{}, err
	}
	ended, err := l.beginCollection(ns, dryRun, true)
	if err != nil {
		return Collection{}, err
	}
	select {
	case <-ended:
	case <-ctx.Done():
	}
	return ns.collections.of(dryRun), nil
}

// Collection returns the collection that runs, or the last one of this process.
// CodeNotFound if there was none.
func (l *Ledger) Collection(namespace string, dryRun bool) (Collection, error) {
	ns, err := l.namespace(namespace)
	if err != nil {
		return Collection{}, err
	}
	c := ns.collections.of(dryRun)
	if c.Began.IsZero() {
		return Collection{}, fail(CodeNotFound, nil, "namespace %s has had no collection since the server started", namespace)
	}
	return c, nil
}

func (c *collections) of(dryRun bool) Collection {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[modeOf(dryRun)]
}

// beginCollection begins a collection unless one runs. free says whether the
// registry is to free space at its end. It returns what is closed at the end.
func (l *Ledger) beginCollection(ns *namespace, dryRun, free bool) (<-chan struct{}, error) {
	l.mu.RLock()
	defer l.mu.RUnlock() // so that none begins once the ledger is closed
	if l.closed {
		return nil, errStopping()
	}
	c, mode := &ns.collections, modeOf(dryRun)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended[mode] != nil {
		return c.ended[mode], nil
	}
	ended := make(chan struct{})
	c.ended[mode] = ended
	c.last[mode] = Collection{
		Namespace: ns.name, DryRun: dryRun, Began: l.o.Now().UTC(),
		Policy: l.effective(l.system.content.Load().Namespaces[ns.name].Retention),
	}
	r := &collection{ns: ns, l: l, policy: c.last[mode].Policy, dryRun: dryRun, free: free}
	quiet := l.quiet
	l.watchers.Go(func() {
		err := r.run(quiet)
		if quiet.Err() != nil {
			err = errStopping()
		}
		r.note(func(done *Collection) { done.Ended, done.Err = l.o.Now().UTC(), collectError(err) })
		r.report()
		c.mu.Lock()
		c.ended[mode] = nil
		c.mu.Unlock()
		close(ended)
	})
	return ended, nil
}

// note changes what is told of the collection.
func (r *collection) note(change func(*Collection)) {
	c := &r.ns.collections
	c.mu.Lock()
	defer c.mu.Unlock()
	change(&c.last[modeOf(r.dryRun)])
}

// collectError is the Error of a collection that ended with err, nil for nil.
func collectError(err error) *Error {
	var e *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.Is(err, errSuperseded):
		return errSupersededBy(err)
	case errors.Is(err, registry.ErrUnsupported):
		return fail(CodeUnsupported, err, "the registry does not delete, so nothing was thinned; switch deletion on in the registry (Distribution: REGISTRY_STORAGE_DELETE_ENABLED=true), or keep everything")
	case errors.Is(err, registry.ErrRefused):
		return fail(CodeUnsupported, err, "the registry refuses to delete; the server's account needs the right to do it")
	case errors.Is(err, errForeign), errors.Is(err, errDamaged), errors.Is(err, registry.ErrCorrupt), errors.Is(err, registry.ErrNotFound):
		return fail(CodeCorrupt, err, "the registry does not hold what the history says; nothing more is deleted until that is put right, gsq fsck says what it is")
	}
	return fail(CodeRegistryUnavailable, err, "the registry did not take a part of the collection; what was done is done, and the next one goes on")
}

// errNotFreed is the error of a collection that did all but free the space. It
// says itself what the registry met: gsq fsck finds only what the history needs.
func errNotFreed(err error) *Error {
	if errors.Is(err, registry.ErrCorrupt) {
		return fail(CodeCorrupt, nil, "what is not kept is deleted, but the registry frees no space because something in it is damaged (%v); gsq fsck says whether the history needs that", err)
	}
	return fail(CodeRegistryUnavailable, nil, "what is not kept is deleted, but the registry has not freed the space (%v); the next collection tries again", err)
}

// report tells the log and the observer of a collection that ended.
func (r *collection) report() {
	if r.dryRun {
		return
	}
	c := r.ns.collections.of(false)
	log := r.l.o.Log.With("namespace", c.Namespace, "thinned", c.Thinned, "revisions", c.Revisions, "versions", c.Versions, "referrers", c.Referrers, "bytes", c.Bytes)
	if c.Freed != nil {
		log = log.With("freed", c.Freed.Bytes)
	}
	switch {
	case c.Err == nil:
		log.Info("history collected", "took", c.Ended.Sub(c.Began))
	case c.Err.Code == CodeNotReady:
		log.Info("collection interrupted; the next one goes on")
	default:
		log.Warn("collection ended early", "error", c.Err)
	}
	r.l.o.Observer.Collected(c)
}

// collectFirst is the pause before the first collection after a start.
const collectFirst = time.Minute

// collectInBackground collects one namespace after the other, and again after a
// pause, until ctx ends.
func (l *Ledger) collectInBackground(ctx context.Context) {
	for pause := min(collectFirst, l.o.CollectEvery); sleep(ctx, pause) == nil; pause = l.o.CollectEvery {
		if l.Ready() != nil {
			continue
		}
		all, err := l.Namespaces()
		if err != nil {
			continue
		}
		for _, n := range all {
			ns, err := l.namespace(n.Name)
			if err != nil {
				continue // it is not active, or not readable
			}
			ended, err := l.beginCollection(ns, false, false)
			if err != nil {
				return
			}
			select {
			case <-ended:
			case <-ctx.Done():
				return
			}
		}
		if _, err := l.free(ctx); err != nil && ctx.Err() == nil {
			l.o.Log.Warn("the registry did not free its space", "error", err)
		}
	}
}

// freeGrace is how long a blob stays that a client pushed and no manifest names
// yet.
const freeGrace = time.Hour

// free has the registry free the space of what nothing names any more. It
// returns nil if the registry does that by means of its own.
func (l *Ledger) free(ctx context.Context) (*registry.Freed, error) {
	c, ok := l.o.Registry.(registry.Collector)
	if !ok {
		return nil, nil
	}
	freed, err := c.Collect(ctx, freeGrace)
	l.o.Observer.Freed(freed)
	return &freed, err
}
