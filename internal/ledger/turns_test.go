package ledger

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

func TestTurnsAreTakenInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := make(turns, 1)
		first := turns.take(t.Context())
		var order []string
		for _, name := range []string{"second", "third"} {
			go func() {
				done := turns.take(t.Context())
				order = append(order, name)
				done()
			}()
			synctest.Wait()
		}
		if len(order) > 0 {
			t.Errorf("%v had a turn while another had", order)
		}
		first()
		first() // gives nobody else's back
		synctest.Wait()
		if len(order) != 2 || order[0] != "second" {
			t.Errorf("turns were taken by %v", order)
		}
		if len(turns) != 0 {
			t.Errorf("%d turns were not given back", len(turns))
		}
	})
}

func TestATurnEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		turns := make(turns, 1)
		late := turns.take(t.Context())
		begun := time.Now()
		done := turns.take(t.Context())
		if waited := time.Since(begun); waited != turnMost {
			t.Errorf("waited %s for a turn that is not given back, want %s", waited, turnMost)
		}
		late() // must not give back the turn that another has by now
		if len(turns) != 1 {
			t.Error("a late return gave back another's turn")
		}
		done()

		ctx, cancel := context.WithCancel(t.Context())
		defer turns.take(t.Context())()
		cancel()
		turns.take(ctx)()
		if len(turns) != 1 {
			t.Error("who did not get a turn gave one back")
		}
	})
}

func TestOnlyAnExclusiveRegistryHasTurns(t *testing.T) {
	t.Parallel()
	if n := cap(newTurns(Options{Exclusive: true})); n < 1 || n > runtime.GOMAXPROCS(0) {
		t.Errorf("%d turns at once on %d processors", n, runtime.GOMAXPROCS(0))
	}
	external := newTurns(Options{})
	for range 100 {
		external.take(t.Context()) // never given back, and nobody waits
	}
}
