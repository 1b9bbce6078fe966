package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"gitops-squared.io/gsq/deploy/crd"
	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/faulty"
	"gitops-squared.io/gsq/internal/registry/registrytest"
	"gitops-squared.io/gsq/internal/registry/remote"
)

var schema = sync.OnceValues(func() (*intent.Schema, error) { return intent.NewSchema(crd.PlatformResource) })

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// ledgerOn returns the options of a ledger that has a registry for itself.
func ledgerOn(t testing.TB, r registry.Registry, prefix string) ledger.Options {
	t.Helper()
	compiled, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Options{Registry: r, Prefix: prefix, Schema: compiled, Exclusive: true, Log: quiet()}
}

func embeddedStore(t testing.TB) registry.Registry {
	t.Helper()
	s, err := embedded.Open(embedded.Options{Folder: t.TempDir(), Durability: embedded.DurabilityNone, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func distribution(t testing.TB) registry.Registry {
	t.Helper()
	a, err := remote.ParseAddress(registrytest.StartDistribution(t), true)
	if err != nil {
		t.Fatal(err)
	}
	r, err := remote.New(remote.Options{Address: a, DockerConfig: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run makes a backup, which must succeed.
func run(t testing.TB, from Source, to Target) Report {
	t.Helper()
	r, err := Run(t.Context(), Options{Source: from, Prefix: testPrefix, Target: to, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	if f, ok := to.(*Folder); ok {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// restore opens a copy and restores it.
func restore(t testing.TB, path string, to registry.Registry, prefix string, at time.Time) (Report, error) {
	t.Helper()
	c, err := Open(path, "")
	if err != nil {
		return Report{}, err
	}
	defer c.Close()
	return Restore(t.Context(), RestoreOptions{Copy: c, At: at, Ledger: ledgerOn(t, to, prefix)})
}

// What is restored is what was there, whichever way it went, and a ledger goes
// on from there.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	stores := map[string]func(testing.TB) registry.Registry{
		"memory":   func(testing.TB) registry.Registry { return faulty.New() },
		"embedded": embeddedStore, "distribution": distribution,
	}
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seeds, openOther := uint64(4), open
			if name == "distribution" { // it syncs each write
				seeds, openOther = 1, embeddedStore
			}
			for seed := range seeds {
				source := open(t)
				make := full
				if name == "distribution" {
					make = small
				}
				w := make(t, source, seed)
				want := contentOf(t, source, testPrefix, w.repos)
				dir := filepath.Join(t.TempDir(), "copy")
				report := run(t, source, quickFolder(dir))
				var tar bytes.Buffer
				run(t, source, NewTar(&tar, testPrefix))
				file := filepath.Join(t.TempDir(), "copy.tar")
				if err := os.WriteFile(file, tar.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
				other := openOther(t)
				run(t, source, NewRegistry(other, "elsewhere/copies", false, quiet()))
				differ(t, "the registry's copy", contentOf(t, other, "elsewhere/copies", w.repos), want)

				for what, c := range map[string]*Copy{
					"folder": must(Open(dir, "")), "tar": must(Open(file, "")), "registry": {Source: other, Prefix: "elsewhere/copies"},
				} {
					to := openOther(t)
					if what == "folder" {
						to = open(t)
					}
					got, err := Restore(t.Context(), RestoreOptions{Copy: c, Ledger: ledgerOn(t, to, "new")})
					if err != nil {
						t.Fatalf("%s, seed %d: %v", what, seed, err)
					}
					if got.Artifacts != report.Artifacts || len(got.Faults) > 0 {
						t.Errorf("%s: %+v was restored, %+v backed up", what, got, report)
					}
					differ(t, what, contentOf(t, to, "new", w.repos), want)
					if _, err := Restore(t.Context(), RestoreOptions{Copy: c, Ledger: ledgerOn(t, to, "new")}); !errors.Is(err, ErrRestored) {
						t.Errorf("%s: once more: %v, want ErrRestored", what, err)
					}
					goOn(t, to, "new", w)
					if err := c.Close(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

func must(c *Copy, err error) *Copy {
	if err != nil {
		panic(err)
	}
	return c
}

// goOn starts a ledger on what was restored: it must list what the world has,
// and write versions that are later than all.
func goOn(t testing.TB, r registry.Registry, prefix string, w *world) {
	t.Helper()
	o := ledgerOn(t, r, prefix)
	o.Now = func() time.Time { return time.Unix(0, 0) } // a clock that helps nobody
	l, err := ledger.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	for deadline := time.Now().Add(20 * time.Second); l.Ready() != nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the ledger is not ready: %v", l.Ready())
		}
	}
	for namespace := range w.system.Namespaces {
		s, err := l.List(namespace)
		if err != nil {
			t.Fatal(err)
		}
		line := w.chains[namespace]
		head := line.revisions[len(line.revisions)-1]
		if s.Revision.Digest != head.artifact.Manifest.Digest || len(s.Entries) != len(line.live) {
			t.Errorf("%s is at %+v with %d resources, want %s with %d", namespace, s.Revision, len(s.Entries), head.artifact.Manifest.Digest, len(line.live))
		}
		for _, e := range s.Entries {
			if line.live[e.Name].version != e.Version {
				t.Errorf("%s/%s has version %s, want %s", namespace, e.Name, e.Version, line.live[e.Name].version)
			}
		}
		for n := int64(1); n <= s.Revision.Number; n++ {
			if c, err := l.Commit(t.Context(), namespace, n); err != nil || c.Revision.Digest != line.revisions[n-1].artifact.Manifest.Digest {
				t.Errorf("%s: revision %d reads as %s (%v)", namespace, n, c.Revision.Digest, err)
			}
		}
	}
	result, err := l.Apply(t.Context(), ledger.Request{Namespace: "default", Changes: []ledger.Change{{Name: "later", Spec: intent.Spec{Type: "vm", Size: "small"}}}})
	if err != nil {
		t.Fatal(err)
	}
	if v := result.Outcomes[0].Version; v <= w.clock {
		t.Errorf("the next version is %s, the last in the backup %s", v, w.clock)
	}
}

// Each state that was can be had again, from the registry and from a backup.
func TestAt(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			source := faulty.New()
			w := newWorld(t, source, seed)
			type moment struct {
				at   time.Time
				want map[string]string
			}
			var moments []moment
			remember := func() {
				moments = append(moments, moment{w.clock.Time(), contentOf(t, source, testPrefix, w.repos)})
			}
			for range 12 {
				w.grow(1)
				remember()
			}
			dir := filepath.Join(t.TempDir(), "copy")
			run(t, source, quickFolder(dir))
			for i, m := range moments {
				to := faulty.New()
				// Until just before the next change, it is the same state.
				at := m.at
				if i%2 == 1 {
					at = at.Add(999 * time.Nanosecond)
				}
				if _, err := restore(t, dir, to, "new", at); err != nil {
					t.Fatalf("moment %d: %v", i, err)
				}
				differ(t, fmt.Sprintf("restored at moment %d", i), contentOf(t, to, "new", w.repos), m.want)
				past := filepath.Join(t.TempDir(), "past")
				f := quickFolder(past)
				if _, err := Run(t.Context(), Options{Source: source, Prefix: testPrefix, Target: f, At: at, Log: quiet()}); err != nil {
					t.Fatal(err)
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
				again := faulty.New()
				if _, err := restore(t, past, again, "new", time.Time{}); err != nil {
					t.Fatal(err)
				}
				differ(t, fmt.Sprintf("backed up at moment %d", i), contentOf(t, again, "new", w.repos), m.want)
			}
			if _, err := restore(t, dir, faulty.New(), "new", time.Unix(1, 0)); !errors.Is(err, ErrNothing) {
				t.Errorf("before everything: %v, want ErrNothing", err)
			}
		})
	}
}

// What retention has thinned cannot be had from the registry, but from a
// backup that was made before.
func TestAtWhatWasThinned(t *testing.T) {
	t.Parallel()
	source := faulty.New()
	w := newWorld(t, source, 3)
	for range 8 {
		w.change("default")
	}
	dir := filepath.Join(t.TempDir(), "copy")
	run(t, source, quickFolder(dir))
	want := contentOf(t, source, testPrefix, w.repos)
	then := w.clock.Time()
	early := momentOf(w.chains["default"].revisions[3])
	w.change("default")
	w.checkpoint("default", 7)
	w.thin("default")
	now := contentOf(t, source, testPrefix, w.repos)

	for name, at := range map[string]time.Time{"the revision": early, "an earlier one of the chain": then} {
		f := quickFolder(filepath.Join(t.TempDir(), "past"))
		if _, err := Run(t.Context(), Options{Source: source, Prefix: testPrefix, Target: f, At: at, Log: quiet()}); !errors.Is(err, ErrThinned) {
			t.Errorf("%s was thinned: %v, want ErrThinned", name, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	run(t, source, quickFolder(dir))
	to := faulty.New()
	if _, err := restore(t, dir, to, "new", then); err != nil {
		t.Fatal(err)
	}
	differ(t, "from the backup", contentOf(t, to, "new", w.repos), want)
	to = faulty.New()
	if _, err := restore(t, dir, to, "new", early); err != nil {
		t.Fatal(err)
	}
	if d, err := to.Resolve(t.Context(), "new/catalog", artifact.Latest); err != nil || d.Digest != w.chains["default"].revisions[3].artifact.Manifest.Digest {
		t.Errorf("latest is %s (%v), want revision 4", d.Digest, err)
	}
	to = faulty.New()
	report, err := restore(t, dir, to, "new", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	got := contentOf(t, to, "new", w.repos)
	if report.Removed != 0 { // the folder still has all versions that the records name
		t.Errorf("%d versions are said to be removed", report.Removed)
	}
	for name, d := range now {
		if got[name] != d {
			t.Errorf("the present state: %s is %q, want %s", name, got[name], d)
		}
	}
}

// A second run copies what is new, and nothing else is even asked for.
func TestIncrements(t *testing.T) {
	t.Parallel()
	source := faulty.New()
	w := full(t, source, 5)
	dir := filepath.Join(t.TempDir(), "copy")
	first := run(t, source, quickFolder(dir))
	if first.Copied != first.Artifacts || first.Bytes == 0 {
		t.Errorf("first: %+v", first)
	}
	before := filesOf(t, dir)
	read := source.Count(faulty.GetBlob)
	again := run(t, source, quickFolder(dir))
	if again.Copied != 0 || again.Bytes != 0 || again.Artifacts != first.Artifacts {
		t.Errorf("again: %+v", again)
	}
	// The content of the heads is compared with their records, from the folder.
	if n := source.Count(faulty.GetBlob) - read; n > 4 {
		t.Errorf("a run without anything new reads %d blobs", n)
	}
	sameFiles(t, filesOf(t, dir), before)
	w.grow(4)
	next := run(t, source, quickFolder(dir))
	if next.Copied == 0 || next.Copied > 30 || next.Artifacts <= first.Artifacts {
		t.Errorf("next: %+v", next)
	}
	to := faulty.New()
	if _, err := restore(t, dir, to, testPrefix, time.Time{}); err != nil {
		t.Fatal(err)
	}
	differ(t, "after increments", contentOf(t, to, testPrefix, w.repos), contentOf(t, source, testPrefix, w.repos))

	// Of another registry, although its names are the same.
	foreign := faulty.New()
	full(t, foreign, 6)
	before = filesOf(t, dir)
	for _, keepGoing := range []bool{false, true} {
		f := quickFolder(dir)
		_, err := Run(t.Context(), Options{Source: foreign, Prefix: testPrefix, Target: f, Log: quiet(), KeepGoing: keepGoing})
		if !errors.Is(err, ErrOther) || errors.Is(err, ErrDamaged) {
			t.Errorf("another registry into the same folder, keep going %v: %v, want ErrOther", keepGoing, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		sameFiles(t, filesOf(t, dir), before)
	}
	if _, err := restore(t, dir, faulty.New(), testPrefix, time.Time{}); err != nil {
		t.Errorf("after the refusal: %v", err)
	}
}

// filesOf returns the files of a folder with their content, without the times
// in backup.json.
func filesOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		if name == descriptionFile {
			d, err := parseDescription(data)
			if err != nil {
				return err
			}
			d.StartedAt, d.FinishedAt = d.System.Time, d.System.Time
			data, _ = d.encode()
		}
		files[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func sameFiles(t testing.TB, got, want map[string]string) {
	t.Helper()
	if maps.Equal(got, want) {
		return
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s differs: %d bytes, want %d", name, len(got[name]), len(want[name]))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s should not be there", name)
		}
	}
}
