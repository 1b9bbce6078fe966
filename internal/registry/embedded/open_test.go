package embedded_test

import (
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

func TestSecondOpenerIsRefused(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := open(t, embedded.Options{Folder: folder})
	for _, name := range []string{folder, folder + "/."} {
		_, err := embedded.Open(embedded.Options{Folder: name})
		if !errors.Is(err, embedded.ErrLocked) || !strings.Contains(err.Error(), folder) {
			t.Fatalf("second opener of %s: %v", name, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, embedded.Options{Folder: folder})
}

func TestOpenNeedsAFolder(t *testing.T) {
	t.Parallel()
	if _, err := embedded.Open(embedded.Options{}); err == nil {
		t.Error("opened without a folder")
	}
	if _, err := embedded.Open(embedded.Options{Folder: t.TempDir(), MaxUploads: -1}); err == nil {
		t.Error("opened with a negative limit")
	}
}

// filled makes a store with an artifact, closed, and returns its folder.
func filled(t *testing.T) (folder string, a registry.Artifact) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "new", "folder")
	a = registrytest.Artifact(t, nil, large("large"), "small")
	for range 2 { // the second opening writes the log of the first into tables
		s, err := embedded.Open(embedded.Options{Folder: folder})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: a}); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context(), registry.Tag{Repository: "a/b", Name: "latest", Manifest: a.Manifest}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return folder, a
}

func TestReopen(t *testing.T) {
	t.Parallel()
	folder, a := filled(t)
	leftover := filepath.Join(folder, "uploads", "leftover")
	if err := os.WriteFile(leftover, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, embedded.Options{Folder: folder})
	mustGet(t, s, "a/b", "latest", a)
	if _, err := os.Stat(leftover); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the leftover of an upload is still there: %v", err)
	}
}

func TestOtherFormatIsNamed(t *testing.T) {
	t.Parallel()
	folder, a := filled(t)
	format := filepath.Join(folder, "format")
	if err := os.WriteFile(format, []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := embedded.Open(embedded.Options{Folder: folder})
	if err == nil || errors.Is(err, embedded.ErrDamaged) || !strings.Contains(err.Error(), "format is 2") || !strings.Contains(err.Error(), "format 1") {
		t.Fatalf("format 2: %v", err)
	}
	if err := os.WriteFile(format, []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	mustGet(t, open(t, embedded.Options{Folder: folder}), "a/b", "latest", a)
}

// flip inverts a bit in the middle of every file that matches.
func flip(t *testing.T, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no file matches %s: %v", pattern, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// resize cuts every file that matches to a part of its size.
func resize(t *testing.T, pattern string, part float64) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no file matches %s: %v", pattern, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, int64(part*float64(info.Size()))); err != nil {
			t.Fatal(err)
		}
	}
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no file matches %s: %v", pattern, err)
	}
	for _, file := range files {
		if err := os.RemoveAll(file); err != nil {
			t.Fatal(err)
		}
	}
}

// A damaged store is never taken for an empty one: either it does not open, or
// reading the artifact says that it is corrupt.
func TestDamageIsNamed(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, folder string){
		"no format file":                     func(t *testing.T, f string) { remove(t, f+"/format") },
		"format file without one":            func(t *testing.T, f string) { remove(t, f+"/format"); touch(t, f+"/format") },
		"no database":                        func(t *testing.T, f string) { remove(t, f+"/db") },
		"empty database folder":              func(t *testing.T, f string) { remove(t, f+"/db/*") },
		"no manifest of tables":              func(t *testing.T, f string) { remove(t, f+"/db/MANIFEST-*") },
		"damaged list of tables":             func(t *testing.T, f string) { flip(t, f+"/db/MANIFEST-*") },
		"no tables":                          func(t *testing.T, f string) { remove(t, f+"/db/*.sst") },
		"damaged tables":                     func(t *testing.T, f string) { flip(t, f+"/db/*.sst") },
		"no marker of the list of tables":    func(t *testing.T, f string) { remove(t, f+"/db/marker.manifest.*") },
		"no marker of the database's format": func(t *testing.T, f string) { remove(t, f+"/db/marker.format-version.*") },
		"list of tables cut short":           func(t *testing.T, f string) { resize(t, f+"/db/MANIFEST-*", 0.5) },
		"empty list of tables":               func(t *testing.T, f string) { resize(t, f+"/db/MANIFEST-*", 0) },
		"tables cut short":                   func(t *testing.T, f string) { resize(t, f+"/db/*.sst", 0.5) },
		"no log":                             func(t *testing.T, f string) { remove(t, f+"/db/*.log") },
		"large blob cut short":               func(t *testing.T, f string) { resize(t, f+"/blobs/sha256/*", 0.5) },
		"format file of another kind":        func(t *testing.T, f string) { remove(t, f+"/format"); mkdir(t, f+"/format") },
		"note of a log without one":          func(t *testing.T, f string) { remove(t, f+"/newest-log"); touch(t, f+"/newest-log") },
		"blob folder is a file":              func(t *testing.T, f string) { remove(t, f+"/blobs/sha512"); touch(t, f+"/blobs/sha512") },
		"database is a file":                 func(t *testing.T, f string) { remove(t, f+"/db"); touch(t, f+"/db") },
		"no blob folder":                     func(t *testing.T, f string) { remove(t, f+"/blobs/sha512") },
		"no large blobs":                     func(t *testing.T, f string) { remove(t, f+"/blobs/sha256/*") },
		"damaged large blob":                 func(t *testing.T, f string) { flip(t, f+"/blobs/sha256/*") },
		"only the marker":                    func(t *testing.T, f string) { remove(t, f+"/*"); touch(t, f+"/initialised") },
		"only blobs":                         func(t *testing.T, f string) { remove(t, f+"/db"); remove(t, f+"/format") },
		"another database": func(t *testing.T, f string) {
			remove(t, f+"/db")
			other, _ := filled(t)
			remove(t, other+"/db/*.sst") // and so not the one that its files describe
			if err := os.Rename(other+"/db", f+"/db"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder, _ := filled(t)
			damage(t, folder)
			s, err := embedded.Open(embedded.Options{Folder: folder, Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				if !errors.Is(err, embedded.ErrDamaged) || !strings.Contains(err.Error(), folder) {
					t.Fatalf("Open: %v", err)
				}
				return
			}
			defer s.Close()
			if _, err := s.Get(t.Context(), "a/b", "latest"); !errors.Is(err, registry.ErrCorrupt) {
				t.Fatalf("Get: %v, want ErrCorrupt", err)
			}
		})
	}
}

// A damaged end of the log is what a crash leaves, but not damage before what
// was synced.
func TestDamagedLogIsNamed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	s := open(t, embedded.Options{Folder: folder})
	for _, text := range []string{"one", "two", "three", "four", "five", "six"} {
		a := registrytest.Artifact(t, nil, strings.Repeat(text+" ", 10<<10)) // more than a block of the log
		if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: a}); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context(), registry.Tag{Repository: "a/b", Name: text, Manifest: a.Manifest}); err != nil {
			t.Fatal(err)
		}
	}
	// The log as a killed process leaves it.
	copied := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", folder+"/.", copied).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	flip(t, copied+"/db/*.log")
	if _, err := embedded.Open(embedded.Options{Folder: copied}); !errors.Is(err, embedded.ErrDamaged) {
		t.Fatalf("Open: %v", err)
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
