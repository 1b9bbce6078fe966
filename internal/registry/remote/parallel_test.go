package remote

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gitops-squared.io/gsq/internal/registry"
)

func TestParallelReturnsAnUnsettledError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		errs := []error{nil, registry.ErrRefused, registry.ErrUnavailable, registry.ErrRefused}
		err := parallel(4, len(errs), func(i int) error {
			time.Sleep(time.Duration(i) * time.Second)
			return errs[i]
		})
		if !errors.Is(err, registry.ErrUnavailable) || registry.Settled(err) {
			t.Errorf("got %v", err)
		}
	})
}

func TestParallelStopsAtTheFirstFailure(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	err := parallel(1, 10, func(i int) error {
		calls.Add(1)
		if i == 2 {
			return fmt.Errorf("number %d: %w", i, registry.ErrRefused)
		}
		return nil
	})
	if !errors.Is(err, registry.ErrRefused) || calls.Load() != 3 {
		t.Errorf("%d calls, %v", calls.Load(), err)
	}
	if err := parallel(4, 0, func(int) error { return errors.New("called") }); err != nil {
		t.Error(err)
	}
}
