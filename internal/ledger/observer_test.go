package ledger_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// recorder is an observer that remembers what it was told.
type recorder struct {
	mu       sync.Mutex
	answered map[ledger.Code][]time.Duration
	batches  [][2]int // requests and changes
	spent    map[ledger.Phase][]time.Duration
	repaired map[ledger.Repair]int

	collected []ledger.Collection
}

func (r *recorder) Answered(took time.Duration, code ledger.Code) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answered[code] = append(r.answered[code], took)
}

func (r *recorder) Committed(requests, changes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches = append(r.batches, [2]int{requests, changes})
}

func (r *recorder) Spent(p ledger.Phase, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spent[p] = append(r.spent[p], took)
}

func (r *recorder) Repaired(kind ledger.Repair) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.repaired[kind]++
}

func (r *recorder) Collected(c ledger.Collection) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.collected = append(r.collected, c)
}

func (r *recorder) Freed(registry.Freed) {}

// codes counts the answers by code.
func (r *recorder) codes() map[ledger.Code]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts := map[ledger.Code]int{}
	for code, times := range r.answered {
		counts[code] = len(times)
	}
	return counts
}

// times returns how often each phase was told of, and the sum of each that was
// not over at once.
func (r *recorder) times() (counts map[ledger.Phase]int, sums map[ledger.Phase]time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	counts, sums = map[ledger.Phase]int{}, map[ledger.Phase]time.Duration{}
	for p, times := range r.spent {
		counts[p] = len(times)
		for _, d := range times {
			if d != 0 {
				sums[p] += d
			}
		}
	}
	return counts, sums
}

func (r *recorder) repairs() map[ledger.Repair]int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.repaired)
}

// observe is an option that lets a recorder observe.
func observe() (*recorder, func(*ledger.Options)) {
	r := &recorder{answered: map[ledger.Code][]time.Duration{}, spent: map[ledger.Phase][]time.Duration{}, repaired: map[ledger.Repair]int{}}
	return r, func(o *ledger.Options) { o.Observer = r }
}

func of(changes ...ledger.Change) ledger.Request {
	return ledger.Request{Namespace: "default", Changes: changes}
}

// What is written while a commit is under way is committed together, and each
// request's wait is its own.
func TestObservedBatches(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		seen, option := observe()
		p := start(t, store, option)
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.PutManifest && op.Repository == catalogRepo {
				return faulty.Delay{For: time.Second}
			}
			return nil
		})
		var writers sync.WaitGroup
		writers.Go(func() { apply(t, p, "default", put("a", "small")) })
		time.Sleep(200 * time.Millisecond)
		for i := range 3 { // at 200, 300 and 400 ms; the first commit ends at 1 s
			writers.Go(func() {
				apply(t, p, "default", put(fmt.Sprintf("b%d", i), "small"), put(fmt.Sprintf("c%d", i), "small"))
			})
			time.Sleep(100 * time.Millisecond)
		}
		writers.Wait()
		apply(t, p, "default", put("a", "small")) // changes nothing
		if _, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", DryRun: true, Changes: []ledger.Change{put("d", "small")}}); err != nil {
			t.Fatal(err)
		}
		if want := [][2]int{{1, 1}, {3, 6}}; !slices.Equal(seen.batches, want) {
			t.Errorf("batches of %v requests and changes, want %v", seen.batches, want)
		}
		if want := map[ledger.Code]int{"": 5}; !maps.Equal(seen.codes(), want) {
			t.Errorf("answers %v, want %v", seen.codes(), want)
		}
		counts, sums := seen.times()
		if want := map[ledger.Phase]int{"wait": 4, "build": 2, "push": 2, "check": 2, "offer": 2, "tags": 2}; !maps.Equal(counts, want) {
			t.Errorf("phases %v, want %v", counts, want)
		}
		if want := map[ledger.Phase]time.Duration{"wait": 2160 * time.Millisecond, "push": 2 * time.Second}; !maps.Equal(sums, want) {
			t.Errorf("times %v, want %v", sums, want)
		}
		slices.Sort(seen.answered[""])
		// Whoever was expected back and did not come was waited for: 20 ms.
		want := []time.Duration{20 * time.Millisecond, time.Second, 1620 * time.Millisecond, 1720 * time.Millisecond, 1820 * time.Millisecond}
		if !slices.Equal(seen.answered[""], want) {
			t.Errorf("the requests took %v, want %v", seen.answered[""], want)
		}
	})
}

