package ledger

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// pending is a request on its way through a namespace's queue. Its phase is
// guarded by the namespace's mutex.
type pending struct {
	Request
	arrived  time.Time
	deadline time.Time // when its caller leaves, if nothing happens until then
	outcomes []Outcome // set when it joined a batch
	done     chan answer
	answered atomic.Bool               // set by the worker alone
	progress atomic.Pointer[time.Time] // when the registry last took a part of it
	phase    phase
}

type answer struct {
	result Result
	err    error
}

type phase int

const (
	waiting   phase = iota // may still be withdrawn
	begun                  // its batch has reached the commit point's first attempt
	withdrawn              // its caller was told that nothing changed
)

// answer is given once, by the worker; the caller may have left.
func (p *pending) answer(r Result, err error) {
	p.done <- answer{r, err}
	p.answered.Store(true)
}

// submit queues a prepared request and waits for its answer until deadline.
func (ns *namespace) submit(ctx context.Context, r Request, deadline time.Time) (Result, error) {
	p := &pending{Request: r, arrived: time.Now(), deadline: deadline, done: make(chan answer, 1)}
	if err := ns.enqueue(p); err != nil {
		return Result{}, err
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
wait:
	for {
		select {
		case a := <-p.done:
			return a.result, a.err
		case <-ctx.Done():
			break wait
		case <-timer.C:
			// A large commit that the registry is working on takes its time.
			last := p.progress.Load()
			if last == nil || time.Since(*last) >= patience {
				break wait
			}
			timer.Reset(time.Until(last.Add(patience)))
		}
	}
	if ns.withdraw(p) {
		return Result{}, fail(CodeRegistryUnavailable, ctx.Err(), "the registry did not take the change in time; nothing changed, try again")
	}
	select {
	case a := <-p.done: // it was answered just now
		return a.result, a.err
	default:
		return Result{}, fail(CodeOutcomeUnknown, ctx.Err(), "the registry has not confirmed the change; it may have been made, or may be made later; repeating the request is safe")
	}
}

func (ns *namespace) enqueue(p *pending) error {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if ns.closed {
		return errStopping()
	}
	if err := ns.problem.Load(); err != nil {
		return err
	}
	if len(ns.queue) >= ns.l.o.QueueLength {
		return fail(CodeQueueFull, nil, "%d requests are waiting in namespace %s already; try again later", len(ns.queue), ns.name)
	}
	ns.queue = append(ns.queue, p)
	select {
	case ns.wake <- struct{}{}:
	default:
	}
	return nil
}

// withdraw takes a request out of the queue. It returns false if its batch has
// begun its commit, or if it was answered.
func (ns *namespace) withdraw(p *pending) bool {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	if p.phase == begun || len(p.done) > 0 {
		return false
	}
	p.phase = withdrawn
	ns.queue = keep(ns.queue, func(other *pending) bool { return other != p })
	if slices.Contains(ns.working, p) {
		ns.cancelPrepare() // the batch is formed again without it
	}
	return true
}

// collect forms the next batch from the queue. Requests that joined stay in
// the queue until they are answered.
func (ns *namespace) collect() *batch {
	ns.mu.Lock()
	ns.queue = keep(ns.queue, func(p *pending) bool { return !p.answered.Load() })
	queue := append([]*pending(nil), ns.queue...)
	ns.mu.Unlock()
	if len(queue) == 0 {
		return nil
	}
	if ns.disturbed {
		// Callers of the last batch left while it was prepared. With those who
		// leave next, this one would end likewise, and so on without an end.
		if b := ns.form(queue, time.Now().Add(patience/2)); len(b.members) > 0 {
			return b
		}
	}
	return ns.form(queue, time.Time{})
}

// form makes a batch of those whose callers stay until then.
func (ns *namespace) form(queue []*pending, until time.Time) *batch {
	b := newBatch(ns, ns.state.Load())
	for _, p := range queue {
		switch {
		case p.answered.Load():
		case p.deadline.Before(until):
			b.block(p)
		default:
			b.join(p)
		}
	}
	return b
}

func keep(queue []*pending, wanted func(*pending) bool) []*pending {
	kept := queue[:0]
	for _, p := range queue {
		if wanted(p) {
			kept = append(kept, p)
		}
	}
	clear(queue[len(kept):])
	return kept
}

// setWorking notes whose commit is under way; nil when none is.
func (ns *namespace) setWorking(members []*pending, cancelPrepare context.CancelFunc) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	ns.working, ns.cancelPrepare = members, cancelPrepare
}

// progress tells the callers of the commit under way that it goes on.
func (ns *namespace) progress() {
	now := time.Now()
	ns.mu.Lock()
	defer ns.mu.Unlock()
	for _, p := range ns.working {
		p.progress.Store(&now)
	}
}

// begin marks the batch's requests as begun, unless one was withdrawn.
func (ns *namespace) begin(b *batch) error {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	for _, p := range b.members {
		if p.phase == withdrawn {
			return errWithdrawn
		}
	}
	for _, p := range b.members {
		p.phase = begun
	}
	return nil
}

// anyWithdrawn reports whether a batch has to be formed again.
func (ns *namespace) anyWithdrawn(b *batch) bool {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	for _, p := range b.members {
		if p.phase == withdrawn {
			return true
		}
	}
	return false
}

// waiting returns how many requests are not answered yet, and when the oldest
// of them came.
func (ns *namespace) waiting() (int, time.Time) {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	n, since := 0, time.Time{}
	for _, p := range ns.queue {
		if p.answered.Load() {
			continue
		}
		if n++; n == 1 {
			since = p.arrived // the queue is in the order of arrival
		}
	}
	return n, since
}

// refuseAll answers everything in the queue that has not begun.
func (ns *namespace) refuseAll(err error) {
	ns.mu.Lock()
	queue := ns.queue
	ns.queue = nil
	ns.mu.Unlock()
	for _, p := range queue {
		if !p.answered.Load() {
			p.answer(Result{}, err)
		}
	}
}
