package artifact

import (
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// Probe returns what is pushed to be deleted at once, untagged, to learn
// whether a registry deletes. It is always the same.
func Probe() registry.Artifact {
	config, layer := emptyConfig(), emptyConfig()
	return pack(ocispec.Manifest{
		ArtifactType: TypeProbe,
		Config:       config.Descriptor(),
		Layers:       []ocispec.Descriptor{layer.Descriptor()},
	}, config, layer)
}
