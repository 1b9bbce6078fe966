package ledger

import (
	"context"
	"errors"
	"sync"
	"time"

	"gitops-squared.io/gsq/internal/registry"
)

// creation is a namespace in the making. All who wait for it share it; it goes
// on until the last of them has left, and what it has begun by then is unknown
// to them.
type creation struct {
	done chan struct{}
	ns   *namespace // once done, unless err
	err  error

	mu      sync.Mutex
	waiting int
	left    bool               // by all: it is as good as over
	begun   bool               // something was offered to the registry
	abandon context.CancelFunc // ends what comes before the next commit point
}

// join takes part in the waiting, unless all others have left.
func (c *creation) join() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return false
	}
	c.waiting++
	return true
}

func (c *creation) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting--; c.waiting == 0 {
		c.left = true
		c.abandon()
	}
}

// begin notes that something is offered. It refuses if nobody waits for it.
func (c *creation) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left {
		return errWithdrawn
	}
	c.begun = true
	return nil
}

// create makes a namespace, or joins those who are making it already.
func (l *Ledger) create(ctx context.Context, r Request, deadline time.Time) (*namespace, error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	for {
		ns, c, err := l.creation(r.Namespace, r.Actor)
		if ns != nil || err != nil {
			return ns, err
		}
		joined := c.join()
		select {
		case <-c.done:
			ns, err = c.ns, c.err
		case <-ctx.Done():
			ns, err = nil, ctx.Err()
		}
		if joined {
			c.leave()
			return ns, c.outcome(err)
		}
		if ctx.Err() != nil {
			return nil, c.outcome(ctx.Err())
		}
		// All others had left; now that it has ended, it is tried again.
	}
}

// creation returns the namespace, if it runs, or its creation, which is begun
// unless somebody is at it.
func (l *Ledger) creation(name, actor string) (*namespace, *creation, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, nil, errStopping()
	}
	if ns := l.namespaces[name]; ns != nil && ns.running {
		return ns, nil, nil
	}
	if c := l.creations[name]; c != nil {
		return nil, c, nil
	}
	work := l.work
	prepare, abandon := context.WithCancel(work)
	c := &creation{done: make(chan struct{}), abandon: abandon}
	l.creations[name] = c
	l.workers.Go(func() {
		defer abandon()
		c.ns, c.err = l.establish(work, prepare, name, actor, c.begin)
		l.mu.Lock()
		delete(l.creations, name)
		l.mu.Unlock()
		close(c.done)
	})
	return nil, c, nil
}

func (c *creation) hasBegun() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.begun
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
	case errors.As(err, &unknown), c.hasBegun():
		return fail(CodeOutcomeUnknown, err, "the registry has not confirmed the new namespace; repeating the request is safe")
	}
	if errors.Is(err, registry.ErrNoSpace) {
		return fail(CodeRegistryUnavailable, err, "the registry has no space left; no resource changed, try again when it has some")
	}
	return fail(CodeRegistryUnavailable, err, "the registry did not take the new namespace in time; no resource changed, try again")
}

// establish commits creating, the namespace's first revision and active, as
// far as they are not there yet, and starts the namespace.
func (l *Ledger) establish(ctx, prepare context.Context, name, actor string, begin func() error) (*namespace, error) {
	if err := l.system.set(ctx, prepare, name, Creating, actor, begin); err != nil {
		return nil, err
	}
	ns := l.known(name)
	if l.system.stateOf(name) == Active { // by an adopted commit: it must be there
		if err := ns.load(prepare); err != nil {
			return nil, err
		}
	} else if err := ns.first(ctx, prepare, begin); err != nil {
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
func (ns *namespace) first(ctx, prepare context.Context, begin func() error) error {
	found, err := ns.chain.recover(prepare)
	if err != nil || found {
		return err
	}
	empty := newState(Revision{}, nil)
	layer, err := empty.pack(&ns.l.packer, ns.name, nil)
	if err != nil {
		return err
	}
	return ns.chain.commit(ctx, prepare, proposal{
		record: ns.chain.record(nil), layer: layer,
		begin: begin,
		publish: func() {
			empty.Revision = Revision{Number: ns.chain.head.number, Digest: ns.chain.head.manifest.Digest, Time: ns.chain.head.time.Time()}
			ns.state.Store(empty)
		},
	})
}
