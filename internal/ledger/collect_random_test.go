package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// Clients write and roll back at random while collections run, requests fail,
// and the process is stopped and killed. Each client owns a resource and knows
// what it may be; the history is proved from the registry alone, again and
// again, also at moments when nobody has had the time to put anything right.
func TestCollectAtRandom(t *testing.T) {
	t.Parallel()
	for seed := *randomFirst; seed < *randomFirst+uint64(*randomSeeds)/4; seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) { newAttic(t, seed).run() })
		})
	}
}

// attic is one random run.
type attic struct {
	t     *testing.T
	store *faulty.Store
	keep  func(*ledger.Options)
	clock wallClock
	gate  chan struct{}          // held while the history is proved: no request is carried out meanwhile
	hints map[string]chan string // for each client, a version of its resource that a collection is about to delete

	mu      sync.Mutex
	rand    *rand.Rand
	process *process
	stormy  bool
	deleted int
}

func newAttic(t *testing.T, seed uint64) *attic {
	r := rand.New(rand.NewPCG(seed, 1))
	a := &attic{t: t, store: initialised(t), rand: r, gate: make(chan struct{}, 1), hints: map[string]chan string{}}
	for i := range 3 {
		a.hints[fmt.Sprintf("c%d", i)] = make(chan string, 1)
	}
	a.keep = keeping(artifact.Retention{Revisions: 2 + r.Int64N(5), Seconds: r.Int64N(100), TombstonesSeconds: r.Int64N(200)})
	a.store.SetFault(a.fault)
	return a
}

func (a *attic) draw(n int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rand.IntN(n)
}

func (a *attic) now() *process {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.process
}

func (a *attic) fault(op faulty.Op) faulty.Fault {
	a.gate <- struct{}{}
	<-a.gate
	a.mu.Lock()
	defer a.mu.Unlock()
	if op.Kind == faulty.Delete {
		a.deleted++
	}
	if hint := a.hints[path.Base(op.Repository)]; hint != nil && op.Kind == faulty.GetManifest && a.rand.IntN(2) == 0 {
		// A collection examines what it is about to delete: time for a rollback
		// to that.
		select {
		case hint <- op.Reference:
		default:
		}
		return faulty.Delay{For: time.Duration(a.rand.IntN(3000)) * time.Millisecond}
	}
	if !a.stormy || a.rand.IntN(100) >= 6 {
		return faulty.Delay{For: time.Duration(a.rand.IntN(100)) * time.Millisecond}
	}
	faults := []faulty.Fault{faulty.Refused, faulty.Unreachable, faulty.NotStored, faulty.Timeout, faulty.Delay{For: time.Second}}
	if writes(op) {
		faults = append(faults, faulty.StoredButError, faulty.StoredLate{After: time.Duration(a.rand.IntN(10_000)) * time.Millisecond})
	}
	return faults[a.rand.IntN(len(faults))]
}

func (a *attic) run() {
	a.replace(func() {})
	ctx, cancel := context.WithCancel(context.Background())
	var clients, weather sync.WaitGroup
	for name := range a.hints {
		clients.Go(func() { a.client(name) })
	}
	weather.Go(func() {
		for ctx.Err() == nil {
			time.Sleep(time.Duration(1+a.draw(20)) * time.Second)
			a.mu.Lock()
			a.stormy = a.rand.IntN(2) == 0
			a.mu.Unlock()
			switch a.draw(5) {
			case 0:
				a.replace(a.now().stop)
			case 1:
				a.replace(a.now().kill)
			}
		}
	})
	weather.Go(func() {
		for ctx.Err() == nil {
			limit, done := context.WithTimeout(ctx, 30*time.Second)
			_, _ = a.now().Collect(limit, "default", a.draw(5) == 0)
			done()
			time.Sleep(time.Duration(a.draw(20)) * time.Second)
		}
	})
	clients.Wait()
	cancel()
	weather.Wait()
	a.mu.Lock()
	a.stormy = false
	a.mu.Unlock()
	time.Sleep(3 * time.Minute)
	a.store.Flush()
	p := a.now()
	prove(a.t, a.store, "default").same(a.t, p, "default")
	collect(a.t, p, "default", false)
	after := prove(a.t, a.store, "default")
	after.same(a.t, p, "default")
	for n := range after.revision {
		if n <= after.thinned {
			a.t.Errorf("r%d is left", n)
		}
	}
	p.kill()
	p = start(a.t, a.store, a.keep)
	after.same(a.t, p, "default")
	p.stop()
	a.t.Logf("%d revisions, %d of them thinned, %d deletions", len(after.records), after.thinned, a.deleted)
	if after.thinned == 0 {
		a.t.Error("nothing was thinned")
	}
}

// replace ends the process in some way and starts another.
func (a *attic) replace(end func()) {
	end()
	p := launch(a.t, a.store, a.keep, a.clock.option)
	for p.Ready() != nil {
		time.Sleep(100 * time.Millisecond)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.process = p
}

// client writes its own resource, one request after the other, and rolls it
// back to what it was: to that, or not at all.
func (a *attic) client(name string) {
	may := map[string]bool{"": true} // what it may be, by region
	var versions []ledger.Outcome
	for i := range 40 {
		doomed := ""
		select {
		case doomed = <-a.hints[name]:
		case <-time.After(time.Duration(a.draw(8000)) * time.Millisecond):
		}
		at := slices.IndexFunc(versions, func(o ledger.Outcome) bool { return o.Version.String() == doomed })
		change := ledger.Change{Name: name, Spec: intent.Spec{Type: "vm", Size: "small", Region: fmt.Sprintf("%s-%d", name, i)}}
		want := change.Spec.Region
		switch n := a.draw(10); {
		case (n < 3 || at >= 0) && len(versions) > 0:
			if at < 0 {
				at = a.draw(len(versions))
			}
			back := versions[at]
			change, want = ledger.Change{Name: name, Version: back.Version}, back.After.Spec.Region
		case n == 3:
			change, want = ledger.Change{Name: name, Delete: true}, ""
		}
		p := a.now()
		r, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{change}})
		var e *ledger.Error
		errors.As(err, &e)
		switch {
		case err == nil:
			o := r.Outcomes[0]
			if before := regionOf(o.Before); !may[before] {
				a.t.Errorf("%s was %q before, it may be %v", name, before, may)
			}
			may = map[string]bool{want: true}
			if o.After != nil {
				versions = append(versions, o)
			}
		case e.Code == ledger.CodeOutcomeUnknown, p.line.cut.Load():
			may[want] = true
		case e.Code == ledger.CodeCorrupt:
			a.t.Errorf("%s: %v", name, err)
		}
		if a.draw(4) == 0 {
			a.proveNow()
		}
	}
}

func regionOf(e *ledger.Entry) string {
	if e == nil {
		return ""
	}
	return e.Spec.Region
}

// proveNow proves that nothing that is kept was deleted, at a moment when a
// commit may be half way: of the head, the chain alone.
func (a *attic) proveNow() {
	a.gate <- struct{}{}
	time.Sleep(time.Microsecond) // what was let through is done
	proveBelow(a.t, a.store, "default")
	<-a.gate
}
