package backup

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

var (
	errKilled = errors.New("the process was killed")

	killStride = flag.Int("kill-stride", 7, "every how many operations TestKilled… kill a process")
)

// quickFolder is a folder that does not wait for the disk.
func quickFolder(dir string) *Folder {
	f := NewFolder(dir, testPrefix, false)
	f.folder.settle = func() error { return nil }
	return f
}

// dieAt returns a folder's hook that lets n operations happen, and none after.
func dieAt(n int64) (hook func(operation, name string) error, happened func() int64) {
	var count atomic.Int64
	return func(string, string) error {
		if count.Add(1) > n {
			return errKilled
		}
		return nil
	}, count.Load
}

// backupUntil runs a backup into a folder that dies after n operations.
func backupUntil(t testing.TB, from Source, dir string, n int64) (int64, error) {
	t.Helper()
	f := quickFolder(dir)
	hook, happened := dieAt(n)
	f.folder.step = hook
	_, err := Run(t.Context(), Options{Source: from, Prefix: testPrefix, Target: f, Log: quiet()})
	if closing := f.Close(); closing != nil {
		t.Fatal(closing)
	}
	return happened(), err
}

// A backup is killed at each change that it makes to its folder: a first one,
// and one that adds to another. What was finished before can be restored, and
// the next run makes what a run without a kill makes.
func TestKilledBackups(t *testing.T) {
	t.Parallel()
	source := faulty.New()
	w := newWorld(t, source, 1)
	w.grow(2)
	w.deploy("c1", "default", 1)
	early := contentOf(t, source, testPrefix, w.repos)
	early0 := filepath.Join(t.TempDir(), "early")
	run(t, source, quickFolder(early0))
	old := &snapshot{faulty: source, at: w.clock.Time()}
	w.grow(2)
	late := contentOf(t, source, testPrefix, w.repos)
	straight := filepath.Join(t.TempDir(), "straight")
	run(t, source, quickFolder(straight))
	want := filesOf(t, straight)
	both := filepath.Join(t.TempDir(), "both")
	old.backup(t, both)
	run(t, source, quickFolder(both))
	sameFiles(t, filesOf(t, both), want)

	for _, increment := range []bool{false, true} {
		for n, ended := int64(0), false; !ended; n += int64(*killStride) {
			dir := filepath.Join(t.TempDir(), "copy")
			if increment {
				old.backup(t, dir)
			}
			_, err := backupUntil(t, source, dir, n)
			ended = err == nil
			if !ended && !errors.Is(err, errKilled) {
				t.Fatalf("killed after %d changes: %v", n, err)
			}
			to := faulty.New()
			_, err = restore(t, dir, to, testPrefix, time.Time{})
			switch {
			case err == nil:
				got := contentOf(t, to, testPrefix, w.repos)
				if want := late; got["/system:latest"] == late["/system:latest"] && got["/catalog:latest"] == late["/catalog:latest"] && !increment || ended {
					differ(t, fmt.Sprintf("killed after %d changes", n), got, want)
				} else if len(got) != len(late) {
					differ(t, fmt.Sprintf("killed after %d changes of an increment", n), got, early)
				}
			case increment:
				t.Errorf("killed after %d changes of an increment: what was finished before cannot be restored: %v", n, err)
			case len(contentOf(t, to, testPrefix, w.repos)) > 0:
				t.Errorf("killed after %d changes: refused (%v), but something was tagged", n, err)
			}
			run(t, source, quickFolder(dir))
			sameFiles(t, filesOf(t, dir), want)
			if t.Failed() {
				t.Fatalf("killed after %d changes, increment %v", n, increment)
			}
		}
	}
}

// snapshot makes backups of what a registry was at a moment.
type snapshot struct {
	faulty *faulty.Store
	at     time.Time
}

func (s *snapshot) backup(t testing.TB, dir string) {
	t.Helper()
	f := quickFolder(dir)
	defer f.Close()
	if _, err := Run(t.Context(), Options{Source: s.faulty.Raw(), Prefix: testPrefix, At: s.at, Target: f, Log: quiet()}); err != nil {
		t.Fatal(err)
	}
}

// A restore is killed at each request to the registry, which the registry has
// performed or not. It is not initialised then, unless everything is there; and
// the same command goes on.
func TestKilledRestores(t *testing.T) {
	t.Parallel()
	source := faulty.New()
	w := full(t, source, 2)
	want := contentOf(t, source, testPrefix, w.repos)
	dir := filepath.Join(t.TempDir(), "copy")
	run(t, source, quickFolder(dir))
	for _, performed := range []bool{false, true} {
		for n, ended := 1, false; !ended; n += *killStride {
			store := faulty.New()
			ctx, kill := context.WithCancel(t.Context())
			var writes atomic.Int64
			store.SetFault(func(op faulty.Op) faulty.Fault {
				switch op.Kind {
				case faulty.PutBlob, faulty.PutManifest, faulty.PutTag, faulty.Commit:
				default:
					return nil
				}
				if writes.Add(1) < int64(n) {
					return nil
				}
				kill()
				if performed && writes.Load() == int64(n) {
					return faulty.StoredButError
				}
				return faulty.NotStored
			})
			c := must(Open(dir, ""))
			_, err := Restore(ctx, RestoreOptions{Copy: c, Ledger: ledgerOn(t, store, testPrefix)})
			ended = err == nil && ctx.Err() == nil
			kill()
			if err == nil && !ended {
				t.Errorf("killed at write %d: no error", n)
			}
			raw := store.Raw()
			_, err = raw.Resolve(t.Context(), testPrefix+"/system", artifact.Latest)
			if err == nil {
				differ(t, fmt.Sprintf("initialised after write %d", n), contentOf(t, raw, testPrefix, w.repos), want)
			} else if !errors.Is(err, registry.ErrNotFound) {
				t.Fatal(err)
			}
			_, again := Restore(t.Context(), RestoreOptions{Copy: c, Ledger: ledgerOn(t, raw, testPrefix)})
			if again != nil && (err != nil || !errors.Is(again, ErrRestored)) {
				t.Errorf("killed at write %d (performed: %v), and once more: %v", n, performed, again)
			}
			differ(t, fmt.Sprintf("killed at write %d", n), contentOf(t, raw, testPrefix, w.repos), want)
			if err := c.Close(); err != nil || t.Failed() {
				t.Fatalf("write %d, performed %v: %v", n, performed, err)
			}
		}
	}
}

