package ledger_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// wallClock is a machine's clock, that can be set.
type wallClock struct{ offset atomic.Int64 }

func (c *wallClock) jump(d time.Duration)     { c.offset.Add(int64(d)) }
func (c *wallClock) now() time.Time           { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *wallClock) option(o *ledger.Options) { o.Now = c.now }

// clockWriter writes and sees that versions increase, that the revisions' times
// do, and that no answer takes longer than without a jump.
type clockWriter struct {
	t        *testing.T
	writes   int
	version  intent.Version
	revision map[string]time.Time
}

func (w *clockWriter) write(p *process, namespace string) {
	w.t.Helper()
	w.writes++
	value := spec(fmt.Sprint(w.writes))
	began := time.Now()
	r, err := p.Apply(context.Background(), ledger.Request{Namespace: namespace, Changes: []ledger.Change{
		{Name: "a", Spec: value}, {Name: "b", Spec: value}, {Name: fmt.Sprintf("c-%d", w.writes), Spec: value},
	}})
	if err != nil {
		w.t.Fatalf("write %d: %v", w.writes, err)
	}
	if took := time.Since(began); took > 0 { // nothing is slow here
		w.t.Errorf("write %d took %v", w.writes, took)
	}
	w.see(namespace, r)
}

func (w *clockWriter) see(namespace string, r ledger.Result) {
	w.t.Helper()
	for _, o := range r.Outcomes {
		if o.Version <= w.version {
			w.t.Errorf("write %d: version %v after %v", w.writes, o.Version, w.version)
		}
		w.version = o.Version
	}
	if w.revision == nil {
		w.revision = map[string]time.Time{}
	}
	if !r.Revision.Time.After(w.revision[namespace]) {
		w.t.Errorf("write %d: revision %d is of %v, the one before of %v", w.writes, r.Revision.Number, r.Revision.Time, w.revision[namespace])
	}
	w.revision[namespace] = r.Revision.Time
}

var clockJumps = []struct {
	name  string
	jumps []time.Duration
}{
	{"forward", []time.Duration{time.Hour, 0}},
	{"back", []time.Duration{-time.Hour, 0}},
	{"forward and back", []time.Duration{time.Hour, -time.Hour}},
	{"back and forward", []time.Duration{-time.Hour, time.Hour}},
	{"back and further back", []time.Duration{-time.Hour, -24 * time.Hour}},
}

// The clock jumps while the ledger runs, and while it is down. Each jump is
// followed by writes to a namespace that is there and by the first one to
// another, so that the system catalog's chain grows too.
func TestClockJumpsBetweenWrites(t *testing.T) {
	t.Parallel()
	for _, j := range clockJumps {
		for _, end := range []string{"running", "stop", "kill"} {
			for _, exclusive := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/exclusive %v", j.name, end, exclusive), func(t *testing.T) {
					t.Parallel()
					bubble(t, func(t *testing.T) {
						store, clock, w := initialised(t), &wallClock{}, &clockWriter{t: t}
						launched := func() *process {
							return start(t, store, clock.option, func(o *ledger.Options) { o.Exclusive = exclusive })
						}
						p := launched()
						w.write(p, "default")
						for i, jump := range j.jumps {
							switch end {
							case "stop":
								p.stop()
							case "kill":
								p.kill()
							}
							clock.jump(jump)
							if end != "running" {
								began := time.Now()
								p = launched()
								if took := time.Since(began); took > 16*time.Second {
									t.Errorf("ready after %v", took)
								}
							}
							w.write(p, fmt.Sprintf("team-%d", i))
							w.write(p, "default")
							w.write(p, "default")
						}
						p.stop()
						inspect(t, store)
					})
				})
			}
		}
	}
}

