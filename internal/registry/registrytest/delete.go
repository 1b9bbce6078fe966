package registrytest

import (
	"errors"
	"slices"
	"testing"

	"gitops-squared.io/gsq/internal/registry"
)

func (f fixture) mustDelete(t *testing.T, a registry.Artifact) {
	t.Helper()
	if err := f.Delete(t.Context(), f.repo, a.Manifest.Digest); err != nil {
		t.Fatalf("Delete: %v", err)
	}
}

func testDeleteTakesTags(t *testing.T, f fixture) {
	a, b := Artifact(t, nil, "a"), Artifact(t, nil, "b")
	f.mustPut(t, a, b)
	f.mustCommit(t, "latest", a.Manifest)
	f.mustCommit(t, "a", a.Manifest)
	f.mustCommit(t, "b", b.Manifest)
	f.mustCommit(t, "latest", b.Manifest)
	f.mustDelete(t, a)
	for _, reference := range []string{"a", a.Manifest.Digest.String()} {
		if _, err := f.Get(t.Context(), f.repo, reference); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("Get of %s: %v", reference, err)
		}
		if _, err := f.Resolve(t.Context(), f.repo, reference); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("Resolve of %s: %v", reference, err)
		}
	}
	if err := f.Delete(t.Context(), f.repo, a.Manifest.Digest); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("Delete of what is deleted: %v", err)
	}
	if tags, err := f.Tags(t.Context(), f.repo, "", 10); err != nil || !slices.Equal(tags, []string{"b", "latest"}) {
		t.Errorf("tags %q, %v", tags, err)
	}
	f.names(t, "latest", b)
	f.mustDelete(t, b)
	if tags, err := f.Tags(t.Context(), f.repo, "", 10); err != nil || len(tags) > 0 {
		t.Errorf("tags %q, %v", tags, err)
	}
}

func testDeleteKeepsOthersBlobs(t *testing.T, f fixture) {
	a, b := Artifact(t, nil, "shared", "a"), Artifact(t, nil, "shared", "b")
	f.mustPut(t, a, b)
	f.mustDelete(t, a)
	got, err := f.Get(t.Context(), f.repo, b.Manifest.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, got, b)
}

func testDeleteThenPutAgain(t *testing.T, f fixture) {
	a := Artifact(t, nil, "a")
	for range 3 {
		f.mustPut(t, a)
		f.mustCommit(t, "latest", a.Manifest)
		f.names(t, "latest", a)
		f.mustDelete(t, a)
	}
}

func testDeleteTakesReferrer(t *testing.T, f fixture) {
	subject := Artifact(t, nil, "subject")
	a := Referrer(t, subject.Manifest, "application/vnd.example.a", nil)
	b := Referrer(t, subject.Manifest, "application/vnd.example.b", nil)
	f.mustPut(t, subject, a, b)
	f.mustDelete(t, a)
	f.refers(t, subject.Manifest.Digest, "", b)
	f.mustDelete(t, b)
	f.refers(t, subject.Manifest.Digest, "")
}
