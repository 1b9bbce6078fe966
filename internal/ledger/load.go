package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// loadParallel bounds the namespaces that are read at once.
const loadParallel = 16

var errNotInitialised = errors.New("the registry is not initialised")

// ErrInitialised is why Init and TakeOver refuse a registry that has a system
// catalog.
var ErrInitialised = errors.New("the registry is initialised already")

// loadUntilReady repeats load until it succeeds, ctx ends, or another ledger
// has claimed the prefix.
func (l *Ledger) loadUntilReady(ctx context.Context) {
	var pause backoff
	for {
		err := l.load(ctx)
		if err == nil {
			l.o.Log.Info("ledger loaded", "prefix", l.o.Prefix, "namespaces", len(l.system.content.Load().Namespaces))
			l.notReady.Store(nil)
			return
		}
		if ctx.Err() != nil {
			return
		}
		if errors.Is(err, errSuperseded) {
			l.notReady.Store(errSupersededBy(err))
			return
		}
		switch {
		case errors.Is(err, errNotInitialised):
			l.notReady.Store(fail(CodeNotReady, err, "the registry holds no system catalog under %s; if it is new, run gsq init once", l.o.Prefix))
		default:
			l.notReady.Store(fail(CodeNotReady, err, "the ledger cannot be loaded; it is tried again"))
		}
		l.o.Log.Warn("loading the ledger failed, repeating", "error", err)
		if pause.wait(ctx) != nil {
			return
		}
	}
}

// load takes the claim, if it is not held yet, and reads everything.
func (l *Ledger) load(ctx context.Context) error {
	if l.claim == nil {
		// Only a registry that is initialised is claimed: whoever initialises
		// it needs the claim.
		_, err := resolve(ctx, l.o.Registry, l.layout.System(), artifact.Latest)
		if errors.Is(err, registry.ErrNotFound) && !l.o.Fresh {
			return errNotInitialised
		}
		if err != nil && !errors.Is(err, registry.ErrNotFound) {
			return fmt.Errorf("reading the system catalog: %w", err)
		}
		if err := l.takeClaim(ctx); err != nil {
			return err
		}
	}
	if err := l.claim.check(ctx); err != nil {
		return err
	}
	if l.loading == nil {
		l.loading = newSystem(l, l.claim)
	}
	sys := l.loading
	found, err := sys.chain.recover(ctx)
	if err != nil {
		return err
	}
	if !found {
		if !l.o.Fresh {
			return errNotInitialised
		}
		if err := l.initialise(ctx, sys); err != nil {
			return err
		}
	}
	l.mu.Lock()
	l.system = sys
	l.mu.Unlock()
	if err := l.loadNamespaces(ctx); err != nil {
		return err
	}
	work := l.work
	l.watchers.Go(func() { sys.run(work, l.startAdopted) })
	return nil
}

func (l *Ledger) takeClaim(ctx context.Context) error {
	c, err := takeClaim(ctx, l.o, l.layout, &l.stamps)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.claim = c
	l.mu.Unlock()
	return nil
}

// loadNamespaces reads every namespace. One that is damaged, or that somebody
// else wrote, refuses writes by itself; one that cannot be read fails all, but
// does not end what the others do: an unanswered write must not be abandoned.
func (l *Ledger) loadNamespaces(ctx context.Context) error {
	var g errgroup.Group
	g.SetLimit(loadParallel)
	for name, n := range l.system.content.Load().Namespaces {
		switch {
		case l.isRunning(name): // since an earlier attempt
		case State(n.State) == Creating:
			g.Go(func() error {
				_, err := l.establish(ctx, ctx, name, "", func() error { return nil })
				if errors.Is(err, errForeign) || errors.Is(err, errDamaged) {
					// Its next write tries again, and is told.
					l.o.Log.Error("namespace cannot be created", "namespace", name, "error", err)
					return nil
				}
				return err
			})
		case State(n.State) == Active:
			g.Go(func() error { return l.loadNamespace(ctx, l.known(name)) })
		}
	}
	return g.Wait()
}

func (l *Ledger) loadNamespace(ctx context.Context, ns *namespace) error {
	if err := ns.load(ctx); err != nil && ns.problem.Load() == nil {
		return fmt.Errorf("namespace %s: %w", ns.name, err)
	}
	l.start(ns)
	return nil
}

// startAdopted starts the namespaces that came with an adopted commit of the
// system catalog. One that cannot be read is tried again at the next look.
func (l *Ledger) startAdopted(ctx context.Context) {
	for name, n := range l.system.content.Load().Namespaces {
		if State(n.State) != Active || l.isRunning(name) {
			continue
		}
		if _, err := l.create(ctx, Request{Namespace: name}, time.Now().Add(patience)); err != nil {
			l.o.Log.Warn("an adopted namespace cannot be started yet", "namespace", name, "error", err)
		}
	}
}

// known returns the namespace of that name. Until it runs it belongs to who
// loads or creates it; an attempt that failed is continued on the same one.
func (l *Ledger) known(name string) *namespace {
	l.mu.Lock()
	defer l.mu.Unlock()
	ns := l.namespaces[name]
	if ns == nil {
		ns = newNamespace(l, l.claim, name)
		l.namespaces[name] = ns
	}
	return ns
}

func (l *Ledger) isRunning(name string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	ns := l.namespaces[name]
	return ns != nil && ns.running
}

// start runs a namespace.
func (l *Ledger) start(ns *namespace) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		ns.close()
	}
	ns.running = true
	work := l.work
	l.workers.Go(func() { ns.run(work) })
}

// initialise writes what an empty registry needs: the default namespace's
// catalog, and last the system catalog that names it. An interrupted one is
// continued.
func (l *Ledger) initialise(ctx context.Context, sys *system) error {
	begin := func() error { return nil }
	if err := l.known(artifact.DefaultNamespace).first(ctx, ctx, begin); err != nil {
		return fmt.Errorf("initialising: %w", err)
	}
	if err := sys.set(ctx, ctx, artifact.DefaultNamespace, Active, "", begin); err != nil {
		return fmt.Errorf("initialising: %w", err)
	}
	return nil
}

// Init prepares an external registry for its first start: it claims the
// prefix, which takes the settle time of 15 seconds, and writes the default
// namespace and the system catalog. Interrupted, it continues when called
// again; done, it refuses.
func Init(ctx context.Context, o Options) error {
	l, err := New(o)
	if err != nil {
		return err
	}
	l.work = ctx
	sys, err := l.claimFresh(ctx)
	if err != nil {
		return err
	}
	err = l.initialise(ctx, sys)
	if errors.Is(err, errForeign) {
		return fail(CodeForeignWriter, err, "the registry holds a catalog that this ledger did not write; if the proof of concept wrote it, take it over with gsq init --take-over")
	}
	return err
}

func (l *Ledger) initialised(system digest.Digest) error {
	return fmt.Errorf("the system catalog under %s is %s: %w", l.o.Prefix, system, ErrInitialised)
}

// claimFresh takes the claim on a prefix that must not be initialised yet.
func (l *Ledger) claimFresh(ctx context.Context) (*system, error) {
	for attempt := 0; ; attempt++ {
		switch d, err := resolve(ctx, l.o.Registry, l.layout.System(), artifact.Latest); {
		case err == nil:
			return nil, l.initialised(d)
		case !errors.Is(err, registry.ErrNotFound):
			return nil, fmt.Errorf("reading the system catalog: %w", err)
		}
		if attempt == 1 {
			return newSystem(l, l.claim), nil
		}
		if err := l.takeClaim(ctx); err != nil {
			return nil, err
		}
	}
}
