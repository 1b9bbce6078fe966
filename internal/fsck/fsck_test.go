package fsck_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/fsck"
	"gitops-squared.io/gsq/internal/registry"
)

// check runs a check that does not wait for writes under way.
func check(t testing.TB, r registry.Registry, change ...func(*fsck.Options)) ([]fsck.Finding, fsck.Summary) {
	t.Helper()
	found, summary, err := try(r, change...)
	if err != nil {
		t.Fatalf("the check did not come to its end: %v", err)
	}
	return found, summary
}

func try(r registry.Registry, change ...func(*fsck.Options)) ([]fsck.Finding, fsck.Summary, error) {
	var found []fsck.Finding
	o := fsck.Options{Registry: r, Prefix: prefix, Patience: time.Millisecond, Pauses: []time.Duration{time.Millisecond}, Found: func(f fsck.Finding) { found = append(found, f) }}
	for _, f := range change {
		f(&o)
	}
	summary, err := fsck.Run(context.Background(), o)
	return found, summary, err
}

// brief is what tests compare of a finding.
func brief(f fsck.Finding) string {
	where := f.Namespace
	if where == "" {
		where = strings.TrimPrefix(f.Repository, prefix+"/")
	}
	s := fmt.Sprintf("%s %s", f.Code, where)
	if f.Revision > 0 {
		s += fmt.Sprintf(" r%d", f.Revision)
	}
	if f.Resource != "" {
		s += " " + f.Resource
	}
	return s
}

// expect compares the findings with what they must be, in any order.
func expect(t testing.TB, found []fsck.Finding, want ...string) {
	t.Helper()
	var got []string
	for _, f := range found {
		got = append(got, brief(f))
		if f.Detail == "" || f.Advice == "" || f.Severity == "" || f.Repository == "" {
			t.Errorf("an incomplete finding: %+v", f)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("found %q, want %q", got, want)
		for _, f := range found {
			t.Logf("%s: %s", brief(f), f.Detail)
		}
	}
}

func TestNothingIsWrong(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	standard(b)
	found, s := check(t, b.store)
	expect(t, found)
	// A version that is brought back is read once.
	if s.Namespaces != 3 || s.Revisions != 12+3+1+7 || s.Versions != 15+2 || s.Thinned != 0 || s.Deployments != 2 || !s.Clean() {
		t.Errorf("%+v", s)
	}
}

func TestThinnedHistory(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	thinned(b)
	found, s := check(t, b.store)
	expect(t, found)
	if s.Thinned != 9 || s.ThinnedVersions == 0 {
		t.Errorf("%+v", s)
	}
}

// A check of the last revisions verifies all records, too.
func TestSince(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	shop := standard(b)
	all, whole := check(t, b.store)
	expect(t, all)
	at, err := shop.past[9].record.Stamp()
	b.must(err)
	since := func(o *fsck.Options) { o.Since = at.Time() }
	found, s := check(t, b.store, since)
	expect(t, found)
	if s.Revisions != whole.Revisions || s.Versions != 3 || s.Bytes >= whole.Bytes {
		t.Errorf("%+v, of everything %+v", s, whole)
	}
	// The layer of an older revision is not read, its record is.
	b.store.DropBlob(shop.repo, shop.past[4].artifact.Blobs[1].Digest)
	found, _ = check(t, b.store, since)
	expect(t, found)
	b.store.DropBlob(shop.repo, shop.past[4].artifact.Blobs[0].Digest)
	found, _ = check(t, b.store, since)
	expect(t, found, "revision-damaged shop r5")
}

// However little is read in depth, it is known what there must be.
func TestSinceKnowsTheSystem(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	standard(b)
	old := b.chain("old")
	for n := range old.past {
		b.store.RemoveTag(old.repo, artifact.RevisionTag(int64(n+1)))
	}
	b.store.RemoveTag(old.repo, "latest")
	found, _ := check(t, b.store, func(o *fsck.Options) { o.Since = time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC) })
	expect(t, found, "latest-missing old")
}

func TestOneNamespace(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	shop := standard(b)
	b.store.RemoveTag(shop.repo, "r3")
	found, s := check(t, b.store, func(o *fsck.Options) { o.Namespace = "old" })
	expect(t, found)
	if s.Namespaces != 1 || s.Revisions != 3+7 {
		t.Errorf("%+v", s)
	}
	found, _ = check(t, b.store, func(o *fsck.Options) { o.Namespace = "shop" })
	expect(t, found, "revision-tag-missing shop r3")
	for _, name := range []string{"none", "No Name"} {
		if _, _, err := try(b.store, func(o *fsck.Options) { o.Namespace = name }); err == nil {
			t.Errorf("%q was checked", name)
		}
	}
}

func TestEmptyRegistry(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	if _, _, err := try(b.store); err == nil || !strings.Contains(err.Error(), "no system catalog") {
		t.Errorf("an empty registry: %v", err)
	}
}

func TestTakenOver(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	takenOver(b)
	found, _ := check(t, b.store)
	expect(t, found)
	b.store.RemoveTag(b.layout.Catalog(artifact.DefaultNamespace), "r0")
	found, _ = check(t, b.store)
	expect(t, found, "revision-tag-missing default")
}
