package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"gitops-squared.io/gsq/internal/registry"
)

// cut is what a disk may hold when the power failed, and what had been
// acknowledged by then.
type cut struct {
	disk     *vfs.MemFS
	promised *promises
}

// cutter cuts the power at chosen operations of a file system, and lets it go
// on.
type cutter struct {
	memory *vfs.MemFS
	random *rand.Rand
	given  *promises

	mu   sync.Mutex
	at   []int // the numbers of the operations, ascending
	seen int
	cuts []cut
	done atomic.Bool
}

// MaybeError implements errorfs.Injector.
func (c *cutter) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen++
	for len(c.at) > 0 && c.seen >= c.at[0] {
		// In this order: what was acknowledged before it is read must be on the
		// disk that is read after.
		promised := c.given.now()
		survives := []int{0, 10, 50, 90}[c.random.IntN(4)]
		disk := c.memory.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: survives, RNG: c.random})
		c.cuts, c.at = append(c.cuts, cut{disk, promised}), c.at[1:]
	}
	c.done.Store(len(c.at) == 0)
	return nil
}

func (c *cutter) String() string { return "cutter" }

// deleteAndCollect is a retention: what it deletes has blobs in common with what the
// writers write.
func deleteAndCollect(t testing.TB, s *Store, n int) {
	for _, repo := range []string{"put/0", "push/1"} {
		a := numbered(t, repo, n)
		if err := s.Put(context.Background(), registry.Push{Repository: "retained", Artifact: a}); err != nil {
			t.Error(err)
		}
		if err := s.Delete(context.Background(), "retained", a.Manifest.Digest); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Collect(context.Background(), time.Hour); err != nil {
		t.Error(err)
	}
}

// cutPower has writers write through both sides of a store, while what was deleted
// is collected, and returns what random cuts of the power in between leave. The database's memory is small,
// so that tables are written and merged, and logs are used again.
func cutPower(t testing.TB, durability Durability, seed uint64, number int) []cut {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 1))
	given := &promises{latest: map[string]int{}}
	c := &cutter{memory: vfs.NewCrashableMem(), random: random, given: given}
	for at := 0; len(c.at) < number; {
		at += 1 + random.IntN(80)
		c.at = append(c.at, at)
	}
	s, err := Open(Options{FS: errorfs.Wrap(c.memory, c), Folder: "/a/data", Durability: durability, memTableBytes: 64 << 10, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for w := range 3 {
		for kind, write := range map[string]func(testing.TB, *Store, *promises, string, int){"put": putAndCommit, "push": push} {
			writers.Go(func() {
				for n := 0; !c.done.Load() && !t.Failed(); n++ {
					write(t, s, given, fmt.Sprintf("%s/%d", kind, w), n)
				}
			})
		}
	}
	writers.Go(func() {
		for n := 0; !c.done.Load() && !t.Failed(); n++ {
			deleteAndCollect(t, s, n)
		}
	})
	writers.Wait()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return c.cuts
}

// lost returns what was lost of what was acknowledged before a cut. What was
// found must also be there when the power fails again at once.
func (c cut) lost(t testing.TB) (list []string) {
	t.Helper()
	for _, disk := range []func() *vfs.MemFS{
		func() *vfs.MemFS { return c.disk },
		func() *vfs.MemFS { return c.disk.CrashClone(vfs.CrashCloneCfg{}) },
	} {
		s, err := Open(Options{FS: disk(), Folder: "/a/data", Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return []string{err.Error()}
		}
		list = append(list, c.promised.broken(t, s)...)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

func checkPowerLoss(t testing.TB, seed uint64) {
	t.Helper()
	for i, c := range cutPower(t, DurabilityCommit, seed, 8) {
		for _, lost := range c.lost(t) {
			t.Errorf("seed %d, cut %d, after %d acknowledgements: %s", seed, i, len(c.promised.kept), lost)
		}
		s, err := Open(Options{FS: c.disk, Folder: "/a/data", Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		checkWhole(t, s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Every acknowledged write, of the ledger and over HTTP, is there after the
// power failed at any point: byte for byte, and deleted what was deleted.
func TestPowerLossTakesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			checkPowerLoss(t, seed)
		})
	}
}

// FuzzPowerLoss does the same with as many seeds as there is time for.
func FuzzPowerLoss(f *testing.F) {
	f.Add(uint64(100))
	f.Fuzz(func(t *testing.T, seed uint64) { checkPowerLoss(t, seed) })
}

// Without syncs the same finds losses. This is what shows that it can. A store
// that cannot be read says that it is damaged.
func TestPowerLossWithoutSyncsIsFound(t *testing.T) {
	t.Parallel()
	lost := 0
	for _, c := range cutPower(t, DurabilityNone, 1, 8) {
		lost += len(c.lost(t))
		s, err := Open(Options{FS: c.disk, Folder: "/a/data", Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			err = s.Close()
		}
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Error(err)
		}
	}
	if lost == 0 {
		t.Error("nothing was lost")
	}
	t.Logf("%d acknowledgements were lost", lost)
}
