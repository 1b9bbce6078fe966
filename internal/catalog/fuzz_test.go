package catalog_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/klauspost/compress/gzip"

	"gitops-squared.io/gsq/internal/catalog"
)

// stored wraps data into gzip cheaply, so that the fuzzer gets past the
// checksum.
func stored(t *testing.T, data []byte) []byte {
	var out bytes.Buffer
	zw, err := gzip.NewWriterLevel(&out, gzip.StatelessCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zw.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func addArchives(f *testing.F) {
	golden, err := filepath.Glob("testdata/golden/*.tar.gz")
	if err != nil || len(golden) == 0 {
		f.Fatal(err, len(golden))
	}
	for _, file := range golden {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, true)
	}
	f.Add(tarOf(f, two()...), false)
	f.Add(sparseGNU(), false)
	f.Add(sparsePAX("1048576"), false)
	f.Add(tarOf(f), false)
	f.Add([]byte{}, true)
}

// Whatever Unpack takes, Pack writes again, and nothing is lost on the way.
func FuzzUnpack(f *testing.F) {
	addArchives(f)
	f.Fuzz(func(t *testing.T, data []byte, compressed bool) {
		if !compressed {
			data = stored(t, data)
		}
		entries, err := catalog.Unpack("default", data)
		if err != nil {
			return
		}
		again, err := catalog.Pack("default", entries)
		if err != nil {
			t.Fatalf("what was unpacked cannot be packed: %v", err)
		}
		if got, err := catalog.Unpack("default", again); err != nil || !reflect.DeepEqual(got, entries) {
			t.Fatalf("what was packed unpacks to %d entries, not the %d that it was packed of: %v", len(got), len(entries), err)
		}
		if !bytes.Equal(gunzipAll(t, again), gunzipAll(t, data)) {
			t.Fatal("Unpack took a tar that Pack does not write")
		}
	})
}

// Files never panics, stays within its bound, and packing what it read gives
// the same files.
func FuzzFiles(f *testing.F) {
	addArchives(f)
	f.Fuzz(func(t *testing.T, data []byte, compressed bool) {
		if !compressed {
			data = stored(t, data)
		}
		files, err := catalog.Files(data)
		if err != nil {
			if files != nil {
				t.Fatal("files besides an error")
			}
			return
		}
		total := 0
		members := make([]member, len(files))
		for i, file := range files {
			total += len(file.Data)
			members[i] = regular(file.Name, string(file.Data))
		}
		if total > catalog.MaxBytes {
			t.Fatalf("%d bytes", total)
		}
		for _, file := range files {
			if bytes.ContainsRune([]byte(file.Name), 0) || file.Name == "" || file.Name[len(file.Name)-1] == '/' {
				return // no tar can hold such a name as a file's
			}
		}
		again, err := catalog.Files(stored(t, tarOf(t, members...)))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(again, files) {
			t.Fatalf("got %q, want %q", again, files)
		}
	})
}
