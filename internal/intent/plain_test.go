package intent

import (
	"bytes"
	"testing"
)

// What is written and read without the YAML library is what the library writes
// and reads.
func FuzzPlain(f *testing.F) {
	f.Add("default", "web", "vm", "small", "eu-central-1", 3, int64(1785585600000000), int64(1785585600000000))
	f.Add("team", "a", "database", "large", "", 0, int64(2), int64(1))
	for _, s := range []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf", "e3", "a1e3", "x0", "a-", "a--b", "1e3", "0x1f", "12", "a b", "~", "", "name", "spec", "--- a"} {
		f.Add(s, s, s, s, s, -1, int64(1), int64(1))
	}
	f.Fuzz(func(t *testing.T, namespace, name, kind, size, region string, replicas int, version, created int64) {
		r := Resource{
			Ref:     Ref{Namespace: namespace, Name: name},
			Spec:    Spec{Type: kind, Size: size, Region: region, Replicas: replicas},
			Version: Version(version), Created: Version(created),
		}
		if !r.Version.valid() || !r.Created.valid() || !r.isPlain() {
			return
		}
		data := r.appendPlain(nil)
		want, err := r.marshal()
		if err != nil || !bytes.Equal(data, want) {
			t.Fatalf("%+v is written as\n%s\nthe library writes\n%s\nerror %v", r, data, want, err)
		}
		got, ok := parsePlain(data)
		library, err := parse(data)
		if !ok || err != nil || got != r || library != r {
			t.Fatalf("%s\nis read as %+v (%v), by the library as %+v, error %v", data, got, ok, library, err)
		}
	})
}

// A manifest that is not exactly a plain one is left to the library, and gives
// what it gives.
func FuzzParsePlain(f *testing.F) {
	r := Resource{Ref: Ref{Namespace: "default", Name: "web"}, Spec: Spec{Type: "vm", Size: "small", Region: "eu", Replicas: 3}, Version: 1785585600000001, Created: 1785585600000000}
	data := r.appendPlain(nil)
	f.Add(data)
	f.Add(bytes.Replace(data, []byte("3"), []byte("03"), 1))
	f.Add(bytes.Replace(data, []byte("replicas: 3"), []byte("replicas: 0"), 1))
	f.Add(bytes.Replace(data, []byte("  size"), []byte("  region: eu\n  size"), 1))
	f.Add(bytes.Replace(data, []byte("region: eu"), []byte("region: on"), 1))
	f.Add(append(bytes.Clone(data), '\n'))
	f.Add(data[:len(data)-1])
	f.Fuzz(func(t *testing.T, data []byte) {
		got, ok := parsePlain(data)
		want, err := parse(data)
		if ok && (err != nil || got != want) {
			t.Fatalf("%s\nis read as %+v, by the library as %+v, error %v", data, got, want, err)
		}
	})
}

func BenchmarkManifest(b *testing.B) {
	r := Resource{Ref: Ref{Namespace: "default", Name: "orders-db"}, Spec: Spec{Type: "database", Size: "small", Region: "eu-west-1", Replicas: 3}, Version: 1760000000000001, Created: 1760000000000000}
	data, err := r.Manifest()
	if err != nil {
		b.Fatal(err)
	}
	for name, operation := range map[string]func() error{
		"write":            func() error { _, err := r.Manifest(); return err },
		"write-by-library": func() error { _, err := r.marshal(); return err },
		"parse":            func() error { _, err := Parse(data); return err },
		"parse-by-library": func() error { _, err := parse(data); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := operation(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
