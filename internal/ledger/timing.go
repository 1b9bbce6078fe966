package ledger

import (
	"context"
	"time"
)

// The protocol's times. docs/architecture.md says how they hang together.
const (
	// settle (W on the design page) is longer than the longest request
	// time-out: an unanswered write older than this has landed or never will.
	settle = 15 * time.Second

	// tagTimeout bounds one attempt to move tags, readTimeout one read.
	tagTimeout  = 4 * time.Second
	readTimeout = 4 * time.Second

	// putTimeout bounds a push by digest. A late one harms nobody.
	putTimeout = 60 * time.Second

	// patience is how long a caller waits before it is withdrawn, or told that
	// the outcome is unknown.
	patience = 4500 * time.Millisecond

	// drainTime is how long a stopping ledger goes on repeating.
	drainTime = 10 * time.Second

	// watchSettling and watchIdle are the pauses between two looks at latest.
	watchSettling = time.Second
	watchIdle     = time.Minute

	// retryMin and retryMax bound the pause before something is tried again.
	retryMin = 100 * time.Millisecond
	retryMax = 2 * time.Second
)

// backoff counts the pauses of one series of attempts.
type backoff struct{ pause time.Duration }

// wait sleeps for the next pause, twice the last one up to retryMax. It
// returns the context's error if that ends first.
func (b *backoff) wait(ctx context.Context) error {
	b.pause = min(max(b.pause*2, retryMin), retryMax)
	return sleep(ctx, b.pause)
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
