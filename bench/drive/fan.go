package drive

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Fan does the jobs 0 to jobs-1 with that many workers, each taking the next
// one when it is done with one, and returns how long it took. The first error
// ends it and is returned.
func Fan(ctx context.Context, workers, jobs int, do func(ctx context.Context, job int) error) (time.Duration, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wait sync.WaitGroup
	started := time.Now()
	for range min(workers, jobs) {
		wait.Go(func() {
			for ctx.Err() == nil {
				job := int(next.Add(1)) - 1
				if job >= jobs {
					return
				}
				if err := do(ctx, job); err != nil {
					cancel(err)
				}
			}
		})
	}
	wait.Wait()
	elapsed := time.Since(started)
	return elapsed, context.Cause(ctx)
}
