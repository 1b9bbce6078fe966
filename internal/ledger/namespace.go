package ledger

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// namespace is one namespace's catalog with its queue. One goroutine, run,
// owns the chain; everybody may read the state.
type namespace struct {
	name    string
	l       *Ledger
	chain   *chain
	state   published             // nil until it was read
	problem atomic.Pointer[Error] // why writes are refused; nil when they are not
	wake    chan struct{}
	steps   chan step // for the worker, between batches

	collections collections
	leftovers   leftovers

	// The worker's own.
	disturbed bool // the last batch was given up because callers left
	crowd     crowd
	reused    *reused                     // told what commits bring back; nil unless a collection has marked
	barred    map[digest.Digest]time.Time // until when what was being deleted must not be put again

	mu            sync.Mutex
	queue         []*pending
	closed        bool               // stopping: nothing is queued any more
	working       []*pending         // members of the batch that is being committed
	cancelPrepare context.CancelFunc // ends what comes before its commit point

	running bool // guarded by the ledger's mutex

	checkpoints map[artifact.CheckpointRef]artifact.Checkpoint // that were read; guarded by the ledger's unpacking
}

var errWithdrawn = errors.New("a caller withdrew its request")

func newNamespace(l *Ledger, claim *claim, name string) *namespace {
	ns := &namespace{name: name, l: l, wake: make(chan struct{}, 1), steps: make(chan step)}
	ns.chain = &chain{
		reg: guarded{l.o.Registry, claim}, claim: claim, stamps: &l.stamps, log: l.o.Log, observer: l.o.Observer,
		repo: l.layout.Catalog(name), scope: artifact.ScopeNamespace(name),
		configType: artifact.TypeFluxConfig, layerType: artifact.TypeFluxContent,
		accept: ns.accept, report: func(err error) { ns.judge(err) }, progress: ns.progress,
	}
	return ns
}

// accept verifies a revision that was read from the registry.
func (ns *namespace) accept(rev artifact.Revision, parent *artifact.Revision) (acceptance, error) {
	s, err := readState(ns.l.layout, ns.name, rev)
	if err != nil {
		return acceptance{}, err
	}
	if parent != nil {
		before, err := readState(ns.l.layout, ns.name, *parent)
		if err != nil {
			return acceptance{}, err
		}
		if err := follows(rev.Record, before.Snapshot, s.Snapshot); err != nil {
			return acceptance{}, err
		}
	}
	pushes, tags, err := verify(ns.l.layout, ns.name, rev.Record, s)
	if err != nil {
		return acceptance{}, err
	}
	return acceptance{pushes: pushes, tags: tags, publish: func() {
		ns.state.Store(s)
		ns.noteReused(rev.Record.Changes)
	}}, nil
}

// load reads the namespace's head. A namespace that must be there and is not
// is a read failure.
func (ns *namespace) load(ctx context.Context) error {
	found, err := ns.chain.recover(ctx)
	if err == nil && !found {
		err = unreadable(registry.ErrNotFound)
	}
	ns.judge(err)
	return err
}

// judge turns what stands in the way of writes into the namespace's problem, or
// clears it once nothing does. An error that says nothing about it leaves it as
// it is. It returns true if err is a problem.
func (ns *namespace) judge(err error) bool {
	var problem *Error
	switch {
	case errors.Is(err, errForeign):
		problem = fail(CodeForeignWriter, err, "somebody else wrote the catalog of namespace %s; its writes are refused until latest is put back", ns.name)
	case errors.Is(err, errDamaged):
		problem = fail(CodeCorrupt, err, "the catalog of namespace %s is damaged in the registry; its writes are refused", ns.name)
	case errors.Is(err, errSuperseded):
		problem = errSupersededBy(err)
	case err != nil && !errors.Is(err, errAdopted):
		return false
	}
	if before := ns.problem.Swap(problem); problem != nil && (before == nil || before.Code != problem.Code) {
		ns.l.o.Log.Error("namespace refuses writes", "namespace", ns.name, "code", problem.Code, "error", err)
	} else if before != nil && problem == nil {
		ns.l.o.Log.Info("namespace accepts writes again", "namespace", ns.name)
	}
	return problem != nil
}

// run commits what is queued and looks after latest, until it is closed and
// the queue is empty, or ctx ends.
func (ns *namespace) run(ctx context.Context) {
	watch := time.NewTimer(ns.watchPause())
	defer watch.Stop()
	for {
		ns.gather(ctx)
		done := ns.turn(ctx)
		b := ns.collect()
		if b != nil {
			ns.confirm(ctx, b)
		}
		wake := ns.wake
		if ns.chain.settling() {
			// Nothing can be committed yet, so what waits is left waiting, and is
			// looked at together with latest.
			wake = nil
		} else if b != nil {
			if len(b.members) > 0 {
				ns.commit(ctx, b, done)
				watch.Reset(ns.watchPause())
			}
			if ctx.Err() == nil {
				done()
				ns.step(ctx)
				continue
			}
		}
		done()
		if ns.stopped(ctx) {
			ns.refuseAll(errStopping())
			return
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case s := <-ns.steps:
			s.run(ctx)
		case <-watch.C:
			ns.look(ctx)
			watch.Reset(ns.watchPause())
		}
	}
}

