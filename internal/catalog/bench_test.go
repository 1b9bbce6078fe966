package catalog_test

import (
	"testing"

	"gitops-squared.io/gsq/internal/catalog"
)

func BenchmarkPack1000(b *testing.B) {
	entries := numberedEntries(b, "default", 1000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := catalog.Pack("default", entries); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUnpack1000(b *testing.B) {
	archive := pack(b, "default", numberedEntries(b, "default", 1000))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := catalog.Unpack("default", archive); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResources1000(b *testing.B) {
	entries := numberedEntries(b, "default", 1000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := catalog.Resources("default", entries); err != nil {
			b.Fatal(err)
		}
	}
}
