package catalog_test

import (
	"slices"
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

// One resource of a thousand is updated.
func BenchmarkPackOneOf1000(b *testing.B) {
	entries := numberedEntries(b, "default", 1000)
	var packer catalog.Packer
	_, parts, err := packer.Pack("default", entries, nil)
	if err != nil {
		b.Fatal(err)
	}
	changed := slices.Clone(entries)
	changed[500].YAML = append(slices.Clone(changed[500].YAML), '\n')
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := packer.Pack("default", changed, parts); err != nil {
			b.Fatal(err)
		}
	}
}
