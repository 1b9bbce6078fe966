package remote

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
)

func TestTenant(t *testing.T) {
	t.Parallel()
	for repository, want := range map[string]string{
		"gitops-squared/resources/team-a/db": "namespace team-a",
		"gitops-squared/catalogs/team-a":     "namespace team-a",
		"gitops-squared/catalog":             "namespace default",
		"gitops-squared/resources/default/x": "namespace default",
		"gitops-squared/system":              "gitops-squared/system",
		"gitops-squared/clusters/prod":       "gitops-squared/clusters/prod",
		"deep/er/prefix/catalogs/catalog":    "namespace catalog",
		"catalog":                            "namespace default",
		"x":                                  "x",
		"":                                   "",
	} {
		if got := tenant(repository); got != want {
			t.Errorf("%s: got %q, want %q", repository, got, want)
		}
	}
}

// TestTurnsServeTenantsInTurn lets many of one tenant wait, then one of each
// of two others, and looks at the order in which they are served.
func TestTurnsServeTenantsInTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newTurns(1)
		if err := q.acquire(t.Context(), "flood"); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var served []string
		for _, tenant := range []string{"flood", "flood", "flood", "flood", "b", "c", "b"} {
			go func() {
				if err := q.acquire(t.Context(), tenant); err != nil {
					t.Error(err)
				}
				mu.Lock()
				served = append(served, tenant)
				mu.Unlock()
			}()
			synctest.Wait()
		}
		for range 7 {
			q.release()
			synctest.Wait()
		}
		if want := []string{"flood", "b", "c", "flood", "b", "flood", "flood"}; !slices.Equal(served, want) {
			t.Errorf("served %v, want %v", served, want)
		}
		q.release()
		if q.free != 1 || len(q.waiting) != 0 || len(q.order) != 0 {
			t.Errorf("left behind: %+v", q)
		}
	})
}

func TestTurnsBoundWhatRuns(t *testing.T) {
	t.Parallel()
	const limit = 3
	q := newTurns(limit)
	var mu sync.Mutex
	var wg sync.WaitGroup
	running, most := 0, 0
	for i := range 200 {
		wg.Go(func() {
			if err := q.acquire(t.Context(), string(rune('a'+i%5))); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			running++
			most = max(most, running)
			mu.Unlock()
			mu.Lock()
			running--
			mu.Unlock()
			q.release()
		})
	}
	wg.Wait()
	if most > limit || q.free != limit {
		t.Errorf("%d ran at once, %d are free; the limit is %d", most, q.free, limit)
	}
}

func TestTurnsEndWithTheirContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newTurns(1)
		if err := q.acquire(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error, 2)
		for _, tenant := range []string{"a", "b"} {
			go func() { got <- q.acquire(ctx, tenant) }()
		}
		synctest.Wait()
		cancel()
		for range 2 {
			if err := <-got; !errors.Is(err, context.Canceled) {
				t.Errorf("waiting: %v", err)
			}
		}
		if err := q.acquire(ctx, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("with an ended context: %v", err)
		}
		q.release()
		if q.free != 1 || len(q.waiting) != 0 || len(q.order) != 0 {
			t.Errorf("left behind: %+v", q)
		}
	})
}

// TestTurnsLoseNone hands a turn to one whose context has just ended, before it
// can have left. Now and then it has, so it is tried often.
func TestTurnsLoseNone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for range 200 {
			q := newTurns(1)
			if err := q.acquire(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				if q.acquire(ctx, "b") == nil {
					q.release()
				}
			}()
			synctest.Wait()
			cancel()
			q.release()
			synctest.Wait()
			if q.free != 1 || len(q.waiting) != 0 || len(q.order) != 0 {
				t.Fatalf("left behind: %+v", q)
			}
		}
	})
}
