package fsck_test

import (
	"slices"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"encoding/json"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// takenOver writes a history that began with the proof of concept's catalog.
func takenOver(b *book) *chainBook {
	b.t.Helper()
	config, layer := registry.NewBlob(artifact.TypeFluxConfig, []byte("{}")), registry.NewBlob(artifact.TypeFluxContent, []byte("whatever it was"))
	data, err := json.Marshal(ocispec.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, Config: config.Descriptor(), Layers: []ocispec.Descriptor{layer.Descriptor()}})
	b.must(err)
	before := registry.Artifact{Manifest: registry.NewManifest(ocispec.MediaTypeImageManifest, data), Blobs: []registry.Blob{config, layer}}
	c := b.chain(artifact.DefaultNamespace)
	b.put(c.repo, before, artifact.RevisionTag(0))
	c.parent = before.Manifest.Digest
	take := func(e edit) edit {
		return func(c *chainBook) artifact.RecordChange {
			change := e(c)
			change.Operation, change.Before = "take-over", &artifact.VersionRef{Version: "v1770731425", Digest: before.Manifest.Digest}
			return change
		}
	}
	b.put(c.resource("web"), before, "v1770731425")
	changes := []artifact.RecordChange{
		{Operation: "drop", Name: "My VM", Before: &artifact.VersionRef{Version: "v1770731425", Digest: before.Manifest.Digest}},
		take(put("db", 1))(c), take(put("web", 1))(c),
	}
	slices.SortFunc(changes, func(x, y artifact.RecordChange) int { return len(x.Operation) - len(y.Operation) })
	c.write(changes)
	b.set(artifact.DefaultNamespace, artifact.StateActive)
	c.commit(put("web", 2))
	c.commit(remove("db", "delete"))
	return c
}
