package registrytest

import (
	"errors"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

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

func testManifestAndBlob(t *testing.T, f fixture) {
	a := Artifact(t, nil, "a", "b")
	f.mustPut(t, a)
	f.mustCommit(t, "tag", a.Manifest)
	for _, reference := range []string{"tag", a.Manifest.Digest.String()} {
		m, err := f.Manifest(t.Context(), f.repo, reference)
		if err != nil || m.MediaType != a.Manifest.MediaType || m.Digest != a.Manifest.Digest || string(m.Data) != string(a.Manifest.Data) {
			t.Errorf("manifest %s: got %s %s with %d bytes (%v), want %s", reference, m.MediaType, m.Digest, len(m.Data), err, a.Manifest.Digest)
		}
	}
	for _, want := range a.Blobs {
		b, err := f.Blob(t.Context(), f.repo, want.Descriptor())
		if err != nil || b.MediaType != want.MediaType || b.Digest != want.Digest || string(b.Data) != string(want.Data) {
			t.Errorf("blob %s: got %s of %d bytes (%v)", want.Digest, b.Digest, len(b.Data), err)
		}
	}
	for name, ask := range map[string]struct{ repo, reference string }{
		"an unknown repository": {f.repo + "/unknown", "tag"},
		"an unknown tag":        {f.repo, "Tag"},
		"an unknown digest":     {f.repo, digest.FromString("unknown").String()},
		"a blob's digest":       {f.repo, a.Blobs[1].Digest.String()},
	} {
		if _, err := f.Manifest(t.Context(), ask.repo, ask.reference); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("Manifest of %s: %v", name, err)
		}
	}
	unknown := registry.NewBlob("text/plain", []byte("unknown")).Descriptor()
	shorter := a.Blobs[1].Descriptor()
	shorter.Size--
	for name, ask := range map[string]struct {
		repo string
		d    ocispec.Descriptor
		want error
	}{
		"an unknown blob":         {f.repo, unknown, registry.ErrCorrupt},
		"an unknown repository's": {f.repo + "/unknown", a.Blobs[1].Descriptor(), registry.ErrCorrupt},
		"another size":            {f.repo, shorter, registry.ErrCorrupt},
		"a size over the bound": {f.repo, ocispec.Descriptor{MediaType: "text/plain", Digest: a.Blobs[1].Digest, Size: registry.MaxBlobBytes + 1},
			registry.ErrTooLarge},
	} {
		if _, err := f.Blob(t.Context(), ask.repo, ask.d); !errors.Is(err, ask.want) {
			t.Errorf("Blob of %s: got %v, want %v", name, err, ask.want)
		}
	}
}
