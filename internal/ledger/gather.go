package ledger

import (
	"context"
	"time"
)

// Callers that are answered together tend to come back together, a moment
// apart. A commit that began with the first of them would leave the others to
// the next, and from then on two halves would take turns, each waiting for the
// other's commit. So after a commit the next batch waits a moment until as many
// callers are there as were before.

const (
	// gatherPart is the part of the last commit's duration that is waited for at
	// most: what a gathered batch costs is less than what it saves.
	gatherPart = 2
	// gatherMost bounds it where commits take long.
	gatherMost = 20 * time.Millisecond
)

// crowd is what the worker expects after a commit. The zero value expects nobody.
type crowd struct {
	size  int       // callers that were answered or left waiting
	until time.Time // no longer
}

// expect notes that a commit which began at start has just answered so many
// callers.
func (ns *namespace) expect(answered int, start time.Time) {
	waiting, _ := ns.waiting()
	now := time.Now()
	ns.crowd = crowd{size: answered + waiting, until: now.Add(min(now.Sub(start)/gatherPart, gatherMost))}
}

// gather waits until the expected callers are there, if any is; until it is
// time to begin without them; or until the ledger stops.
func (ns *namespace) gather(ctx context.Context) {
	for {
		here, _ := ns.waiting()
		left := time.Until(ns.crowd.until)
		if here == 0 || here >= ns.crowd.size || left <= 0 || ns.closing() {
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
		case <-ns.wake:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

func (ns *namespace) closing() bool {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	return ns.closed
}
