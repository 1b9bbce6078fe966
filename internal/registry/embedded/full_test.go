package embedded

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

// fullDisk is a store on a disk of 8 MiB, with a reserve and a margin of 1 MiB
// each.
type fullDisk struct {
	t     *testing.T
	disk  *disk
	store *Store
	fatal atomic.Int64
	kept  []registry.Artifact // what was acknowledged
	n     int
}

func newFullDisk(t *testing.T) *fullDisk {
	f := &fullDisk{t: t, disk: newDisk(8 << 20)}
	f.open(f.options())
	return f
}

func (f *fullDisk) open(o Options) {
	f.t.Helper()
	s, err := Open(o)
	if err != nil {
		f.t.Fatal(err)
	}
	f.store = s
	f.t.Cleanup(func() { s.Close() })
}

func (f *fullDisk) options() Options {
	return Options{
		FS: f.disk, Folder: "/data", Essential: "a/writer", memTableBytes: 256 << 10, Log: slog.New(slog.DiscardHandler),
		Fatal: func(err error) { f.fatal.Add(1); f.t.Errorf("the owner was told to end: %v", err) },
	}
}

// write puts and commits an artifact that cannot be compressed.
func (f *fullDisk) write() error {
	f.n++
	random := make([]byte, 40<<10)
	r := rand.NewChaCha8([32]byte{byte(f.n), byte(f.n >> 8)})
	r.Read(random)
	a := registrytest.Artifact(f.t, nil, fmt.Sprint(f.n), string(random))
	if err := f.store.Put(f.t.Context(), registry.Push{Repository: "a/b", Artifact: a}); err != nil {
		return err
	}
	if err := f.store.Commit(f.t.Context(), registry.Tag{Repository: "a/b", Name: "latest", Manifest: a.Manifest}); err != nil {
		return err
	}
	f.kept = append(f.kept, a)
	return nil
}

// fill writes until there is no room, also after the database had time to make
// some by removing logs; what is left for little things, somebody else takes.
func (f *fullDisk) fill() {
	f.t.Helper()
	for refusals := 0; refusals < 10; {
		if len(f.kept) > 2000 {
			f.t.Fatal("the disk does not become full")
		}
		err := f.write()
		if err == nil {
			refusals = 0
			continue
		}
		f.refused(err)
		refusals++
		time.Sleep(10 * time.Millisecond)
	}
	f.disk.fill(f.store.space.margin - 1)
	time.Sleep(2 * freeAge)
}

func (f *fullDisk) refused(err error) {
	f.t.Helper()
	if !errors.Is(err, registry.ErrNoSpace) || !registry.Settled(err) || !strings.Contains(err.Error(), "MiB left") {
		f.t.Fatalf("on a full disk: %v", err)
	}
}

// reads checks that everything acknowledged is there.
func (f *fullDisk) reads() {
	f.t.Helper()
	for _, a := range f.kept {
		if _, err := f.store.Get(f.t.Context(), "a/b", a.Manifest.Digest.String()); err != nil {
			f.t.Fatal(err)
		}
	}
}

// eventually writes until that is possible again, because there is room.
func (f *fullDisk) eventually() {
	f.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := f.write()
		if err == nil {
			return
		}
		f.refused(err)
		if time.Now().After(deadline) {
			f.t.Fatalf("there is room, but: %v", err)
		}
	}
}

func (f *fullDisk) send(method, path string, body []byte) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(f.t.Context(), method, path, bytes.NewReader(body))
	f.store.Handler(HandlerOptions{}).ServeHTTP(w, r)
	return w
}

