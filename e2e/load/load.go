// Package load writes to a server from many callers while it is killed and
// started again, remembers what each of them was told, and compares that with
// what the registry holds afterwards.
package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"gitops-squared.io/gsq/e2e/gsq"
)

// Options say how much load there is.
type Options struct {
	Server     *gsq.Server // started and ready
	Namespaces []string    // writers are spread over them
	Writers    int
	Writes     int // of each writer
	Resources  int // that each writer owns
	Kills      int // SIGKILLs, spread evenly over the writes
	Seed       uint64
}

// Report is what happened.
type Report struct {
	Acknowledged int // writes that were answered 2xx
	Unknown      int // writes whose answer never came, or was outcome-unknown
	Missing      int // deletes that were answered "not found", as was right
	Refused      int // answers that nothing changed, each followed by another try
	Kills        int
	Elapsed      time.Duration

	writers []*writer
}

func (r *Report) String() string {
	return fmt.Sprintf("%d writes acknowledged, %d with an unknown outcome, %d deletes of nothing, %d refusals repeated; %d kills; %.1f s (%.0f writes/s)",
		r.Acknowledged, r.Unknown, r.Missing, r.Refused, r.Kills, r.Elapsed.Seconds(), float64(r.Acknowledged)/r.Elapsed.Seconds())
}

// Run writes until every writer is done, and leaves the server running. The
// error joins every answer that must not be given; what is wrong in the
// registry afterwards is for Check.
func Run(ctx context.Context, o Options) (*Report, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	report := &Report{}
	started := time.Now()
	var finished atomic.Int64
	var wait sync.WaitGroup
	faults := make([]error, o.Writers+1)
	for i := range o.Writers {
		w := newWriter(o, i, &finished)
		report.writers = append(report.writers, w)
		wait.Go(func() { faults[i] = w.run(ctx) })
	}
	written := make(chan struct{})
	go func() {
		wait.Wait()
		close(written)
	}()
	report.Kills, faults[o.Writers] = killer{o, &finished}.run(ctx, written)
	if faults[o.Writers] != nil {
		cancel(faults[o.Writers]) // there may be no server any more
	}
	<-written
	report.Elapsed = time.Since(started)
	for _, w := range report.writers {
		report.Acknowledged += w.acknowledged
		report.Unknown += w.unknown
		report.Missing += w.missing
		report.Refused += w.refused
	}
	return report, errors.Join(faults...)
}

// killer kills the server whenever another share of the writes is finished.
type killer struct {
	o        Options
	finished *atomic.Int64
}

func (k killer) run(ctx context.Context, written <-chan struct{}) (int, error) {
	random := rand.New(rand.NewPCG(k.o.Seed, 0))
	total := k.o.Writers * k.o.Writes
	for kills := 0; kills < k.o.Kills; {
		due := int64(total * (kills + 1) / (k.o.Kills + 1))
		for k.finished.Load() < due {
			select {
			case <-ctx.Done():
				return kills, context.Cause(ctx)
			case <-written:
				return kills, fmt.Errorf("all writes were finished after %d of %d kills", kills, k.o.Kills)
			case <-time.After(time.Millisecond):
			}
		}
		// Anywhere in a commit.
		time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		if err := k.restart(); err != nil {
			return kills, err
		}
		kills++
		// Now and then also while it starts.
		if kills%4 == 0 && kills < k.o.Kills {
			time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
			if err := k.restart(); err != nil {
				return kills, err
			}
			kills++
		}
	}
	return k.o.Kills, nil
}

func (k killer) restart() error {
	if err := k.o.Server.Kill(); err != nil {
		return err
	}
	return k.o.Server.Start()
}
