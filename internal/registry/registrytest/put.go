package registrytest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

func testPutGet(t *testing.T, f fixture) {
	config := registry.NewBlob("application/vnd.example.config.v1+json", []byte(`{"a":1}`))
	withConfig := Artifact(t, func(m *ocispec.Manifest) { m.Config = config.Descriptor() }, "layer")
	withConfig.Blobs[0] = config
	for name, a := range map[string]registry.Artifact{
		"no layer":                  Artifact(t, nil),
		"one layer":                 Artifact(t, nil, "one"),
		"many layers, out of order": Artifact(t, nil, strings.Split("z y x w v u t s r q p o n m l k j i h g f e d c b a", " ")...),
		"an empty layer":            Artifact(t, nil, ""),
		"a blob more than once":     Artifact(t, nil, "twice", "once", "twice"),
		"the config as a layer":     Artifact(t, nil, "{}"),
		"another config":            withConfig,
		"annotations": Artifact(t, func(m *ocispec.Manifest) {
			m.Annotations = map[string]string{"org.opencontainers.image.title": "Ümläut <&>"}
		}, "one"),
	} {
		t.Run(name, func(t *testing.T) {
			f.mustPut(t, a)
			got, err := f.Get(t.Context(), f.repo, a.Manifest.Digest.String())
			if err != nil {
				t.Fatalf("Get by digest: %v", err)
			}
			equal(t, got, a)
			f.mustCommit(t, "tag", a.Manifest)
			if got, err = f.Get(t.Context(), f.repo, "tag"); err != nil {
				t.Fatalf("Get by tag: %v", err)
			}
			equal(t, got, a)
		})
	}
}

func testPutIsIdempotent(t *testing.T, f fixture) {
	a := Artifact(t, nil, "text")
	for range 3 {
		f.mustPut(t, a, a)
	}
	got, err := f.Get(t.Context(), f.repo, a.Manifest.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, got, a)
}

func testPutMany(t *testing.T, f fixture) {
	if err := f.Put(t.Context()); err != nil {
		t.Errorf("Put of nothing: %v", err)
	}
	var pushes []registry.Push
	for i := range 30 {
		pushes = append(pushes, registry.Push{
			Repository: fmt.Sprintf("%s/%d", f.repo, i%3),
			Artifact:   Artifact(t, nil, "shared", fmt.Sprint(i)),
		})
	}
	if err := f.Put(t.Context(), pushes...); err != nil {
		t.Fatal(err)
	}
	for _, p := range pushes {
		got, err := f.Get(t.Context(), p.Repository, p.Artifact.Manifest.Digest.String())
		if err != nil {
			t.Fatal(err)
		}
		equal(t, got, p.Artifact)
	}
	if _, err := f.Get(t.Context(), pushes[1].Repository, pushes[0].Artifact.Manifest.Digest.String()); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("an artifact in a repository that it was not put into: %v", err)
	}
}

func testPutLeavesNoTag(t *testing.T, f fixture) {
	f.mustPut(t, Artifact(t, nil, "text"))
	if tags, err := f.Tags(t.Context(), f.repo, "", 10); err != nil || len(tags) > 0 {
		t.Errorf("tags %q, %v", tags, err)
	}
}

// testPutWithoutBlobs puts a manifest whose blobs are in the repository.
func testPutWithoutBlobs(t *testing.T, f fixture) {
	f.mustPut(t, Artifact(t, nil, "text"))
	a := Artifact(t, func(m *ocispec.Manifest) { m.ArtifactType = "application/vnd.example.other" }, "text")
	f.mustPut(t, registry.Artifact{Manifest: a.Manifest})
	got, err := f.Get(t.Context(), f.repo, a.Manifest.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, got, a)
}

func testPutRefusesUnknownBlob(t *testing.T, f fixture) {
	a := Artifact(t, nil, "first", "second")
	lacking := registry.Artifact{Manifest: a.Manifest, Blobs: slices.Delete(slices.Clone(a.Blobs), 1, 2)}
	if err := f.Put(t.Context(), f.push(lacking)); !errors.Is(err, registry.ErrRefused) {
		t.Errorf("Put of a manifest that names an unknown blob: %v", err)
	}
	if _, err := f.Get(t.Context(), f.repo, a.Manifest.Digest.String()); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("Get of what was refused: %v", err)
	}
}

func testPutRefusesWrongDigest(t *testing.T, f fixture) {
	blob, manifest := Artifact(t, nil, "text"), Artifact(t, nil, "text")
	blob.Blobs[1].Data = []byte("else")
	manifest.Manifest.Data = append(slices.Clone(manifest.Manifest.Data), '\n')
	for name, a := range map[string]registry.Artifact{"blob": blob, "manifest": manifest} {
		if err := f.Put(t.Context(), f.push(a)); !errors.Is(err, registry.ErrRefused) {
			t.Errorf("Put of a %s with another's digest: %v", name, err)
		}
		if _, err := f.Get(t.Context(), f.repo, a.Manifest.Digest.String()); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("Get of what was refused: %v", err)
		}
	}
}

// testPutAndGetCopy changes what was passed in and what was handed out.
func testPutAndGetCopy(t *testing.T, f fixture) {
	want, a := Artifact(t, nil, "text"), Artifact(t, nil, "text")
	f.mustPut(t, a)
	for range 2 {
		clear(a.Manifest.Data)
		for _, b := range a.Blobs {
			clear(b.Data)
		}
		var err error
		if a, err = f.Get(t.Context(), f.repo, want.Manifest.Digest.String()); err != nil {
			t.Fatal(err)
		}
		equal(t, a, want)
	}
}
