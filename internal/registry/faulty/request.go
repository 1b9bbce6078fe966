package faulty

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gitops-squared.io/gsq/internal/registry"
)

// errClosed ends the requests that wait when Close is called.
var errClosed = errors.New("the store was closed")

// forever is a time that never comes.
const forever time.Duration = -1

// flaws are the faults that change a read's answer rather than replace it.
type flaws struct{ notFound, stale, corrupt bool }

// write performs one request that changes the content. apply is told whether
// it runs long after the request was answered.
func (s *Store) write(ctx context.Context, op Op, apply func(late bool) error) error {
	fault, timeout := s.begin(op)
	if err := ctx.Err(); err != nil {
		return op.failed(registry.ErrUnavailable, err)
	}
	switch f := fault.(type) {
	case nil:
		return apply(false)
	case Delay:
		if err := s.wait(ctx, f.For, timeout); err != nil {
			return op.failed(registry.ErrUnavailable, err)
		}
		return apply(false)
	case StoredLate:
		err := s.wait(ctx, forever, timeout)
		s.schedule(f.After, func() { _ = apply(true) }) // nobody is left to hear that it was refused
		return op.failed(registry.ErrUnavailable, err)
	case Failure:
		switch f {
		case StoredButError:
			if err := apply(false); err != nil {
				return err
			}
			return op.failed(registry.ErrUnavailable, errors.New("the connection was lost after the request"))
		case NotFound:
			if op.Kind == Delete {
				return op.failed(registry.ErrNotFound, nil)
			}
		case Stale, Corrupt:
		default:
			return s.fail(ctx, op, f, timeout)
		}
	}
	panic(fmt.Sprintf("faulty: %v: the fault %#v is for reads", op, fault))
}

// read begins one request that changes nothing. It returns how its answer is
// to be spoilt.
func (s *Store) read(ctx context.Context, op Op) (flaws, error) {
	fault, timeout := s.begin(op)
	if err := ctx.Err(); err != nil {
		return flaws{}, op.failed(registry.ErrUnavailable, err)
	}
	switch f := fault.(type) {
	case Delay:
		if err := s.wait(ctx, f.For, timeout); err != nil {
			return flaws{}, op.failed(registry.ErrUnavailable, err)
		}
	case StoredLate:
		return flaws{}, s.fail(ctx, op, Timeout, timeout)
	case Failure:
		switch f {
		case NotFound:
			return flaws{notFound: true}, nil
		case Stale:
			return flaws{stale: true}, nil
		case Corrupt:
			return flaws{corrupt: true}, nil
		default:
			return flaws{}, s.fail(ctx, op, f, timeout)
		}
	}
	return flaws{}, nil
}

// fail returns the error of a request that has no effect.
func (s *Store) fail(ctx context.Context, op Op, f Failure, timeout time.Duration) error {
	switch f {
	case Refused:
		return op.failed(registry.ErrRefused, errors.New("denied"))
	case Unreachable:
		return op.failed(registry.ErrUnreachable, errors.New("connection refused"))
	case Timeout:
		return op.failed(registry.ErrUnavailable, s.wait(ctx, forever, timeout))
	default:
		return op.failed(registry.ErrUnavailable, errors.New("500 internal server error"))
	}
}

// wait returns nil after d (never, if d is forever), or an error when the context or
// the time-out ends, or the Store is closed, before.
func (s *Store) wait(ctx context.Context, d, timeout time.Duration) error {
	var done <-chan time.Time
	if d >= 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		done = timer.C
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		return errClosed
	}
}

// failed wraps the class of an error with the request and the cause.
func (op Op) failed(class, cause error) error {
	if cause == nil {
		return fmt.Errorf("%v: %w", op, class)
	}
	return fmt.Errorf("%v: %w: %w", op, class, cause)
}

// String names the request as an error message does.
func (op Op) String() string { return fmt.Sprintf("%s %s %s", op.Kind, op.Repository, op.Reference) }
