package embedded

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

// revision is the n-th of a series of artifacts: a layer in chunks, most of which all
// have in common, a large one and small ones.
func revision(t testing.TB, n int) registry.Artifact {
	t.Helper()
	catalog := members(t, 30, func(i int) string {
		if i == n%30 {
			return fmt.Sprint("changed in ", n)
		}
		return ""
	})
	text := fmt.Sprint("revision ", n, " ")
	return registrytest.Artifact(t, nil, string(catalog), strings.Repeat(text, 2*inlineBytes/len(text)), text, "in all")
}

// keys returns the keys of the database of some kinds, without their values.
func keys(t testing.TB, s *Store, kinds string) (list []string) {
	t.Helper()
	it, err := s.db.NewIter(&pebble.IterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for valid := it.First(); valid; valid = it.Next() {
		if strings.IndexByte(kinds, it.Key()[0]) >= 0 {
			list = append(list, string(it.Key()))
		}
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return list
}

// checkWhole checks that every manifest of a store can be read with all that it
// names, and that every blob and every link is what it promises to those who will
// name it. It returns how many manifests there are.
func checkWhole(t testing.TB, s *Store) int {
	t.Helper()
	all := keys(t, s, string(rune(kindManifest)))
	for _, key := range all {
		repo, err := repoOf([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		d, err := decodeDigest([]byte(key)[len(repoKey(kindManifest, repo)):])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), repo, d.String()); err != nil {
			t.Error(err)
		}
	}
	for _, key := range keys(t, s, string(rune(kindBlob))+string(rune(kindLink))) {
		d, err := linkDigest([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		if is, err := s.stored(d); err != nil || !is {
			t.Errorf("blob %s is not all there: %v", d, err)
		}
	}
	return len(all)
}

// removeAsIn removes the blobs' files from a crash clone that were removed before
// the crash. A clone has them again, but a disk may have forgotten them at once.
func removeAsIn(t testing.TB, memory, clone *vfs.MemFS) {
	t.Helper()
	folder := "/a/data/blobs/" + digest.SHA256.String() + "/"
	names, err := clone.List(folder)
	if err != nil {
		t.Error(err)
	}
	for _, name := range names {
		if is, err := exists(memory, folder+name); err != nil || is {
			continue
		}
		if err := clone.Remove(folder + name); err != nil {
			t.Error(err)
		}
	}
}

// A kill, or the loss of power, at any file operation of a collection, and of the
// deletions and pushes around it, takes nothing that a manifest names. The next
// collection does the rest.
func TestCollectSurvivesACrashAtEveryOperation(t *testing.T) {
	t.Parallel()
	memory := vfs.NewCrashableMem()
	var mu sync.Mutex
	var clones []*vfs.MemFS
	on := false
	fs := errorfs.Wrap(memory, errorfs.InjectorFunc(func(op errorfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if on && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			percent := []int{0, 100, 50}[len(clones)%3]
			clone := memory.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rand.New(rand.NewPCG(uint64(len(clones)), 3))})
			removeAsIn(t, memory, clone)
			clones = append(clones, clone)
		}
		return nil
	}))
	record := func(is bool) { mu.Lock(); on = is; mu.Unlock() }
	openOn := func(fs vfs.FS) *Store {
		s, err := Open(Options{FS: fs, Folder: "/a/data", memTableBytes: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}

	s := openOn(fs)
	const repo = "a/b"
	var all []registry.Artifact
	for n := range 5 {
		all = append(all, revision(t, n))
		if err := s.Put(t.Context(), registry.Push{Repository: repo, Artifact: all[n]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Commit(t.Context(), registry.Tag{Repository: repo, Name: "latest", Manifest: all[4].Manifest}); err != nil {
		t.Fatal(err)
	}
	for _, a := range all[1:3] {
		if err := s.Delete(t.Context(), repo, a.Manifest.Digest); err != nil {
			t.Fatal(err)
		}
	}
	kept := append(all[:1:1], all[3:]...)

	record(true)
	freed, err := s.Collect(t.Context(), 0)
	if err != nil || freed.Blobs != 6 || freed.Chunks == 0 || freed.Files != 2 {
		t.Fatalf("freed %+v, %v", freed, err)
	}
	// What was just removed comes back.
	again := all[2]
	if err := s.Put(t.Context(), registry.Push{Repository: repo, Artifact: again}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), registry.Tag{Repository: repo, Name: "again", Manifest: again.Manifest}); err != nil {
		t.Fatal(err)
	}
	record(false)
	checkWhole(t, s)
	if err := s.Delete(t.Context(), repo, again.Manifest.Digest); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Collect(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	want := keys(t, s, "BCLMU")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	if len(clones) < 30 {
		t.Fatalf("only %d operations were seen", len(clones))
	}
	t.Logf("%d crashes", len(clones))
	for i, clone := range clones {
		after := openOn(clone)
		for _, a := range kept {
			if got, err := after.Get(t.Context(), repo, a.Manifest.Digest.String()); err != nil || !got.Equal(a) {
				t.Errorf("crash %d: %v", i, err)
			}
		}
		checkWhole(t, after)
		if _, err := after.Collect(t.Context(), 0); err != nil {
			t.Errorf("crash %d: collect: %v", i, err)
		}
		checkWhole(t, after)
		// The one that came back may be there.
		err := after.Delete(t.Context(), repo, again.Manifest.Digest)
		if err == nil {
			_, err = after.Collect(t.Context(), 0)
		}
		if err != nil && !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("crash %d: %v", i, err)
		}
		if got := keys(t, after, "BCLMU"); fmt.Sprintf("%x", got) != fmt.Sprintf("%x", want) {
			t.Errorf("crash %d: %d entries, without a crash %d", i, len(got), len(want))
		}
		if names, err := clone.List("/a/data/blobs/" + digest.SHA256.String()); err != nil || len(names) != len(kept) {
			t.Errorf("crash %d: files %v, %v", i, names, err)
		}
		if names, err := clone.List("/a/data/uploads"); err != nil || len(names) != 0 {
			t.Errorf("crash %d: uploads %v, %v", i, names, err)
		}
		if err := after.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			return
		}
	}
}