// Time is counted in the phase that spends it, and in no other.
func TestObservedPhases(t *testing.T) {
	t.Parallel()
	for phase, slow := range map[ledger.Phase]func(faulty.Op) bool{
		ledger.PhasePush: func(op faulty.Op) bool { return op.Kind == faulty.PutManifest && op.Repository == catalogRepo },
		ledger.PhaseCheck: func(op faulty.Op) bool {
			return op.Kind == faulty.Resolve && op.Repository == catalogRepo && op.Reference == "latest"
		},
		ledger.PhaseOffer: func(op faulty.Op) bool { return op.Kind == faulty.Commit },
		ledger.PhaseTags:  func(op faulty.Op) bool { return op.Kind == faulty.PutTag && op.Repository == catalogRepo },
	} {
		t.Run(string(phase), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				seen, option := observe()
				p := start(t, store, option)
				store.SetFault(func(op faulty.Op) faulty.Fault {
					if slow(op) {
						return faulty.Delay{For: time.Second}
					}
					return nil
				})
				apply(t, p, "default", put("a", "small"))
				if _, sums := seen.times(); !maps.Equal(sums, map[ledger.Phase]time.Duration{phase: time.Second}) {
					t.Errorf("times %v, want one second of %s", sums, phase)
				}
			})
		})
	}
}

// Every refused write is told of once, with the code that answers it.
func TestObservedRejections(t *testing.T) {
	t.Parallel()
	failing := func(f faulty.Fault, kinds ...faulty.Kind) func(*testing.T, *faulty.Store) {
		return func(_ *testing.T, s *faulty.Store) {
			s.SetFault(func(op faulty.Op) faulty.Fault {
				if slices.Contains(kinds, op.Kind) && strings.HasPrefix(op.Repository, catalogRepo) {
					return f
				}
				return nil
			})
		}
	}
	for want, tc := range map[ledger.Code]struct {
		request ledger.Request
		before  func(*testing.T, *faulty.Store)
		change  func(*ledger.Options)
	}{
		ledger.CodeInvalid:            {request: of(put("A", "small"))},
		ledger.CodeNotFound:           {request: of(ledger.Change{Name: "none", Delete: true})},
		ledger.CodeNamespaceNotFound:  {request: ledger.Request{Namespace: "none", Prune: true}},
		ledger.CodePreconditionFailed: {request: of(ledger.Change{Name: "a", Spec: put("a", "large").Spec, IfNoneMatch: true})},
		ledger.CodeConfirm:            {request: ledger.Request{Namespace: "default", Prune: true}},
		ledger.CodeLimit:              {request: of(put("b", "small")), change: func(o *ledger.Options) { o.MaxResources = 1 }},
		ledger.CodeRegistryUnavailable: {
			request: of(put("b", "small")), before: failing(faulty.Unreachable, faulty.PutManifest),
		},
		ledger.CodeOutcomeUnknown: {request: of(put("b", "small")), before: failing(faulty.NotStored, faulty.Commit)},
		ledger.CodeSuperseded:     {request: of(put("b", "small")), before: supersede},
		ledger.CodeForeignWriter: {request: of(put("b", "small")), before: func(t *testing.T, s *faulty.Store) {
			forge(t, s, 40, tagged(t, s, catalogRepo, "r2"), writer(t, s), "2100-01-01T00:00:00.000000Z")
		}},
	} {
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				seen, option := observe()
				options := []func(*ledger.Options){option}
				if tc.change != nil {
					options = append(options, tc.change)
				}
				p := start(t, store, options...)
				apply(t, p, "default", put("a", "small"))
				if tc.before != nil {
					tc.before(t, store)
				}
				if _, err := p.Apply(context.Background(), tc.request); code(err) != want {
					t.Errorf("answered with %v, want %s", err, want)
				}
				if counts := map[ledger.Code]int{"": 1, want: 1}; !maps.Equal(seen.codes(), counts) {
					t.Errorf("answers %v, want %v", seen.codes(), counts)
				}
				if len(seen.batches) != 1 {
					t.Errorf("%d batches were committed, want one", len(seen.batches))
				}
				dry := tc.request
				dry.DryRun = true
				if _, err := p.Apply(context.Background(), dry); len(seen.codes()) != 2 || seen.codes()[want] != 1 {
					t.Errorf("the dry run that answered %v was counted", err)
				}
				if !slices.Contains(ledger.ApplyCodes(), want) {
					t.Errorf("%s is not among the codes of Apply", want)
				}
			})
		})
	}
}

// A ledger that is idle, too, finds out that another one has claimed the prefix.
func TestAnIdleLedgerLearnsThatItIsSuperseded(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		supersede(t, store)
		time.Sleep(2 * time.Minute)
		if code(p.Ready()) != ledger.CodeSuperseded {
			t.Errorf("it answers %v", p.Ready())
		}
	})
}