// A backup is killed at each request to its source, and the next run is as
// good as one without a kill.
func TestBackupsWhoseSourceVanishes(t *testing.T) {
	t.Parallel()
	source := faulty.New()
	w := newWorld(t, source, 4)
	w.grow(3)
	w.sign(w.chains["default"].repo, w.chains["default"].revisions[0].artifact.Manifest, "signed")
	straight := filepath.Join(t.TempDir(), "straight")
	run(t, source, quickFolder(straight))
	want := filesOf(t, straight)
	for n, ended := int64(1), false; !ended; n += int64(*killStride) {
		dir := filepath.Join(t.TempDir(), "copy")
		raw := source.Raw()
		ctx, kill := context.WithCancel(t.Context())
		var requests atomic.Int64
		raw.SetFault(func(faulty.Op) faulty.Fault {
			if requests.Add(1) < n {
				return nil
			}
			kill()
			return faulty.Unreachable
		})
		f := quickFolder(dir)
		_, err := Run(ctx, Options{Source: raw, Prefix: testPrefix, Target: f, Log: quiet()})
		ended = err == nil
		kill()
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if !ended {
			if _, err := restore(t, dir, faulty.New(), testPrefix, time.Time{}); err == nil {
				t.Fatalf("request %d: what was not finished was restored", n)
			}
			run(t, source, quickFolder(dir))
		}
		if sameFiles(t, filesOf(t, dir), want); t.Failed() {
			t.Fatalf("the source vanished at request %d", n)
		}
	}
}

// Each request fails once, in each way that does not end a copy.
func TestPassingFaults(t *testing.T) {
	t.Parallel()
	source := faulty.New()
	w := newWorld(t, source, 8)
	w.grow(2)
	want := contentOf(t, source, testPrefix, w.repos)
	for _, fault := range []faulty.Fault{faulty.Unreachable, faulty.NotStored, faulty.Corrupt} {
		raw := source.Raw()
		seen := map[string]bool{}
		once := make(chan struct{}, 1)
		raw.SetFault(func(op faulty.Op) faulty.Fault {
			once <- struct{}{}
			defer func() { <-once }()
			first := !seen[op.String()]
			seen[op.String()] = true
			if !first || fault == faulty.Corrupt && (op.Kind == faulty.Tags || op.Kind == faulty.Referrers) {
				return nil
			}
			return fault
		})
		dir := filepath.Join(t.TempDir(), "copy")
		run(t, raw, quickFolder(dir))
		to := faulty.New()
		if _, err := restore(t, dir, to, testPrefix, time.Time{}); err != nil {
			t.Fatal(err)
		}
		differ(t, fmt.Sprint(fault), contentOf(t, to, testPrefix, w.repos), want)
	}
}

// Writes and collections go on while a backup is made: it is whole, and holds
// at least what was there when it began.
func TestBackupsOfABusyRegistry(t *testing.T) {
	t.Parallel()
	for every := int64(1); every < 40; every += 3 {
		t.Run(fmt.Sprint(every), func(t *testing.T) {
			t.Parallel()
			store := faulty.New()
			w := newWorld(t, store.Raw(), 9)
			w.grow(8)
			head := int64(len(w.chains["default"].revisions))
			reader := store.Raw()
			turn := make(chan struct{}, 1)
			requests, writes := int64(0), 0
			reader.SetFault(func(faulty.Op) faulty.Fault {
				turn <- struct{}{}
				defer func() { <-turn }()
				if requests++; requests%every != 0 || writes == 12 {
					return nil
				}
				writes++
				switch l := w.chains["default"]; {
				case writes == 3:
					w.namespace("late")
				case writes == 6:
					w.checkpoint("default", int64(len(l.revisions))-2)
					w.thin("default")
				case writes == 9:
					w.deploy("c2", "default", int64(len(l.revisions)))
				default:
					w.change("default")
				}
				return nil
			})
			dir := filepath.Join(t.TempDir(), "copy")
			report := run(t, reader, quickFolder(dir))
			for _, c := range report.Cuts {
				if c.Namespace == "default" && c.Number < head {
					t.Errorf("default was cut at %d, it had %d revisions before", c.Number, head)
				}
			}
			to := faulty.New()
			restored, err := restore(t, dir, to, testPrefix, time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(restored.Cuts) != fmt.Sprint(report.Cuts) {
				t.Errorf("restored %v, backed up %v", restored.Cuts, report.Cuts)
			}
		})
	}
}
