package embedded

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"gitops-squared.io/gsq/internal/registry"
)

// write runs an operation that stores something, and returns when it is done
// or ctx ends, whichever is first. An operation that outlives its ctx is
// finished in the background, as far as it comes; Close waits for it.
func (s *Store) write(ctx context.Context, operation func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	done := make(chan error, 1)
	go func() {
		// The result if the database ends this goroutine, after a fatal error.
		result := fmt.Errorf("%w: storage failed", registry.ErrUnavailable)
		defer func() {
			if p := recover(); p != nil {
				s.fail(fmt.Errorf("database: %v", p))
			}
			done <- result
		}()
		s.life.RLock()
		defer s.life.RUnlock()
		if err := s.usable(); err != nil {
			result = err
			return
		}
		result = operation()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, ctx.Err())
	}
}

// read runs an operation that stores nothing.
func (s *Store) read(ctx context.Context, operation func() error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	s.life.RLock()
	defer s.life.RUnlock()
	if err := s.usable(); err != nil {
		return err
	}
	return operation()
}

// apply makes a batch visible and closes it. It is durable once a later synced
// batch is: the write-ahead log keeps the order.
func (s *Store) apply(batch *pebble.Batch) error {
	if err := s.db.Apply(batch, pebble.NoSync); err != nil {
		return s.applyFailed(err)
	}
	return closeBatch(batch)
}

// applySynced makes a batch visible and returns a function that waits until it
// and everything before it is durable, and closes it. The function must be
// called, without any lock.
func (s *Store) applySynced(batch *pebble.Batch) (wait func() error, err error) {
	if batch.Empty() {
		// Pebble does nothing for an empty batch, but what makes it empty may
		// not be durable yet. An entry of the log alone brings the sync.
		if err := batch.LogData(nil, nil); err != nil {
			return nil, fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
		}
	}
	if err := s.db.ApplyNoSyncWait(batch, pebble.Sync); err != nil {
		return nil, s.applyFailed(err)
	}
	return func() error {
		if err := batch.SyncWait(); err != nil {
			return s.applyFailed(err)
		}
		return closeBatch(batch)
	}, nil
}

func closeBatch(batch *pebble.Batch) error {
	if err := batch.Close(); err != nil {
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	return nil
}

func (s *Store) applyFailed(err error) error {
	s.fail(fmt.Errorf("database: %w", err))
	return fmt.Errorf("%w: storage failed: %w", registry.ErrUnavailable, err)
}

// readError classifies what reading the database or a file returned.
func readError(err error) error {
	if pebble.IsCorruptionError(err) {
		return fmt.Errorf("%w: %w", registry.ErrCorrupt, err)
	}
	return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
}