// noteReused tells the collection that has marked what a commit brings back.
func (ns *namespace) noteReused(changes []artifact.RecordChange) {
	if ns.reused != nil && !ns.reused.add(changes) {
		ns.reused = nil
	}
}

// turn waits for the namespace's turn to commit what is queued, if anything is
// that can be committed now.
func (ns *namespace) turn(ctx context.Context) (done func()) {
	if here, _ := ns.waiting(); here == 0 || ns.chain.settling() {
		return func() {}
	}
	return ns.l.turns.take(ctx)
}

func (ns *namespace) stopped(ctx context.Context) bool {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	return ctx.Err() != nil || (ns.closed && len(ns.queue) == 0)
}

func (ns *namespace) close() {
	ns.mu.Lock()
	ns.closed = true
	ns.mu.Unlock()
	select {
	case ns.wake <- struct{}{}:
	default:
	}
}

func (ns *namespace) watchPause() time.Duration {
	switch {
	case ns.chain.settling():
		return min(watchSettling, time.Until(ns.chain.settledAt))
	case ns.problem.Load() != nil, ns.state.Load() == nil:
		return watchSettling
	}
	return watchIdle
}

// look reads latest without waiting for a write, and puts right what it may.
func (ns *namespace) look(ctx context.Context) {
	var err error
	if ns.state.Load() == nil {
		err = ns.load(ctx)
	} else {
		err = ns.chain.check(ctx)
	}
	if !ns.judge(err) && err != nil && !errors.Is(err, errAdopted) && ctx.Err() == nil {
		ns.l.o.Log.Warn("looking after latest failed", "namespace", ns.name, "error", err)
	}
}

// confirm answers the requests that change nothing, unless another ledger has
// taken over and may have changed what they are compared with.
func (ns *namespace) confirm(ctx context.Context, b *batch) {
	if len(b.same) == 0 {
		return
	}
	err := ns.chain.claim.check(ctx)
	if errors.Is(err, errSuperseded) {
		ns.judge(err)
		ns.refuseAll(ns.problem.Load())
		b.members = nil
		return
	}
	for _, p := range b.same {
		if err != nil {
			p.answer(Result{}, fail(CodeRegistryUnavailable, err, "nothing would change, but the registry does not confirm that; try again"))
		} else {
			p.answer(Result{Revision: b.base.Revision, Outcomes: p.outcomes}, nil)
		}
	}
}

// commit performs a batch and answers its requests. Those that have to be
// judged again stay in the queue. It calls prepared before the commit point.
func (ns *namespace) commit(ctx context.Context, b *batch, prepared func()) {
	for _, p := range b.members {
		ns.l.o.Observer.Spent(PhaseWait, b.formed.Sub(p.arrived))
	}
	p, next, err := b.build()
	ns.chain.spent(PhaseBuild, b.formed)
	if err != nil {
		b.answer(Result{}, fail(CodeCorrupt, err, "the catalog of namespace %s cannot be built; nothing changed", ns.name))
		return
	}
	prepare, cancel := context.WithCancel(ctx)
	defer cancel()
	ns.setWorking(b.members, cancel)
	defer ns.setWorking(nil, nil)
	p.begin = func() error {
		prepared()
		return ns.begin(b)
	}
	p.publish = func() {
		next.Revision = Revision{Number: ns.chain.head.number, Digest: ns.chain.head.manifest.Digest, Time: ns.chain.head.time.Time()}
		if ns.state.awaited() { // all who watch ask for its record at once
			if c, err := commitOf(artifact.Thinned{Manifest: ns.chain.head.manifest, Record: p.record}); err == nil {
				ns.l.commits.put(cacheKey{ns.name, c.Revision.Number}, c)
			}
		}
		ns.state.Store(next)
		ns.noteReused(b.changes)
	}
	err = ns.chain.commit(ctx, prepare, p)
	problem := ns.judge(err)
	ns.disturbed = err != nil && ns.anyWithdrawn(b)
	var unknown unknownError
	switch {
	case err == nil:
		ns.l.o.Observer.Committed(len(b.members), len(b.changes))
		b.answer(Result{Revision: next.Revision}, nil)
		ns.expect(len(b.members), b.formed)
	case errors.As(err, &unknown):
		b.answer(Result{}, fail(CodeOutcomeUnknown, err, "the registry has not confirmed the change; it may have been made, or may be made later; repeating the request is safe"))
	case problem:
		ns.refuseAll(ns.problem.Load())
	case errors.Is(err, errAdopted), ns.disturbed:
		// Formed again from the queue.
	case errors.Is(err, registry.ErrNoSpace):
		b.answer(Result{}, fail(CodeRegistryUnavailable, err, "the registry has no space left; nothing changed, try again when it has some"))
	default:
		b.answer(Result{}, fail(CodeRegistryUnavailable, err, "the registry did not take the change; nothing changed, try again"))
	}
}

// answer answers every request of the batch, each with its own outcomes.
func (b *batch) answer(r Result, err error) {
	for _, p := range b.members {
		r.Outcomes = p.outcomes
		if err != nil {
			p.answer(Result{}, err)
		} else {
			p.answer(r, nil)
		}
	}
}
