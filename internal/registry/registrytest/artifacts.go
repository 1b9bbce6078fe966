package registrytest

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// The media types of what Artifact makes.
const (
	ArtifactType = "application/vnd.example.thing.v1"
	LayerType    = "text/plain"
)

// Artifact returns an artifact with the empty config and one layer for each
// text. The same texts give the same artifact. edit may be nil; it changes the
// manifest before it is marshalled.
func Artifact(t testing.TB, edit func(*ocispec.Manifest), layers ...string) registry.Artifact {
	t.Helper()
	config := registry.NewBlob(ocispec.MediaTypeEmptyJSON, []byte("{}"))
	blobs := []registry.Blob{config}
	descriptors := []ocispec.Descriptor{}
	for _, text := range layers {
		b := registry.NewBlob(LayerType, []byte(text))
		blobs = append(blobs, b)
		descriptors = append(descriptors, b.Descriptor())
	}
	m := ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: ArtifactType,
		Config:       config.Descriptor(),
		Layers:       descriptors,
	}
	if edit != nil {
		edit(&m)
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return registry.Artifact{Manifest: registry.NewManifest(ocispec.MediaTypeImageManifest, data), Blobs: blobs}
}

// Referrer returns an artifact whose subject is the manifest.
func Referrer(t testing.TB, subject registry.Manifest, artifactType string, annotations map[string]string) registry.Artifact {
	t.Helper()
	return Artifact(t, func(m *ocispec.Manifest) {
		m.ArtifactType = artifactType
		m.Annotations = annotations
		m.Subject = &ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: int64(len(subject.Data))}
	}, "a referrer")
}

// equal fails the test unless the artifacts are the same, byte for byte.
func equal(t *testing.T, got, want registry.Artifact) {
	t.Helper()
	if !reflect.DeepEqual(got.Manifest, want.Manifest) {
		t.Errorf("manifest: got %s %s of %d bytes, want %s %s of %d bytes",
			got.Manifest.MediaType, got.Manifest.Digest, len(got.Manifest.Data),
			want.Manifest.MediaType, want.Manifest.Digest, len(want.Manifest.Data))
	}
	if len(got.Blobs) != len(want.Blobs) {
		t.Errorf("got %d blobs, want %d", len(got.Blobs), len(want.Blobs))
		return
	}
	for i := range want.Blobs {
		g, w := got.Blobs[i], want.Blobs[i]
		if g.MediaType != w.MediaType || g.Digest != w.Digest || string(g.Data) != string(w.Data) {
			t.Errorf("blob %d: got %s %s of %d bytes, want %s %s of %d bytes",
				i, g.MediaType, g.Digest, len(g.Data), w.MediaType, w.Digest, len(w.Data))
		}
	}
}
