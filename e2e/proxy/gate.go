package proxy

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Gate holds requests before the registry sees them. Its methods may be called
// concurrently.
type Gate struct {
	limit   time.Duration
	arrived chan struct{} // closed when the first one came
	open    chan struct{} // closed when they may go on
	done    chan struct{} // closed when the first one was answered by the registry

	arriving, opening, finishing sync.Once
}

// NewGate returns a gate that opens by itself after a request was held for
// limit.
func NewGate(limit time.Duration) *Gate {
	return &Gate{limit: limit, arrived: make(chan struct{}), open: make(chan struct{}), done: make(chan struct{})}
}

// Hold is a fault: the request goes on to the registry when the gate opens,
// whether or not its caller still waits for the answer.
func (g *Gate) Hold(c *Call) {
	g.arriving.Do(func() { close(g.arrived) })
	limit := time.NewTimer(g.limit)
	defer limit.Stop()
	select {
	case <-g.open:
	case <-limit.C:
	}
	c.Pass()
	g.finishing.Do(func() { close(g.done) })
}

// Open lets all requests go on, those that are still to come too.
func (g *Gate) Open() { g.opening.Do(func() { close(g.open) }) }

// Arrived waits until a request is held.
func (g *Gate) Arrived(ctx context.Context) error { return wait(ctx, g.arrived, "no request came") }

// Done waits until the registry has performed a request that was held.
func (g *Gate) Done(ctx context.Context) error {
	return wait(ctx, g.done, "the request is not through")
}

func wait(ctx context.Context, event <-chan struct{}, why string) error {
	select {
	case <-event:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", why, context.Cause(ctx))
	}
}
