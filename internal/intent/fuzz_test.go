package intent_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"gitops-squared.io/gsq/internal/intent"
)

// What Parse takes is what Manifest writes.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/golden/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal(err, len(files))
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("a: &a [*a]\n"))
	f.Add([]byte("metadata: {annotations: {gitops-squared.io/version: v1}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := intent.Parse(data)
		if err != nil {
			return
		}
		again, err := r.Manifest()
		if err != nil || !bytes.Equal(again, data) {
			t.Fatalf("%+v is written as\n%s\nerror %v", r, again, err)
		}
	})
}

// A manifest gives back what was declared, or is not written: nothing is
// altered without a word.
func FuzzManifest(f *testing.F) {
	f.Add("default", "web", "vm", "small", "eu", 1, int64(2), int64(1))
	f.Add("true", "1e3", "null", "~", " a: 'b' # \"c\"\n\x00", -1, int64(1<<53), int64(1))
	f.Add("", "", "", "", "\xff", 0, int64(0), int64(0))
	f.Add("a", "b", "c", "d", "\u0085\u2028\ufeff\ufffd\x7f", 1<<62, int64(253402300799999999), int64(1))
	for _, s := range []string{"0o17", "0b1", "1_000", "190:20:30", "<<", "=", "---\n", "...", "2001-12-14t21:59:43.10-05:00", ".inf", "!!binary gA==", "\r\n", "\t", "y", "\U0001f600"} {
		f.Add(s, s, s, s, s, 1, int64(1), int64(1))
	}
	f.Fuzz(func(t *testing.T, namespace, name, kind, size, region string, replicas int, version, created int64) {
		r := intent.Resource{
			Ref:     intent.Ref{Namespace: namespace, Name: name},
			Spec:    intent.Spec{Type: kind, Size: size, Region: region, Replicas: replicas},
			Version: intent.Version(version), Created: intent.Version(created),
		}
		data, err := r.Manifest()
		if err != nil {
			return
		}
		if got, err := intent.Parse(data); err != nil || got != r {
			t.Fatalf("%+v, written as\n%s\nis read as %+v, error %v", r, data, got, err)
		}
	})
}

func FuzzParseVersion(f *testing.F) {
	for _, s := range []string{"v1", "v0", "v01", "v-1", "v253402300799999999", "v253402300800000000", "v18446744073709551617", "v1\n", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := intent.ParseVersion(s)
		if err != nil {
			return
		}
		if v.String() != s {
			t.Fatalf("%q is read as %s", s, v)
		}
		if back, err := intent.ParseTime(intent.FormatTime(v.Time())); err != nil || !back.Equal(v.Time()) {
			t.Fatalf("the time of %s is read as %s, error %v", s, back, err)
		}
	})
}

func FuzzParseTime(f *testing.F) {
	for _, s := range []string{"2026-08-01T12:00:00.000001Z", "2026-08-01T12:00:00,000001Z", "1970-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z", "2026-02-29T00:00:00.000000Z", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := intent.ParseTime(s)
		if err != nil {
			return
		}
		if intent.FormatTime(got) != s {
			t.Fatalf("%q is read as %s", s, got)
		}
		v := intent.Version(got.UnixMicro())
		if back, err := intent.ParseVersion(v.String()); err != nil || back != v {
			t.Fatalf("%q is no version's time: %v", s, err)
		}
	})
}