// The clock jumps at one request of a commit, whichever; the batch of that
// moment and the next ones are in order. Where the request's outcome stays
// unknown, the next write waits for the settle time and not for the clock.
func TestClockJumpsInTheMiddleOfABatch(t *testing.T) {
	t.Parallel()
	for _, kind := range []faulty.Kind{faulty.Resolve, faulty.PutBlob, faulty.PutManifest, faulty.Commit, faulty.PutTag} {
		for _, jump := range []time.Duration{time.Hour, -time.Hour} {
			for name, fault := range map[string]faulty.Fault{"answered": nil, "late": faulty.StoredLate{After: 3 * time.Second}} {
				t.Run(fmt.Sprintf("%s/%v/%s", kind, jump, name), func(t *testing.T) {
					t.Parallel()
					bubble(t, func(t *testing.T) {
						store, clock, w := initialised(t), &wallClock{}, &clockWriter{t: t}
						p := start(t, store, clock.option)
						w.write(p, "default")
						var jumped atomic.Bool
						store.SetFault(func(op faulty.Op) faulty.Fault {
							if op.Kind != kind || op.Repository != catalogRepo || jumped.Swap(true) {
								return nil
							}
							clock.jump(jump)
							return fault
						})
						began := time.Now()
						again := func() (ledger.Result, error) {
							return p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("a", "large")}})
						}
						r, err := again()
						for err != nil && time.Since(began) < time.Minute {
							r, err = again()
						}
						if took := time.Since(began); err != nil || took > 25*time.Second {
							t.Fatalf("after %v: %v", took, err)
						}
						if r.Outcomes[0].Operation != ledger.Unchanged { // else an attempt that was not answered had made it
							w.see("default", r)
						}
						if !jumped.Load() {
							t.Fatal("a commit sent no such request")
						}
						clock.jump(-jump)
						time.Sleep(20 * time.Second) // what was not answered settles
						w.write(p, "default")
						w.write(p, "team")
						p.stop()
						store.Flush()
						inspect(t, store)
					})
				})
			}
		}
	}
}

// Ledgers on machines whose clocks differ by hours follow each other, some
// while the one before still runs: each claim's id is later than the last, and
// so are the versions, because ids decide who is the earlier one.
func TestClocksOfDifferentMachines(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store, w := initialised(t), &clockWriter{t: t}
		var before intent.Version
		var last *process
		for i, offset := range []time.Duration{0, -time.Hour, time.Hour, -2 * time.Hour, 0, -time.Hour} {
			clock := &wallClock{}
			clock.jump(offset)
			began := time.Now()
			p := start(t, store, clock.option)
			if took := time.Since(began); took > 16*time.Second {
				t.Errorf("ledger %d is ready after %v", i, took)
			}
			claimed := claimedAt(t, store)
			if claimed <= before {
				t.Errorf("ledger %d claims at %v, the one before did at %v", i, claimed, before)
			}
			before = claimed
			w.write(p, "default")
			w.write(p, fmt.Sprintf("team-%d", i))
			if last != nil {
				_, err := last.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("a", "large")}})
				if code(err) != ledger.CodeSuperseded {
					t.Errorf("ledger %d, after the next one wrote: %v", i-1, err)
				}
				last.stop()
			}
			if last = p; i%2 == 1 { // the next one starts when this one is gone
				p.stop()
				last = nil
			}
		}
		inspect(t, store)
	})
}

// A commit that lands when the next ledger has begun is adopted, although that
// one's clock is an hour behind: the writer's claim counts as an earlier one.
func TestACommitOfAMachineWithAnotherClockIsAdopted(t *testing.T) {
	t.Parallel()
	for _, offset := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(fmt.Sprint(offset), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store, w := initialised(t), &clockWriter{t: t}
				first := start(t, store)
				w.write(first, "default")
				store.SetFault(once(func(op faulty.Op) faulty.Fault {
					if op.Kind == faulty.Commit && op.Repository == catalogRepo {
						return faulty.StoredLate{After: 20 * time.Second} // longer than any ledger waits
					}
					return nil
				}))
				go first.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("late", "large")}})
				time.Sleep(time.Millisecond)
				first.line.cut.Store(true)
				clock := &wallClock{}
				clock.jump(offset)
				p := start(t, store, clock.option)
				if _, _, err := p.Get("default", "late"); code(err) != ledger.CodeNotFound {
					t.Errorf("it landed too early: %v", err)
				}
				time.Sleep(15 * time.Second)
				w.write(p, "default")
				if e, _, err := p.Get("default", "late"); err != nil || e.Version >= w.version {
					t.Errorf("what landed late: %+v, %v", e, err)
				}
				p.stop()
				inspect(t, store)
			})
		})
	}
}

// claimedAt returns the time in the id of the claim that stands.
func claimedAt(t *testing.T, store *faulty.Store) intent.Version {
	t.Helper()
	a, err := store.Raw().Get(context.Background(), prefix+"/writer", artifact.Latest)
	if err != nil {
		t.Fatal(err)
	}
	c, err := artifact.UnpackClaim(a)
	if err != nil {
		t.Fatal(err)
	}
	v, ok := artifact.ClaimTime(c.ID)
	if !ok {
		t.Fatalf("%q is not the id of a claim", c.ID)
	}
	return v
}
