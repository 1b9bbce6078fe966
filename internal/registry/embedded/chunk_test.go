package embedded

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

// members returns a series of n gzip members. The text of each is incompressible
// enough to have some hundred bytes.
func members(t testing.TB, n int, change func(i int) string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	for i := range n {
		w.Reset(&out)
		for j := range 60 {
			fmt.Fprintf(w, "%d%s:%d\n", i, change(i), j*j*7919+i*104729)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func unchanged(int) string { return "" }

// What differs a little is stored for the most part once.
func TestSimilarBlobsShareChunks(t *testing.T) {
	t.Parallel()
	before := chunksOf(members(t, 200, unchanged))
	after := chunksOf(members(t, 200, func(i int) string {
		if i == 77 {
			return " but not this one"
		}
		return ""
	}))
	longer := chunksOf(append(members(t, 1, func(int) string { return "first" }), members(t, 200, unchanged)...))
	if len(before) < 20 {
		t.Fatalf("%d chunks", len(before))
	}
	for name, chunks := range map[string][][]byte{"one member differs": after, "one more at the head": longer} {
		other := 0
		for _, c := range chunks {
			if !slices.ContainsFunc(before, func(b []byte) bool { return bytes.Equal(b, c) }) {
				other++
			}
		}
		if other > 2 {
			t.Errorf("%s: %d of %d chunks differ", name, other, len(chunks))
		}
	}
}

func TestBlobsInChunks(t *testing.T) {
	t.Parallel()
	s := memoryStore(t)
	data := string(members(t, 200, unchanged))
	a := registrytest.Artifact(t, nil, data)
	for range 2 { // pushed again, it is there already
		if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: a}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.Get(t.Context(), "a/b", a.Manifest.Digest.String())
	if err != nil || len(got.Blobs) != 2 || string(got.Blobs[1].Data) != data {
		t.Fatalf("got %d blobs, error %v", len(got.Blobs), err)
	}
	value, err := get(s.db, blobKey(a.Blobs[1].Digest))
	if err != nil || value[0] != blobChunks {
		t.Fatalf("it is stored as %q, error %v", value[:1], err)
	}

	// A chunk that is gone is damage, and is mended by another push.
	sum := chunkSum(value[9+32:])
	if err := s.db.Delete(chunkKey(sum), pebble.NoSync); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "a/b", a.Manifest.Digest.String()); !errors.Is(err, registry.ErrCorrupt) || !strings.Contains(err.Error(), fmt.Sprintf("%x", sum)) {
		t.Errorf("without a chunk: %v", err)
	}
	if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: a}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(t.Context(), "a/b", a.Manifest.Digest.String()); err != nil {
		t.Errorf("pushed again: %v", err)
	}

	for name, harm := range map[string][]byte{
		"a chunk less":   value[:len(value)-32],
		"half a sum":     value[:len(value)-16],
		"no chunks":      value[:9],
		"no size":        value[:5],
		"swapped chunks": slices.Concat(value[:9], value[9+32:9+64], value[9:9+32], value[9+64:]),
	} {
		if err := s.db.Set(blobKey(a.Blobs[1].Digest), harm, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get(t.Context(), "a/b", a.Manifest.Digest.String()); !errors.Is(err, registry.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzChunks(f *testing.F) {
	f.Add(members(f, 50, unchanged))
	f.Add([]byte(strings.Repeat(gzipHeader, 1000)))
	f.Add(append([]byte(gzipHeader), bytes.Repeat([]byte("x"), 3000)...))
	f.Add([]byte(gzipHeader + strings.Repeat("\x00", 8) + gzipHeader))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		chunks := chunksOf(data)
		if chunks == nil {
			return
		}
		if len(chunks) < 2 || !bytes.Equal(bytes.Join(chunks, nil), data) {
			t.Fatalf("%d chunks do not give the data", len(chunks))
		}
		for i, c := range chunks {
			if len(c) == 0 || len(c) > inlineBytes || i > 0 && !bytes.HasPrefix(c, []byte(gzipHeader)) {
				t.Fatalf("chunk %d has %d bytes", i, len(c))
			}
		}
	})
}

func TestRecentChunksAreBounded(t *testing.T) {
	t.Parallel()
	var r recentChunks
	sum := func(i int) chunkSum { return chunkSum{byte(i), byte(i >> 8), byte(i >> 16)} }
	r.add(map[chunkSum]bool{sum(0): true})
	for i := 1; i < 5*maxRecent; i++ {
		r.add(map[chunkSum]bool{sum(i): true})
		if !r.has(sum(0)) { // it is used all the time
			t.Fatalf("forgotten after %d others", i)
		}
		if n := len(r.young) + len(r.aged); n > 2*maxRecent {
			t.Fatalf("%d are remembered", n)
		}
	}
	if r.has(sum(1)) {
		t.Error("one that is not used is never forgotten")
	}
	if r.forget(); r.has(sum(0)) {
		t.Error("it is not forgotten")
	}
}
