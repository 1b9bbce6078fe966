package fsck_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gitops-squared.io/gsq/deploy/crd"
	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/fsck"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// launch starts a real ledger, for which an hour passes each second, so that
// collections find something. It is stopped by stop.
func launch(t *testing.T, r registry.Registry) (l *ledger.Ledger, stop func()) {
	t.Helper()
	schema, err := intent.NewSchema(crd.PlatformResource)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	l, err = ledger.New(ledger.Options{
		Registry: r, Prefix: prefix, Schema: schema, Exclusive: true, Fresh: true,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Now: func() time.Time { return time.Now().Add(3600 * time.Since(began)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	for l.Ready() != nil {
		time.Sleep(5 * time.Millisecond)
	}
	return l, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// writeAtRandom declares, deletes and rolls back at random until ctx ends.
func writeAtRandom(ctx context.Context, t *testing.T, l *ledger.Ledger, seed uint64, namespaces int, writes *atomic.Int64) {
	random := rand.New(rand.NewPCG(seed, 7))
	sizes := []string{"small", "medium", "large"}
	for ctx.Err() == nil {
		request := ledger.Request{Namespace: fmt.Sprintf("team-%d", random.IntN(namespaces)), Actor: "anna", Confirm: true}
		seen := map[string]bool{}
		for range 1 + random.IntN(3) {
			name := fmt.Sprintf("r-%d", random.IntN(20))
			if seen[name] {
				continue
			}
			seen[name] = true
			c := ledger.Change{Name: name, Spec: intent.Spec{Type: "vm", Size: sizes[random.IntN(3)], Replicas: 1 + random.IntN(5)}}
			c.Delete = random.IntN(5) == 0
			request.Changes = append(request.Changes, c)
		}
		if random.IntN(20) == 0 {
			if all, err := l.List(request.Namespace); err == nil && all.Revision.Number > 3 {
				request.Changes, request.Rollback = nil, &ledger.Target{Revision: all.Revision.Number - 2}
			}
		}
		_, err := l.Apply(context.Background(), request)
		var e *ledger.Error
		if err != nil && (!errors.As(err, &e) || e.Code != ledger.CodeNotFound && e.Code != ledger.CodeNamespaceNotFound && e.Code != ledger.CodeRevisionExpired && e.Code != ledger.CodeInvalid) {
			t.Errorf("%+v: %v", request, err)
			return
		}
		writes.Add(1)
		time.Sleep(time.Millisecond)
	}
}

// Whatever is written and collected meanwhile: nothing is wrong.
func TestUnderLoad(t *testing.T) {
	t.Parallel()
	store := faulty.New()
	t.Cleanup(store.Close)
	l, stop := launch(t, store)
	const namespaces = 3
	ctx, cancel := context.WithCancel(context.Background())
	var writes atomic.Int64
	var work sync.WaitGroup
	for i := range uint64(6) {
		work.Go(func() { writeAtRandom(ctx, t, l, i, namespaces, &writes) })
	}
	for writes.Load() < 100 {
		time.Sleep(time.Millisecond)
	}
	for i := range namespaces {
		name := fmt.Sprintf("team-%d", i)
		if err := l.SetRetention(ctx, name, artifact.Retention{Revisions: 3, Seconds: 1}, ledger.Author{Actor: "anna"}); err != nil {
			t.Error(err)
		}
		work.Go(func() {
			for ctx.Err() == nil {
				if c, err := l.Collect(ctx, name, false); ctx.Err() == nil && (err != nil || c.Err != nil && c.Err.Code != ledger.CodeRevisionExpired) {
					t.Errorf("collecting: %v, %v", err, c.Err)
					return
				}
			}
		})
	}
	thinned := false
	for round := 0; round < 5 || !thinned && round < 100; round++ {
		found, s := check(t, store.Raw(), func(o *fsck.Options) { o.Patience = 2 * time.Second })
		expect(t, found)
		thinned = thinned || s.Thinned > 0
		if t.Failed() {
			break
		}
	}
	if !thinned {
		t.Error("nothing was thinned")
	}
	cancel()
	work.Wait()
	stop()
	found, s := check(t, store)
	expect(t, found)
	t.Logf("%d writes; at the end %+v", writes.Load(), s)
}

// What a real ledger writes, over restarts, is what a check expects.
func TestRestartedLedger(t *testing.T) {
	t.Parallel()
	store := faulty.New()
	t.Cleanup(store.Close)
	for seed := range uint64(3) {
		l, stop := launch(t, store)
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		var writes atomic.Int64
		writeAtRandom(ctx, t, l, seed, 2, &writes)
		cancel()
		stop()
		found, s := check(t, store)
		expect(t, found)
		if writes.Load() == 0 || s.Revisions == 0 {
			t.Errorf("%d writes, %+v", writes.Load(), s)
		}
	}
}
