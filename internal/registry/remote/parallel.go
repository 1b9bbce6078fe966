package remote

import (
	"sync"

	"gitops-squared.io/gsq/internal/registry"
)

// parallel calls do for 0 to n-1, up to width at once. After a failure it
// begins no more, but waits for those that run, because to abandon a write
// leaves its outcome unknown. Of many errors it returns one whose outcome is
// unknown, if there is one, so that registry.Settled holds for all of them.
func parallel(width, n int, do func(i int) error) error {
	var (
		mu   sync.Mutex
		next int
		fail error
		wg   sync.WaitGroup
	)
	take := func() (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if fail != nil || next == n {
			return 0, false
		}
		next++
		return next - 1, true
	}
	for range min(width, n) {
		wg.Go(func() {
			for i, ok := take(); ok; i, ok = take() {
				if err := do(i); err != nil {
					mu.Lock()
					if fail == nil || (registry.Settled(fail) && !registry.Settled(err)) {
						fail = err
					}
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return fail
}
