package ledger

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// creation is a namespace in the making. All who wait for it share it.
type creation struct {
	done  chan struct{}
	begun atomic.Bool // something was offered to the registry
	ns    *namespace  // once done, unless err
	err   error
}

// create makes a namespace, or joins those who are making it already.
func (l *Ledger) create(ctx context.Context, r Request, deadline time.Time) (*namespace, error) {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil, errStopping()
	}
	if ns := l.namespaces[r.Namespace]; ns != nil && l.system.stateOf(r.Namespace) == Active && ns.state.Load() != nil {
		l.mu.Unlock()
		return ns, nil
	}
	c := l.creations[r.Namespace]
	if c == nil {
		c = &creation{done: make(chan struct{})}
		l.creations[r.Namespace] = c
		work := l.work
		l.workers.Go(func() {
			prepare, cancel := context.WithDeadline(work, deadline)
			defer cancel()
			c.ns, c.err = l.establish(work, prepare, r.Namespace, r.Actor, func() { c.begun.Store(true) })
			l.mu.Lock()
			delete(l.creations, r.Namespace)
			l.mu.Unlock()
			close(c.done)
		})
	}
	l.mu.Unlock()

	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-c.done:
		return c.ns, c.outcome(c.err)
	case <-ctx.Done():
		return nil, c.outcome(ctx.Err())
	case <-timer.C:
		return nil, c.outcome(context.DeadlineExceeded)
	}
}

// outcome tells a caller what an error means for its request.
func (c *creation) outcome(err error) error {
	var unknown unknownError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errSuperseded) && !errors.As(err, &unknown):
		return errSupersededBy(err)
	case errors.Is(err, errForeign) && !errors.As(err, &unknown):
		return fail(CodeForeignWriter, err, "somebody else wrote the system catalog or the new namespace's; nothing is created until that is put right")
	case errors.As(err, &unknown), c.begun.Load():
		return fail(CodeOutcomeUnknown, err, "the registry has not confirmed the new namespace; repeating the request is safe")
	}
	return fail(CodeRegistryUnavailable, err, "the registry did not take the new namespace in time; no resource changed, try again")
}

// establish commits creating, the namespace's first revision and active, as
// far as they are not there yet, and starts the namespace.
func (l *Ledger) establish(ctx, prepare context.Context, name, actor string, begin func()) (*namespace, error) {
	if l.system.stateOf(name) != Active {
		if err := l.system.set(ctx, prepare, name, Creating, actor, begin); err != nil {
			return nil, err
		}
	}
	ns := newNamespace(l, l.claim, name)
	if err := ns.first(ctx, prepare, begin); err != nil {
		return nil, err
	}
	if err := l.system.set(ctx, prepare, name, Active, actor, begin); err != nil {
		return nil, err
	}
	l.start(ns)
	return ns, nil
}

// first makes sure that the namespace has a first revision: the one that an
// interrupted creation left behind, or a new one without resources.
func (ns *namespace) first(ctx, prepare context.Context, begin func()) error {
	found, err := ns.chain.recover(prepare)
	if err != nil || found {
		return err
	}
	layer, err := content(ns.name, nil)
	if err != nil {
		return err
	}
	return ns.chain.commit(ctx, prepare, proposal{
		record: ns.chain.record(nil), layer: layer,
		begin: func() error { begin(); return nil },
		publish: func() {
			ns.state.Store(newState(Revision{
				Number: ns.chain.head.number, Digest: ns.chain.head.manifest.Digest, Time: ns.chain.head.time.Time(),
			}, nil))
		},
	})
}

// start makes a loaded namespace known and runs it.
func (l *Ledger) start(ns *namespace) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		ns.close()
	}
	l.namespaces[ns.name] = ns
	work := l.work
	l.workers.Go(func() { ns.run(work) })
}
