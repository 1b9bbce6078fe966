package registrytest

import (
	"errors"
	"testing"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

func testNotFound(t *testing.T, f fixture) {
	a := Artifact(t, nil, "a")
	f.mustPut(t, a)
	f.mustCommit(t, "tag", a.Manifest)
	for name, ask := range map[string]struct{ repo, reference string }{
		"an unknown repository's tag":    {f.repo + "/unknown", "tag"},
		"an unknown repository's digest": {f.repo + "/unknown", a.Manifest.Digest.String()},
		"an unknown tag":                 {f.repo, "Tag"},
		"an unknown digest":              {f.repo, digest.FromString("unknown").String()},
		"a blob's digest":                {f.repo, a.Blobs[1].Digest.String()},
	} {
		if _, err := f.Get(t.Context(), ask.repo, ask.reference); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("Get of %s: %v", name, err)
		}
		if _, err := f.Resolve(t.Context(), ask.repo, ask.reference); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("Resolve of %s: %v", name, err)
		}
	}
	for name, repo := range map[string]string{"an unknown repository": f.repo + "/unknown", "a known repository": f.repo} {
		if err := f.Delete(t.Context(), repo, digest.FromString("unknown")); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("Delete in %s: %v", name, err)
		}
	}
}

func testResolve(t *testing.T, f fixture) {
	a := Artifact(t, nil, "a")
	f.mustPut(t, a)
	f.mustCommit(t, "tag", a.Manifest)
	for _, reference := range []string{"tag", a.Manifest.Digest.String()} {
		d, err := f.Resolve(t.Context(), f.repo, reference)
		if err != nil || d.MediaType != a.Manifest.MediaType || d.Digest != a.Manifest.Digest || d.Size != int64(len(a.Manifest.Data)) {
			t.Errorf("%s: got %s %s of %d bytes (%v), want %s %s of %d bytes", reference, d.MediaType, d.Digest, d.Size, err,
				a.Manifest.MediaType, a.Manifest.Digest, len(a.Manifest.Data))
		}
	}
}
