package embedded

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"gitops-squared.io/gsq/internal/registry"
)

var _ registry.Collector = (*Store)(nil)

// A manifest of a repository needs the repository's links to the blobs that it
// names, a link needs its blob, and a blob its chunks or its file. A collection
// removes from the top of this chain downwards, each kind only when what could
// need it is gone, so that it may end anywhere: what it leaves is found by the
// next one.
//
// Links that no manifest needs are told by marking: the collection reads all
// manifests in one view of the database and marks the links that they need.
// From that view on, each writer marks the links that it makes or relies on, before
// it gives Store.blobs back, which it holds from its first look into the
// database until its batch is applied. What is not marked is deleted in small
// slices that hold Store.blobs exclusively, and look at the marks again there.
// So either the slice comes first, and the writer finds no link, or the writer
// does, and the slice finds its mark. Chunks are told in the same way. Blobs
// and files need no marks: whether a link, or a blob, is there is seen in the
// slice itself.

// sliceLength is how many keys are deleted while writers wait.
const sliceLength = 128

// A slice, and the wait for it, take at most a tenth of the time.
const (
	pauseFactor = 9
	maxPause    = 200 * time.Millisecond
)

// Collect implements registry.Collector. When ctx ends, it ends a moment later.
// When the disk is so full that tables cannot be merged, what was deleted from the
// database gives its room back later, without an error.
func (s *Store) Collect(ctx context.Context, grace time.Duration) (registry.Freed, error) {
	if !s.collecting.TryLock() {
		return registry.Freed{}, fmt.Errorf("collect: %w: another collection is under way", registry.ErrUnavailable)
	}
	defer s.collecting.Unlock()
	ctx, stop := s.untilClosed(ctx)
	defer stop()
	c := &collection{s: s, ctx: ctx, grace: grace}
	// The operation itself ends with ctx; its result is waited for.
	err := s.write(context.WithoutCancel(ctx), c.run)
	s.collected.add(c.freed)
	if err != nil {
		return c.freed, fmt.Errorf("collect: %w", err)
	}
	return c.freed, nil
}

// untilClosed returns a context that also ends when Close begins.
func (s *Store) untilClosed(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-s.closing:
			cancel(errors.New("the embedded registry is being closed"))
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// collection is one call of Collect.
type collection struct {
	s     *Store
	ctx   context.Context
	grace time.Duration
	freed registry.Freed
}

func (c *collection) run() error {
	defer c.s.marks.Store(nil)
	for _, step := range []func() error{
		c.links, c.blobs, c.chunks, c.files, c.temporaries, c.uploads, c.compact,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (c *collection) interrupted() error {
	if c.ctx.Err() != nil {
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, context.Cause(c.ctx))
	}
	return nil
}

// mark begins marking, and returns the view of the database from which on
// writers mark. Close it.
func (c *collection) mark(expected int64) (*marks, *pebble.Snapshot) {
	m := newMarks(expected)
	c.s.blobs.Lock()
	defer c.s.blobs.Unlock()
	c.s.marks.Store(m)
	return m, c.s.db.NewSnapshot()
}

// scan calls do at each key of a kind.
func (c *collection) scan(db pebble.Reader, kind byte, do func(it *pebble.Iterator) error) error {
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{kind}, UpperBound: []byte{kind + 1}})
	if err != nil {
		return readError(err)
	}
	for valid := it.First(); valid && err == nil; valid = it.Next() {
		if err = c.interrupted(); err == nil {
			err = do(it)
		}
	}
	if reading := errors.Join(it.Error(), it.Close()); reading != nil {
		err = errors.Join(err, readError(reading))
	}
	return err
}

// slice applies what fill deletes, while no writer is at work.
func (c *collection) slice(fill func(batch *pebble.Batch) error) error {
	if err := errors.Join(c.interrupted(), c.s.space.acceptSmall()); err != nil {
		return err
	}
	return c.alone(fill)
}

// alone is a slice that needs no room.
func (c *collection) alone(fill func(batch *pebble.Batch) error) error {
	if c.s.options.beforeSlice != nil {
		c.s.options.beforeSlice()
	}
	begin := time.Now()
	err := c.applyAlone(fill)
	c.pause(time.Since(begin) * pauseFactor)
	return err
}

func (c *collection) applyAlone(fill func(batch *pebble.Batch) error) error {
	c.s.blobs.Lock()
	defer c.s.blobs.Unlock()
	batch := c.s.db.NewBatch()
	if err := fill(batch); err != nil {
		return errors.Join(err, batch.Close())
	}
	if batch.Empty() {
		return closeBatch(batch)
	}
	return c.s.apply(batch)
}

// pause lets writers do what has waited.
func (c *collection) pause(d time.Duration) {
	timer := time.NewTimer(min(d, maxPause))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.ctx.Done():
	}
}

// sliced collects keys, and hands them on in slices.
type sliced struct {
	keys [][]byte
	each func(keys [][]byte) error
}

func (l *sliced) add(key []byte) error {
	l.keys = append(l.keys, append([]byte(nil), key...))
	if len(l.keys) < sliceLength {
		return nil
	}
	return l.rest()
}

func (l *sliced) rest() error {
	if len(l.keys) == 0 {
		return nil
	}
	err := l.each(l.keys)
	l.keys = l.keys[:0]
	return err
}

// expected estimates how many keys of a kind there are that take so many bytes each.
func (c *collection) expected(kind byte, bytes uint64) (int64, error) {
	used, err := c.s.db.EstimateDiskUsage([]byte{kind}, []byte{kind + 1})
	if err != nil {
		return 0, readError(err)
	}
	return int64(used / bytes), nil
}
