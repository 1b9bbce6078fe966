package catalog_test

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/klauspost/compress/gzip"

	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
)

// base is a moment of the year 2026, so that fixtures have versions.
const base intent.Version = 1_785_585_600_000_000

// entryOf packs one resource as the ledger would.
func entryOf(r intent.Resource) (catalog.Entry, error) {
	yaml, err := r.Manifest()
	return catalog.Entry{Name: r.Name, YAML: yaml}, err
}

// numbered returns n different resources of a namespace, sorted by name.
func numbered(namespace string, n int) []intent.Resource {
	types, sizes := []string{"vm", "database", "bucket"}, []string{"small", "medium", "large"}
	out := make([]intent.Resource, n)
	for i := range out {
		out[i] = intent.Resource{
			Ref:     intent.Ref{Namespace: namespace, Name: fmt.Sprintf("resource-%04d", i)},
			Spec:    intent.Spec{Type: types[i%3], Size: sizes[i/3%3], Replicas: 1 + i%10},
			Version: base + intent.Version(2*i), Created: base + intent.Version(i),
		}
		if i%2 == 1 {
			out[i].Spec.Region = fmt.Sprintf("eu-%d", i%7)
		}
	}
	return out
}

func numberedEntries(tb testing.TB, namespace string, n int) []catalog.Entry {
	tb.Helper()
	return entriesOf(tb, numbered(namespace, n))
}

func entriesOf(tb testing.TB, resources []intent.Resource) []catalog.Entry {
	tb.Helper()
	out := make([]catalog.Entry, len(resources))
	for i, r := range resources {
		e, err := entryOf(r)
		if err != nil {
			tb.Fatal(err)
		}
		out[i] = e
	}
	return out
}

func pack(tb testing.TB, namespace string, entries []catalog.Entry) []byte {
	tb.Helper()
	data, err := catalog.Pack(namespace, entries)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func gunzipAll(tb testing.TB, data []byte) []byte {
	tb.Helper()
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		tb.Fatal(err)
	}
	out, err := io.ReadAll(zr)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}
