package registrytest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"gitops-squared.io/gsq/internal/registry"
)

// names fails the test unless the tag names the artifact.
func (f fixture) names(t *testing.T, tag string, a registry.Artifact) {
	t.Helper()
	d, err := f.Resolve(t.Context(), f.repo, tag)
	if err != nil || d.Digest != a.Manifest.Digest {
		t.Errorf("%s names %s (%v), want %s", tag, d.Digest, err, a.Manifest.Digest)
	}
	got, err := f.Get(t.Context(), f.repo, tag)
	if err != nil {
		t.Errorf("Get of %s: %v", tag, err)
		return
	}
	equal(t, got, a)
}

func testCommitAndTag(t *testing.T, f fixture) {
	a, b := Artifact(t, nil, "a"), Artifact(t, nil, "b")
	f.mustPut(t, a, b)
	for _, move := range []func(string, registry.Artifact) error{
		func(tag string, a registry.Artifact) error {
			return f.Commit(t.Context(), f.tag(tag, a.Manifest))
		},
		func(tag string, a registry.Artifact) error { return f.Tag(t.Context(), f.tag(tag, a.Manifest)) },
	} {
		for _, to := range []registry.Artifact{a, a, b, a} {
			if err := move("moving", to); err != nil {
				t.Fatal(err)
			}
			f.names(t, "moving", to)
		}
	}
	f.mustCommit(t, "other", b.Manifest)
	f.names(t, "moving", a)
	f.names(t, "other", b)
}

func testTagMany(t *testing.T, f fixture) {
	if err := f.Tag(t.Context()); err != nil {
		t.Errorf("Tag of nothing: %v", err)
	}
	a, b := Artifact(t, nil, "a"), Artifact(t, nil, "b")
	f.mustPut(t, a, b)
	other := fixture{Registry: f.Registry, repo: f.repo + "/other"}
	other.mustPut(t, a)
	var tags []registry.Tag
	for i := range 20 {
		tags = append(tags, f.tag(fmt.Sprintf("a%d", i), a.Manifest), f.tag(fmt.Sprintf("b%d", i), b.Manifest))
	}
	if err := f.Tag(t.Context(), append(tags, other.tag("a0", a.Manifest))...); err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		if d, err := f.Resolve(t.Context(), f.repo, tag.Name); err != nil || d.Digest != tag.Manifest.Digest {
			t.Errorf("%s names %s (%v), want %s", tag.Name, d.Digest, err, tag.Manifest.Digest)
		}
	}
	other.names(t, "a0", a)
}

// testTagRefusesUnknownManifest tags what was not put, nor its blobs.
func testTagRefusesUnknownManifest(t *testing.T, f fixture) {
	a, unknown := Artifact(t, nil, "a"), Artifact(t, nil, "never put")
	f.mustPut(t, a)
	f.mustCommit(t, "latest", a.Manifest)
	if err := f.Commit(t.Context(), f.tag("latest", unknown.Manifest)); !errors.Is(err, registry.ErrRefused) {
		t.Errorf("Commit: %v", err)
	}
	if err := f.Tag(t.Context(), f.tag("latest", unknown.Manifest)); !errors.Is(err, registry.ErrRefused) {
		t.Errorf("Tag: %v", err)
	}
	f.names(t, "latest", a)
	if _, err := f.Get(t.Context(), f.repo, unknown.Manifest.Digest.String()); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("Get of what was refused: %v", err)
	}
}

func testTagsInOrder(t *testing.T, f fixture) {
	if tags, err := f.Tags(t.Context(), f.repo, "", 10); err != nil || len(tags) > 0 {
		t.Errorf("of an unknown repository: %q, %v", tags, err)
	}
	sorted := []string{"0", "10", "9", "A", "Z", "_", "a", "a-b", "a.b", "a0", "aA", "a_b", "aa", "b", "v1", "v10", "v9"}
	a := Artifact(t, nil, "a")
	f.mustPut(t, a)
	var tags []registry.Tag
	for _, name := range sorted {
		tags = append(tags, f.tag(name, a.Manifest))
	}
	slices.Reverse(tags)
	if err := f.Tag(t.Context(), tags...); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{-1, 0, 1, 2, len(sorted) - 1, len(sorted), len(sorted) + 1, 5000} {
		// last need not be a tag.
		for _, last := range append([]string{"", "!", "1", "a1", "v2", "zzz"}, sorted...) {
			var want []string
			for _, name := range sorted {
				if name > last && len(want) < n {
					want = append(want, name)
				}
			}
			got, err := f.Tags(t.Context(), f.repo, last, n)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%d tags after %q: got %q (%v), want %q", n, last, got, err, want)
			}
		}
	}
}

// testTagsOfMoreThanOnePage has more tags than registries list at once.
func testTagsOfMoreThanOnePage(t *testing.T, f fixture) {
	const count = 1205
	a := Artifact(t, nil, "a")
	f.mustPut(t, a)
	var tags []registry.Tag
	var want []string
	for i := range count {
		name := fmt.Sprintf("r%d", i)
		tags, want = append(tags, f.tag(name, a.Manifest)), append(want, name)
	}
	slices.Sort(want)
	if err := f.Tag(t.Context(), tags...); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{100, 1000, count - 1, count, count + 1, 10 * count} {
		var got []string
		for last := ""; ; last = got[len(got)-1] {
			page, err := f.Tags(t.Context(), f.repo, last, n)
			if err != nil {
				t.Fatalf("%d tags after %q: %v", n, last, err)
			}
			got = append(got, page...)
			if len(page) < n {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("in pages of %d: %d tags, want %d, in order", n, len(got), len(want))
		}
	}
}
