package ledger

import (
	"context"
	"runtime"
	"sync"
	"time"
)

// Packing a batch costs time that grows with the namespace, not with the batch.
// Where that limits the rate, and not the registry's answers, namespaces take
// turns: what arrives meanwhile joins the batch, so that commits become fewer and
// larger. So they do at the embedded registry. A turn ends before the commit
// point: syncs are shared by whoever waits for them.

// turnMost bounds a turn, which takes a millisecond or so. What takes longer, such
// as a large apply or a registry that does not answer, goes on without its turn
// and keeps nobody else from theirs.
const turnMost = 50 * time.Millisecond

// turns holds a value for each turn that is taken. Who waits is served in the
// order of arrival, as senders on a channel are. A nil one has no limit.
type turns chan struct{}

// newTurns allows half as many turns at once as there are processors: what comes
// before and after them keeps the others busy.
func newTurns(o Options) turns {
	if !o.Exclusive {
		return nil
	}
	return make(turns, max(1, runtime.GOMAXPROCS(0)/2))
}

// take waits for a turn, or until ctx ends. Done gives it back; it must be called,
// and may be called again.
func (t turns) take(ctx context.Context) (done func()) {
	if t == nil {
		return func() {}
	}
	select {
	case <-ctx.Done():
		return func() {}
	case t <- struct{}{}:
	}
	back := sync.OnceFunc(func() { <-t })
	timer := time.AfterFunc(turnMost, back)
	return func() {
		timer.Stop()
		back()
	}
}
