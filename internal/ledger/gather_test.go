package ledger_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/registry/faulty"
)

// slowCatalogs makes each commit take 40 ms.
func slowCatalogs(store *faulty.Store) {
	store.SetFault(func(op faulty.Op) faulty.Fault {
		if op.Kind == faulty.PutManifest && op.Repository == catalogRepo {
			return faulty.Delay{For: 40 * time.Millisecond}
		}
		return nil
	})
}

// Callers that write again as soon as they are answered share their commits,
// although they do not come back all at once.
func TestCallersThatComeBackShareCommits(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		slowCatalogs(store)
		const clients, writes = 8, 10
		var writers sync.WaitGroup
		for c := range clients {
			writers.Go(func() {
				for i := range writes {
					time.Sleep(time.Duration(1+c%4) * time.Millisecond)
					apply(t, p, "default", put(fmt.Sprintf("c%d", c), []string{"small", "large"}[i%2]))
				}
			})
		}
		writers.Wait()
		s, err := p.List("default")
		if err != nil {
			t.Fatal(err)
		}
		if s.Revision.Number > 1+writes+3 {
			t.Errorf("%d revisions for %d writes each of %d callers", s.Revision.Number-1, writes, clients)
		}
	})
}

// Who writes alone waits for nobody.
func TestASingleCallerIsNotDelayed(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		slowCatalogs(store)
		begin := time.Now()
		for i := range 5 {
			apply(t, p, "default", put("a", []string{"small", "large"}[i%2]))
		}
		if took := time.Since(begin); took != 5*40*time.Millisecond {
			t.Errorf("5 writes took %v", took)
		}
	})
}