// A store that fills its disk refuses what is new, on both sides, goes on
// reading and deleting, and writes again when there is room.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	f := &fullDisk{t: t, disk: newDisk(8 << 20)}
	o := f.options()
	o.neverMerge = true // which would make room
	f.open(o)
	f.fill()
	if len(f.kept) < 30 {
		t.Errorf("only %d artifacts fit", len(f.kept))
	}
	f.reads()
	small, big := []byte("small"), []byte(strings.Repeat("big ", 100<<10))
	for _, data := range [][]byte{small, big} {
		w := f.send("POST", "/v2/c/d/blobs/uploads/?digest="+digest.FromBytes(data).String(), data)
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"UNAVAILABLE"`) || !strings.Contains(w.Body.String(), "no space left") {
			t.Errorf("a blob of %d bytes: %d %v %s", len(data), w.Code, w.Header(), w.Body)
		}
	}
	if names, err := f.disk.List("/data/uploads"); err != nil || len(names) != 0 {
		t.Errorf("left behind by refused uploads: %v, %v", names, err)
	}
	if free, reserve, full := f.store.space.state(); !full || reserve != 1<<20 || free <= 0 {
		t.Errorf("%d bytes free, %d in reserve, full: %v", free, reserve, full)
	}
	// What is there can be put again, and a start's claim.
	if err := f.store.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: f.kept[0]}); err != nil {
		t.Errorf("what is there: %v", err)
	}
	claim := registry.Push{Repository: "a/writer", Artifact: registrytest.Artifact(t, nil, "claim")}
	if err := f.store.Put(t.Context(), claim); err != nil {
		t.Errorf("the claim: %v", err)
	}
	claim.Repository = "a/other"
	f.refused(f.store.Put(t.Context(), claim))
	// What was accepted can be completed, and something deleted.
	last := f.kept[len(f.kept)-1]
	if err := f.store.Tag(t.Context(), registry.Tag{Repository: "a/b", Name: "tag", Manifest: last.Manifest}); err != nil {
		t.Error(err)
	}
	if err := f.store.Commit(t.Context(), registry.Tag{Repository: "a/b", Name: "latest", Manifest: f.kept[0].Manifest}); err != nil {
		t.Error(err)
	}
	if w := f.send("DELETE", "/v2/a/b/manifests/tag", nil); w.Code != http.StatusAccepted {
		t.Errorf("delete: %d %s", w.Code, w.Body)
	}
	f.disk.mu.Lock()
	f.disk.total *= 2
	f.disk.mu.Unlock()
	f.eventually()
	f.reads()
}

// When somebody else fills the disk to the last byte, the database finishes
// what it has begun with the reserve; a start is possible, for reads; and it is
// over when the room is back.
func TestDiskFilledByOthers(t *testing.T) {
	t.Parallel()
	f := newFullDisk(t)
	for range 30 {
		if err := f.write(); err != nil {
			t.Fatal(err)
		}
	}
	f.disk.fill(0)
	last := f.kept[len(f.kept)-1]
	for range 20 { // with the reserve, until it is used up
		err := f.store.Commit(t.Context(), registry.Tag{Repository: "a/b", Name: "latest", Manifest: last.Manifest})
		if err != nil {
			f.refused(err)
		}
	}
	f.refused(f.write())
	f.reads()
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	f.open(f.options())
	f.refused(f.write())
	f.reads()
	f.disk.empty()
	f.eventually()
	if _, reserve, full := f.store.space.state(); full || reserve != 1<<20 {
		t.Errorf("%d bytes in reserve, full: %v", reserve, full)
	}
	f.reads()
}

// With neither room nor a reserve, a start says what is wrong, and changes
// nothing.
func TestStartOnAFullDisk(t *testing.T) {
	t.Parallel()
	f := newFullDisk(t)
	for range 10 {
		if err := f.write(); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.disk.Remove("/data/" + reserveFile); err != nil {
		t.Fatal(err)
	}
	f.disk.fill(10)
	_, err := Open(f.options())
	if !errors.Is(err, registry.ErrNoSpace) || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "needed to open") {
		t.Fatalf("Open: %v", err)
	}
	f.disk.empty()
	f.open(f.options())
	f.reads()
	f.eventually()
}

// A start takes the reserve of the one before, though there is no room for a
// second one.
func TestStartKeepsTheReserve(t *testing.T) {
	t.Parallel()
	f := newFullDisk(t)
	if err := f.write(); err != nil {
		t.Fatal(err)
	}
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
	f.disk.fill(3 << 19) // more than the margin, less than both
	f.open(f.options())
	if err := f.write(); err != nil {
		t.Fatal(err)
	}
}

// The page says how large the reserve and the margin are.
func TestReserveIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/embedded-registry.md")
	if err != nil {
		t.Fatal(err)
	}
	size := fmt.Sprintf("%d MiB", spaceFactor*memTableBytes>>20)
	for _, sentence := range []string{"The file `reserve` holds " + size, "New content needs " + size, "When there are " + size} {
		if !strings.Contains(string(page), sentence) {
			t.Errorf("docs/embedded-registry.md does not say %q", sentence)
		}
	}
}
