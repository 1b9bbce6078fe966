package ledger

import "context"

// step is something that only a namespace's worker may do, because commits
// must not happen meanwhile.
type step struct {
	do   func(ctx context.Context)
	done chan struct{}
}

// between has the worker do something between two batches and waits until it
// is done. It returns the context's error if that ends before it is begun.
func (ns *namespace) between(ctx context.Context, do func(ctx context.Context)) error {
	s := step{do, make(chan struct{})}
	select {
	case ns.steps <- s:
	case <-ctx.Done():
		return ctx.Err()
	}
	<-s.done // each step bounds its own time
	return nil
}

func (s step) run(ctx context.Context) {
	defer close(s.done)
	s.do(ctx)
}

// step does one step, if anybody waits with one.
func (ns *namespace) step(ctx context.Context) {
	select {
	case s := <-ns.steps:
		s.run(ctx)
	default:
	}
}