// What waits is counted with the age of the oldest, also when its caller has
// left, until it is settled; what is answered is not, full queue or not.
func TestWaitingRequests(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		seen, option := observe()
		p := start(t, store, option, func(o *ledger.Options) { o.QueueLength = 3 })
		waiting := func() (int, time.Duration) {
			t.Helper()
			all, err := p.Namespaces()
			if err != nil || len(all) != 1 {
				t.Fatalf("namespaces %v, %v", all, err)
			}
			if all[0].WaitingSince.IsZero() {
				return all[0].Waiting, 0
			}
			return all[0].Waiting, time.Since(all[0].WaitingSince)
		}
		if n, age := waiting(); n != 0 || age != 0 {
			t.Errorf("%d wait since %s before there was any", n, age)
		}
		store.SetFault(only(faulty.Commit, catalogRepo, "latest", faulty.NotStored))
		var writers sync.WaitGroup
		for _, name := range []string{"a", "b", "c"} {
			writers.Go(func() { p.Apply(context.Background(), of(put(name, "small"))) })
			time.Sleep(time.Second)
		}
		if n, age := waiting(); n != 3 || age != 3*time.Second {
			t.Errorf("%d wait since %s, want 3 since 3s", n, age)
		}
		if _, err := p.Apply(context.Background(), of(put("d", "small"))); code(err) != ledger.CodeQueueFull {
			t.Errorf("a full queue answers %v", err)
		}
		writers.Wait() // b and c, which had not begun, were withdrawn
		if n, age := waiting(); n != 1 || age < 6*time.Second {
			t.Errorf("%d wait since %s, want the one that is not settled", n, age)
		}
		want := map[ledger.Code]int{ledger.CodeQueueFull: 1, ledger.CodeOutcomeUnknown: 1, ledger.CodeRegistryUnavailable: 2}
		if got := seen.codes(); !maps.Equal(got, want) {
			t.Errorf("answers %v, want %v", got, want)
		}
		store.SetFault(nil)
		time.Sleep(time.Minute)
		if n, age := waiting(); n != 0 || age != 0 {
			t.Errorf("%d wait since %s after all is settled", n, age)
		}
		if n := seen.repairs()[ledger.RepairRepeated]; n == 0 {
			t.Error("no repetition was told of")
		}
	})
}

func TestObservedRepairs(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[ledger.Repair]func(t *testing.T, s *faulty.Store, earlier string){
		ledger.RepairPutForward: func(t *testing.T, s *faulty.Store, _ string) {
			s.SetTag(catalogRepo, "latest", tagged(t, s, catalogRepo, "r1"))
		},
		ledger.RepairTagged: func(_ *testing.T, s *faulty.Store, _ string) { s.RemoveTag(catalogRepo, "r2") },
		ledger.RepairAdopted: func(t *testing.T, s *faulty.Store, earlier string) {
			forge(t, s, 3, tagged(t, s, catalogRepo, "r2"), earlier, "2100-01-01T00:00:00.000000Z")
		},
		ledger.RepairRepeated: func(_ *testing.T, s *faulty.Store, _ string) {
			s.SetFault(once(only(faulty.Commit, catalogRepo, "latest", faulty.StoredButError)))
		},
	} {
		t.Run(string(want), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				earlier := writer(t, store)
				seen, option := observe()
				p := start(t, store, option)
				apply(t, p, "default", put("a", "small"))
				if got := seen.repairs(); len(got) != 0 {
					t.Errorf("repairs %v before anything was spoilt", got)
				}
				spoil(t, store, earlier)
				apply(t, p, "default", put("b", "small"))
				if got := seen.repairs(); !maps.Equal(got, map[ledger.Repair]int{want: 1}) {
					t.Errorf("repairs %v, want one %s", got, want)
				}
			})
		})
	}
}

// A request that was answered when a batch was formed does not wait for the
// rest of the batch to be committed.
func TestAnsweredRequestsDoNotWait(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.PutManifest && op.Repository == catalogRepo {
				return faulty.Delay{For: time.Second}
			}
			return nil
		})
		var writers sync.WaitGroup
		writers.Go(func() { apply(t, p, "default", put("a", "small")) })
		time.Sleep(100 * time.Millisecond)
		writers.Go(func() { p.Apply(context.Background(), of(ledger.Change{Name: "none", Delete: true})) })
		time.Sleep(100 * time.Millisecond)
		writers.Go(func() { apply(t, p, "default", put("b", "small")) })
		time.Sleep(time.Second) // the first is committed, the second answered, the third on its way
		all, err := p.Namespaces()
		if err != nil || all[0].Waiting != 1 || time.Since(all[0].WaitingSince) != time.Second {
			t.Errorf("%+v, %v; want one that waits for a second", all, err)
		}
		writers.Wait()
	})
}
