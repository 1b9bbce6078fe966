package catalog_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/klauspost/compress/gzip"

	"gitops-squared.io/gsq/internal/catalog"
)

// edited returns entries with some changed, gone and new.
func edited(t testing.TB, random *rand.Rand, entries []catalog.Entry, edits int) []catalog.Entry {
	t.Helper()
	byName := map[string]catalog.Entry{}
	for _, e := range entries {
		byName[e.Name] = e
	}
	pool := numbered("default", 300)
	for range edits {
		r := pool[random.IntN(len(pool))]
		if random.IntN(3) == 0 {
			delete(byName, r.Name)
			continue
		}
		r.Spec.Replicas = random.IntN(9) + 1
		e, err := entryOf(r)
		if err != nil {
			t.Fatal(err)
		}
		byName[r.Name] = e
	}
	next := make([]catalog.Entry, 0, len(byName))
	for _, e := range byName {
		next = append(next, e)
	}
	slices.SortFunc(next, func(a, b catalog.Entry) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return next
}

// differences is what Read must find, the slow way.
func differences(before, after []catalog.Entry) []catalog.Entry {
	old, now := map[string][]byte{}, map[string][]byte{}
	names := map[string]bool{}
	for _, e := range before {
		old[e.Name], names[e.Name] = e.YAML, true
	}
	for _, e := range after {
		now[e.Name], names[e.Name] = e.YAML, true
	}
	var differ []catalog.Entry
	for name := range names {
		if !bytes.Equal(old[name], now[name]) {
			differ = append(differ, catalog.Entry{Name: name, YAML: now[name]})
		}
	}
	slices.SortFunc(differ, func(a, b catalog.Entry) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	return differ
}

func sameEntries(a, b []catalog.Entry) bool {
	return slices.EqualFunc(a, b, func(x, y catalog.Entry) bool { return x.Name == y.Name && bytes.Equal(x.YAML, y.YAML) })
}

// A row of archives, each read by the one before it, gives what differs, however
// many entries changed and whoever compressed them.
func TestReadFindsWhatDiffers(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		entries := numberedEntries(t, "default", random.IntN(200))
		var last *catalog.Reading
		var before []catalog.Entry
		for step := range 30 {
			archive := pack(t, "default", entries)
			if random.IntN(5) == 0 {
				archive = gzipped(t, gunzipAll(t, archive)) // in one member
			}
			r, differ, err := catalog.Read("default", archive, last)
			if err != nil {
				t.Fatalf("seed %d, step %d: %v", seed, step, err)
			}
			if want := differences(before, entries); !sameEntries(differ, want) {
				t.Fatalf("seed %d, step %d: %d entries differ, want %d", seed, step, len(differ), len(want))
			}
			last, before = r, entries
			switch random.IntN(6) {
			case 0:
				entries = nil
			case 1:
				entries = edited(t, random, entries, 200)
			default:
				entries = edited(t, random, entries, 1+random.IntN(3))
			}
		}
	}
}

// gzipped compresses a tar in one member.
func gzipped(t testing.TB, tar []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zw := gzip.NewWriter(&out)
	if _, err := zw.Write(tar); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// Whatever part of an archive is damaged, Read by another one refuses what
// Unpack refuses.
func TestReadRefusesWhatUnpackRefuses(t *testing.T) {
	t.Parallel()
	entries := numberedEntries(t, "default", 40)
	whole := pack(t, "default", entries)
	like, _, err := catalog.Read("default", whole, nil)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	archives := map[string][]byte{
		"cut":             whole[:len(whole)-1],
		"cut in half":     whole[:len(whole)/2],
		"followed":        append(slices.Clone(whole), 0),
		"twice":           append(slices.Clone(whole), whole...),
		"empty":           {},
		"of another":      pack(t, "other", numberedEntries(t, "other", 3)),
		"kustomization":   pack(t, "default", nil)[10:],
		"without the end": gzipped(t, gunzipAll(t, whole)[:2048]),
	}
	for i := range 200 {
		damaged := slices.Clone(whole)
		damaged[random.IntN(len(damaged))] ^= byte(1 + random.IntN(255))
		archives[fmt.Sprint("bit ", i)] = damaged
	}
	for name, archive := range archives {
		_, wanted := catalog.Unpack("default", archive)
		_, _, err := catalog.Read("default", archive, like)
		if (err == nil) != (wanted == nil) {
			t.Errorf("%s: %v, Unpack says %v", name, err, wanted)
		}
	}
	// Members of an archive in another order.
	other := pack(t, "default", entries[:20])
	if _, _, err := catalog.Read("default", append(slices.Clone(other), whole...), like); err == nil {
		t.Error("two archives in one were taken")
	}
}

// What Read takes is what Unpack takes, with the same entries.
func FuzzRead(f *testing.F) {
	like := pack(f, "default", numberedEntries(f, "default", 30))
	f.Add(like, true)
	f.Add(pack(f, "default", numberedEntries(f, "default", 29)), true)
	addArchives(f)
	reading, _, err := catalog.Read("default", like, nil)
	if err != nil {
		f.Fatal(err)
	}
	had, err := catalog.Unpack("default", like)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, compressed bool) {
		if !compressed {
			data = stored(t, data)
		}
		want, refused := catalog.Unpack("default", data)
		_, differ, err := catalog.Read("default", data, reading)
		if (err == nil) != (refused == nil) {
			t.Fatalf("Read: %v, Unpack: %v", err, refused)
		}
		if err == nil && !sameEntries(differ, differences(had, want)) {
			t.Fatalf("%v differ, want %v", reflect.ValueOf(differ), differences(had, want))
		}
	})
}

// The cost of reading a full catalog's next revision.
func BenchmarkRead(b *testing.B) {
	entries := numberedEntries(b, "default", 1000)
	one := pack(b, "default", entries)
	changed := slices.Clone(entries)
	changed[500] = numberedEntries(b, "default", 1000)[500]
	changed[500].YAML = bytes.Replace(changed[500].YAML, []byte("replicas: 1\n"), []byte("replicas: 2\n"), 1)
	two := pack(b, "default", changed)
	r, _, err := catalog.Read("default", one, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(two)))
	for b.Loop() {
		var err error
		if r, _, err = catalog.Read("default", two, r); err != nil {
			b.Fatal(err)
		}
		one, two = two, one
	}
}
