package fsck_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/fsck"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// A registry that stops answering, at whatever request, is an error: never
// "nothing is wrong", and never a finding.
func TestRegistryStopsAnswering(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	thinned(b)
	b.store.RemoveTag(b.layout.Catalog("shop"), "r11") // so that suspects are read again, too
	_, whole := check(t, b.store.Raw())
	for _, fault := range []faulty.Failure{faulty.Unreachable, faulty.NotStored, faulty.Refused} {
		for from := int64(1); from <= whole.Requests; from += 1 + whole.Requests/40 {
			store := b.store.Raw()
			var n atomic.Int64
			store.SetFault(func(faulty.Op) faulty.Fault {
				if n.Add(1) >= from {
					return fault
				}
				return nil
			})
			found, _, err := try(store)
			if err == nil || len(found) > 0 {
				t.Errorf("fault %d from request %d on: %v, %d findings", fault, from, err, len(found))
			}
			if err != nil && !errors.Is(err, registry.ErrUnreachable) && !errors.Is(err, registry.ErrUnavailable) && !errors.Is(err, registry.ErrRefused) {
				t.Errorf("fault %d from request %d on: %v does not say that it is the registry", fault, from, err)
			}
		}
	}
}

// What goes wrong once is tried again.
func TestRegistryStumbles(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	thinned(b)
	_, whole := check(t, b.store.Raw())
	for _, fault := range []faulty.Failure{faulty.Unreachable, faulty.NotStored, faulty.Corrupt} {
		for at := int64(1); at <= whole.Requests; at += 1 + whole.Requests/40 {
			store := b.store.Raw()
			var n atomic.Int64
			store.SetFault(func(op faulty.Op) faulty.Fault {
				if n.Add(1) != at {
					return nil
				}
				if op.Kind == faulty.Tags && fault == faulty.Corrupt {
					return faulty.NotStored
				}
				return fault
			})
			found, _ := check(t, store)
			expect(t, found)
		}
	}
}

// An answer that never comes ends the check after its time-out.
func TestRegistryHangs(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	standard(b)
	store := b.store.Raw()
	store.SetTimeout(0)
	store.SetFault(func(op faulty.Op) faulty.Fault {
		if op.Kind == faulty.GetBlob && op.Repository == b.layout.Catalog("shop") {
			return faulty.Timeout
		}
		return nil
	})
	_, _, err := try(store, func(o *fsck.Options) { o.Timeout = 20 * time.Millisecond })
	if !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("%v", err)
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	standard(b)
	ctx, cancel := context.WithCancel(context.Background())
	store := b.store.Raw()
	var n atomic.Int64
	store.SetFault(func(faulty.Op) faulty.Fault {
		if n.Add(1) == 40 {
			cancel()
		}
		return nil
	})
	if _, err := fsck.Run(ctx, fsck.Options{Registry: store, Prefix: prefix}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// When everything is wrong, a check ends with so much of it.
func TestTooManyFindings(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	shop := standard(b)
	for i := range fsck.MaxFindings / 900 * 2 {
		repo := b.layout.Catalog(fmt.Sprintf("ns-%d", i))
		b.namespace(fmt.Sprintf("ns-%d", i))
		for j := range 950 {
			b.store.SetTag(repo, fmt.Sprintf("x-%d", j), shop.at(1))
		}
	}
	found, s := check(t, b.store)
	if len(found) != fsck.MaxFindings || !s.Truncated || s.Clean() || s.Warnings != fsck.MaxFindings {
		t.Errorf("%d findings, %+v", len(found), s)
	}
}

// Reading ahead keeps within the memory that it is given, with layers of any
// size.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	shop := standard(b)
	for range 40 {
		shop.commit(put("a", 1))
	}
	found, _ := check(t, b.store, func(o *fsck.Options) { o.Memory = 1 })
	expect(t, found)
}

// Progress is told, and no longer once Run has returned.
func TestProgress(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	standard(b)
	store := b.store.Raw()
	store.SetFault(func(op faulty.Op) faulty.Fault {
		if op.Repository == b.layout.Writer() {
			return faulty.Delay{For: 500 * time.Millisecond}
		}
		return nil
	})
	var told atomic.Int64
	done := make(chan struct{})
	check(t, store, func(o *fsck.Options) {
		o.Progress = func(fsck.Summary) {
			select {
			case <-done:
				t.Error("told after the end")
			default:
				told.Add(1)
			}
		}
	})
	close(done)
	if told.Load() == 0 {
		t.Error("nothing was told")
	}
}

// The bytes of a long history are read once, and hardly more.
func BenchmarkRun(b *testing.B) {
	k := newBook(b)
	shop := k.namespace("shop")
	k.set(artifact.DefaultNamespace, artifact.StateActive)
	k.chain(artifact.DefaultNamespace).write(nil)
	var all []edit
	for i := range 200 {
		all = append(all, put(fmt.Sprintf("resource-%03d", i), 1))
	}
	shop.commit(all...)
	for i := range 500 {
		shop.commit(put(fmt.Sprintf("resource-%03d", i%200), i%9))
	}
	_, s := check(b, k.store)
	b.Run("fsck", func(b *testing.B) {
		b.SetBytes(s.Bytes)
		for b.Loop() {
			check(b, k.store.Raw())
		}
	})
	b.Run("raw", func(b *testing.B) {
		b.SetBytes(s.Bytes)
		for b.Loop() {
			readRaw(b, k, shop)
		}
	})
}

// readRaw reads the same bytes and does nothing with them.
func readRaw(b *testing.B, k *book, shop *chainBook) {
	store, ctx := k.store.Raw(), context.Background()
	get := func(repo, tag string) {
		if _, err := store.Get(ctx, repo, tag); err != nil {
			b.Fatal(err)
		}
	}
	for _, w := range shop.past {
		get(shop.repo, artifact.RevisionTag(w.record.Number))
		for _, c := range w.record.Changes {
			get(shop.resource(c.Name), c.After.Version)
		}
	}
}
