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
	Server     *gsq.Server   // started and ready
	Fallback   *gsq.Server   // where a caller goes who is told that Server is superseded, and back; nil: nowhere else
	Name       string        // begins the names of the resources: loads on the same namespaces need different ones
	Namespaces []string      // writers are spread over them
	Writers    int           //
	Writes     int           // of each writer, unless the load is stopped before
	Resources  int           // that each writer owns
	Pause      time.Duration // of each writer, before each write but its first
	Kills      int           // SIGKILLs, spread evenly over the writes; only for Run
	Seed       uint64
}

// Load is a load that runs. Its methods may be called concurrently.
type Load struct {
	started      time.Time
	writers      []*writer
	faults       []error // of each writer, once it ended
	finished     atomic.Int64
	acknowledged atomic.Int64
	cancel       context.CancelCauseFunc
	stopping     chan struct{}
	stop         sync.Once
	ended        chan struct{} // closed when every writer ended
}

// Start starts a load. It ends when every writer is done, with Stop, or with
// ctx.
func Start(ctx context.Context, o Options) *Load {
	ctx, cancel := context.WithCancelCause(ctx)
	l := &Load{started: time.Now(), cancel: cancel, faults: make([]error, o.Writers), stopping: make(chan struct{}), ended: make(chan struct{})}
	var wait sync.WaitGroup
	for i := range o.Writers {
		w := newWriter(o, i, l)
		l.writers = append(l.writers, w)
		wait.Go(func() { l.faults[i] = w.run(ctx) })
	}
	go func() {
		wait.Wait()
		cancel(nil)
		close(l.ended)
	}()
	return l
}

// Acknowledged is how many writes were answered 2xx so far.
func (l *Load) Acknowledged() int { return int(l.acknowledged.Load()) }

// Stop lets every writer end when its present write has an outcome, and
// returns at once. A write that is refused is then not tried again.
func (l *Load) Stop() { l.stop.Do(func() { close(l.stopping) }) }

// Wait waits until every writer ended. The error joins every answer that must
// not be given; what is wrong in the registry afterwards is for Check.
func (l *Load) Wait() (*Report, error) {
	<-l.ended
	report := &Report{Elapsed: time.Since(l.started), writers: l.writers}
	for _, w := range l.writers {
		report.Acknowledged += w.acknowledged
		report.Unknown += w.unknown
		report.Missing += w.missing
		report.Refused += w.refused
		report.Superseded += w.superseded
		report.Slowest = max(report.Slowest, w.slowest)
	}
	return report, errors.Join(l.faults...)
}

// Report is what happened.
type Report struct {
	Acknowledged int           // writes that were answered 2xx
	Unknown      int           // writes whose answer never came, or was outcome-unknown
	Missing      int           // deletes that were answered "not found", as was right
	Refused      int           // answers that nothing changed, each followed by another try
	Superseded   int           // those of them that said that another server is the writer
	Kills        int           //
	Slowest      time.Duration // the longest time that an answer to a write took
	Elapsed      time.Duration

	writers []*writer
}

func (r *Report) String() string {
	return fmt.Sprintf("%d writes acknowledged, %d with an unknown outcome, %d deletes of nothing, %d refusals repeated (%d superseded); %d kills; slowest answer %.1f s; %.1f s (%.0f writes/s)",
		r.Acknowledged, r.Unknown, r.Missing, r.Refused, r.Superseded, r.Kills, r.Slowest.Seconds(), r.Elapsed.Seconds(), float64(r.Acknowledged)/r.Elapsed.Seconds())
}

// Run is Start and Wait, with the server killed and started again meanwhile.
// It leaves the server running.
func Run(ctx context.Context, o Options) (*Report, error) {
	l := Start(ctx, o)
	kills, fault := killer{o, l}.run(ctx)
	if fault != nil {
		l.cancel(fault) // there may be no server any more
	}
	report, err := l.Wait()
	report.Kills = kills
	return report, errors.Join(err, fault)
}

// killer kills the server whenever another share of the writes is finished.
type killer struct {
	o    Options
	load *Load
}

func (k killer) run(ctx context.Context) (int, error) {
	random := rand.New(rand.NewPCG(k.o.Seed, 0))
	total := k.o.Writers * k.o.Writes
	for kills := 0; kills < k.o.Kills; {
		due := int64(total * (kills + 1) / (k.o.Kills + 1))
		for k.load.finished.Load() < due {
			select {
			case <-ctx.Done():
				return kills, context.Cause(ctx)
			case <-k.load.ended:
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
