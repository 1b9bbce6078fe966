package fsck_test

import (
	"testing"

	"gitops-squared.io/gsq/internal/fsck"
)

// What a repair may put right is said, and nothing else.
func TestRepairableFindings(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	shop := standard(b)
	old := b.chain("old")
	b.store.RemoveTag(shop.repo, "r5")
	b.store.RemoveTag(old.repo, "r2")
	b.store.RemoveTag(b.layout.System(), "r2")
	b.store.SetTag(shop.repo, "r7", shop.at(3))
	b.store.SetTag(shop.resource("b"), "latest", shop.version(9, "b").Digest)
	b.store.RemoveTag(shop.resource("c"), shop.version(4, "c").Version)
	b.store.SetTag(shop.resource("e"), shop.version(5, "e").Version, shop.version(12, "e").Digest)
	found, _ := check(t, b.store)
	expect(t, found,
		"revision-tag-missing shop r5", "revision-tag-missing old r2", "revision-tag-missing system r2", "revision-tag-moved shop r7",
		"resource-latest-wrong shop r11 b", "version-tag-missing shop r4 c", "version-tag-moved shop r5 e")
	want := map[string]fsck.Repair{
		"revision-tag-missing shop r5":     {Tag: "r5", Digest: shop.at(5)},
		"resource-latest-wrong shop r11 b": {Resource: "b", Tag: "latest", Digest: shop.version(11, "b").Digest},
		"version-tag-missing shop r4 c":    {Resource: "c", Tag: shop.version(4, "c").Version, Digest: shop.version(4, "c").Digest},
	}
	for _, f := range found {
		repair, ok := want[brief(f)]
		if ok != (f.Repair != nil) || ok && *f.Repair != repair {
			t.Errorf("%s: %+v, want %+v", brief(f), f.Repair, repair)
		}
	}
}

// A version that a kept revision still has is missed, though the record that
// made it is thinned.
func TestVersionOfAKeptRevisionIsMissed(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	shop := standard(b)
	v := shop.version(9, "b") // what r10 holds
	shop.thin(9)
	found, _ := check(t, b.store)
	expect(t, found)
	b.store.RemoveTag(shop.resource("b"), v.Version)
	b.store.DropManifest(shop.resource("b"), v.Digest)
	found, _ = check(t, b.store)
	expect(t, found, "version-missing shop b")
}
