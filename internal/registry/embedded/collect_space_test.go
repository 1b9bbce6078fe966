package embedded

import (
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

// random returns so many bytes that cannot be compressed, the same for a seed.
func random(seed, n int) string {
	r := rand.New(rand.NewPCG(uint64(seed), 9))
	data := make([]byte, 0, n+8)
	for len(data) < n {
		data = binary.LittleEndian.AppendUint64(data, r.Uint64())
	}
	return string(data[:n])
}

// chunked returns bytes that are stored in chunks.
func chunked(seed int) string {
	var data strings.Builder
	for i := range 20 {
		data.WriteString(gzipHeader + random(1000*seed+i, 1000))
	}
	return data.String()
}

// folderBytes is the size of all files in a folder.
func folderBytes(t *testing.T, folder string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// The disk's space comes back, to within a quarter of what a store takes that never
// had more than what is kept.
func TestCollectGivesSpaceBack(t *testing.T) {
	t.Parallel()
	const total, kept = 60, 6
	artifact := func(n int) registry.Artifact {
		return registrytest.Artifact(t, nil, random(n, 100<<10), random(total+n, 40<<10), chunked(n))
	}
	fill := func(folder string, number int) *Store {
		s, err := Open(Options{Folder: folder, memTableBytes: 256 << 10, Durability: DurabilityNone})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		for n := range number {
			a := artifact(n)
			repo := fmt.Sprint("space/", n%7)
			if err := s.Put(t.Context(), registry.Push{Repository: repo, Artifact: a}); err != nil {
				t.Fatal(err)
			}
			if err := s.Tag(t.Context(), registry.Tag{Repository: repo, Name: fmt.Sprint("v", n), Manifest: a.Manifest}); err != nil {
				t.Fatal(err)
			}
		}
		return s
	}
	fresh, full := filepath.Join(t.TempDir(), "fresh"), filepath.Join(t.TempDir(), "full")
	if err := fill(fresh, kept).Close(); err != nil {
		t.Fatal(err)
	}
	want := folderBytes(t, fresh)
	s := fill(full, total)
	before := folderBytes(t, full)
	for n := kept; n < total; n++ {
		if err := s.Delete(t.Context(), fmt.Sprint("space/", n%7), artifact(n).Manifest.Digest); err != nil {
			t.Fatal(err)
		}
	}
	deleted := folderBytes(t, full)
	freed, err := s.Collect(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if least := int64((total - kept) * 140 << 10); freed.Bytes < least || freed.Files != total-kept {
		t.Errorf("freed %+v, at least %d bytes were to be freed", freed, least)
	}
	// The database removes its files in the background.
	running := folderBytes(t, full)
	for until := time.Now().Add(20 * time.Second); running > want+want/4 && time.Now().Before(until); running = folderBytes(t, full) {
		time.Sleep(10 * time.Millisecond)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	closed := folderBytes(t, full)
	if s, err = Open(Options{Folder: full, memTableBytes: 256 << 10}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	reopened := folderBytes(t, full)
	t.Logf("full %d, deleted %d, collected %d, closed %d, opened again %d; fresh %d; freed %+v", before, deleted, running, closed, reopened, want, freed)
	for when, got := range map[string]int64{"in use": running, "closed": closed, "opened again": reopened} {
		if got > want+want/4 {
			t.Errorf("%s it takes %d bytes, a fresh store %d", when, got, want)
		}
	}
	if before < 5*want {
		t.Errorf("it took only %d bytes before", before)
	}
	if n := checkWhole(t, s); n != kept {
		t.Errorf("%d manifests, want %d", n, kept)
	}
}
