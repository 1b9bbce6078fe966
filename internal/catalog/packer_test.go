package catalog_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
)

// Whatever was there before, and however it came about: the same entries give
// the same bytes.
func TestPackerGivesWhatPackGives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		namespace := rapid.SampledFrom([]string{"default", strings.Repeat("n", 63)}).Draw(t, "namespace")
		live := map[string]catalog.Entry{}
		var packer catalog.Packer
		var parts *catalog.Parts
		version := base
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			for range rapid.IntRange(0, 40).Draw(t, "changes") {
				name := fmt.Sprintf("%s%d", rapid.SampledFrom([]string{"a", "b-", strings.Repeat("m", 60)}).Draw(t, "kind"), rapid.IntRange(0, 99).Draw(t, "number"))
				if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
					delete(live, name)
					continue
				}
				version++
				e, err := entryOf(intent.Resource{
					Ref: intent.Ref{Namespace: namespace, Name: name}, Spec: intent.Spec{Type: "vm", Size: "small", Replicas: 1}, Version: version, Created: base,
				})
				if err != nil {
					t.Fatal(err)
				}
				live[name] = e
			}
			var entries []catalog.Entry
			for _, e := range live {
				entries = append(entries, e)
			}
			slices.SortFunc(entries, func(a, b catalog.Entry) int { return strings.Compare(a.Name, b.Name) })
			archive, next, err := packer.Pack(namespace, entries, parts)
			if err != nil {
				t.Fatal(err)
			}
			want, err := catalog.Pack(namespace, entries)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(archive, want) {
				t.Fatal("packed on what was there before, the archive has other bytes")
			}
			if got, err := catalog.Unpack(namespace, archive); err != nil || len(got) != len(entries) || len(got) > 0 && !reflect.DeepEqual(got, entries) {
				t.Fatalf("it unpacks to %d entries, error %v", len(got), err)
			}
			parts = next
		}
	})
}

// The parts of one namespace are of no use to another one, not even by mistake.
func TestPackerKeepsNamespacesApart(t *testing.T) {
	t.Parallel()
	var packer catalog.Packer
	_, parts, err := packer.Pack("default", numberedEntries(t, "default", 50), nil)
	if err != nil {
		t.Fatal(err)
	}
	other := numberedEntries(t, "default", 50) // the same bytes, in other hands
	archive, _, err := packer.Pack("other", other, parts)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(archive, pack(t, "other", other)) {
		t.Error("the archive has parts of another namespace")
	}
}

func TestPackerRefusesDisorder(t *testing.T) {
	t.Parallel()
	var packer catalog.Packer
	good := numberedEntries(t, "default", 60)
	_, parts, err := packer.Pack("default", good, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < len(good); i++ {
		swapped := slices.Clone(good)
		swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
		twice := slices.Insert(slices.Clone(good), i, good[i-1])
		for name, entries := range map[string][]catalog.Entry{"swapped": swapped, "twice": twice} {
			for _, before := range []*catalog.Parts{nil, parts} {
				if got, next, err := packer.Pack("default", entries, before); err == nil || got != nil || next != nil {
					t.Fatalf("%s at %d: error %v", name, i, err)
				}
			}
		}
	}
}

func TestPackerIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	var packer catalog.Packer
	entries := numberedEntries(t, "default", 200)
	want := pack(t, "default", entries)
	_, parts, err := packer.Pack("default", entries[:150], nil)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				if got, _, err := packer.Pack("default", entries, parts); err != nil || !bytes.Equal(got, want) {
					t.Errorf("other bytes, error %v", err)
				}
			}
		})
	}
	wg.Wait()
}
