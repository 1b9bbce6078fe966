package artifact

import (
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// Revision is one commit as it lies in the registry: the record as config, and
// one layer with the content.
type Revision struct {
	Record   Record
	Layer    registry.Blob
	Manifest registry.Manifest
}

// The names under which clients such as oras keep the layers.
const (
	titleCatalog = "catalog.tar.gz"
	titleSystem  = "system.json"
)

// Pack returns the artifact of a revision with this record and layer.
// configType is TypeFluxConfig for catalogs, TypeSystemConfig for the system
// catalog.
func Pack(configType string, record Record, layer registry.Blob) (registry.Artifact, error) {
	data, err := record.Encode()
	if err != nil {
		return registry.Artifact{}, err
	}
	title := titleCatalog
	if configType == TypeSystemConfig {
		title = titleSystem
	}
	config := registry.NewBlob(configType, data)
	return pack(revisionManifest(record, config.Descriptor(), titled(layer, title)), config, layer), nil
}

func revisionManifest(record Record, config, layer ocispec.Descriptor) ocispec.Manifest {
	return ocispec.Manifest{
		Config: config,
		Layers: []ocispec.Descriptor{layer},
		Annotations: map[string]string{
			ocispec.AnnotationCreated:  record.Time,
			ocispec.AnnotationRevision: RevisionTag(record.Number),
		},
	}
}

// Unpack reads what Pack wrote, and nothing else: the manifest must be exactly
// the one that Pack makes of the record and the layer.
func Unpack(configType, layerType string, a registry.Artifact) (Revision, error) {
	if len(a.Blobs) != 2 || a.Blobs[0].MediaType != configType || a.Blobs[1].MediaType != layerType {
		return Revision{}, fmt.Errorf("manifest %s: want a config %s and one layer %s", a.Manifest.Digest, configType, layerType)
	}
	record, err := ParseRecord(a.Blobs[0].Data)
	if err != nil {
		return Revision{}, fmt.Errorf("manifest %s: %w", a.Manifest.Digest, err)
	}
	again, err := Pack(configType, record, a.Blobs[1])
	if err != nil {
		return Revision{}, fmt.Errorf("manifest %s: %w", a.Manifest.Digest, err)
	}
	if again.Manifest.Digest != a.Manifest.Digest {
		return Revision{}, fmt.Errorf("manifest %s: not the one that its record and layer give (%s)", a.Manifest.Digest, again.Manifest.Digest)
	}
	return Revision{Record: record, Layer: a.Blobs[1], Manifest: a.Manifest}, nil
}
