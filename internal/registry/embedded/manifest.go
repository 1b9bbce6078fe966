package embedded

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// Docker's media types (image manifest version 2, schema 2).
const (
	dockerManifest     = "application/vnd.docker.distribution.manifest.v2+json"
	dockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerForeignLayer = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
)

// content is what a manifest says, as far as the registry has to know it.
type content struct {
	mediaType    string
	artifactType string // as the referrers API shows it
	annotations  map[string]string
	subject      *descriptor
	blobs        []descriptor // config first, then the layers in order
	manifests    []descriptor // of an index
}

// descriptor is the part of a descriptor that the registry has to know. It is
// small because a manifest of 4 MiB can hold more than a million.
type descriptor struct {
	MediaType string        `json:"mediaType"`
	Digest    digest.Digest `json:"digest"`
	Size      int64         `json:"size"`
}

func isIndex(mediaType string) bool {
	return mediaType == ocispec.MediaTypeImageIndex || mediaType == dockerManifestList
}

func isManifest(mediaType string) bool {
	return isIndex(mediaType) || mediaType == ocispec.MediaTypeImageManifest || mediaType == dockerManifest
}

// isForeign tells layers that need not be in the registry.
func isForeign(mediaType string) bool {
	switch mediaType {
	case "application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
		dockerForeignLayer:
		return true
	}
	return false
}

// parseManifest reads a manifest of one of the four media types. Its error is
// ErrRefused or ErrTooLarge.
func parseManifest(mediaType string, data []byte) (content, error) {
	if len(data) > registry.MaxManifestBytes {
		return content{}, fmt.Errorf("%w: the manifest has %d bytes, at most %d are allowed", registry.ErrTooLarge, len(data), registry.MaxManifestBytes)
	}
	if !isManifest(mediaType) {
		return content{}, fmt.Errorf("%w: %q is not the media type of an image manifest or index", registry.ErrRefused, mediaType)
	}
	var m struct {
		SchemaVersion int               `json:"schemaVersion"`
		MediaType     string            `json:"mediaType"`
		ArtifactType  string            `json:"artifactType"`
		Config        *descriptor       `json:"config"`
		Layers        []descriptor      `json:"layers"`
		Manifests     []descriptor      `json:"manifests"`
		FSLayers      json.RawMessage   `json:"fsLayers"`
		Subject       *descriptor       `json:"subject"`
		Annotations   map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return content{}, fmt.Errorf("%w: the manifest is not valid JSON: %w", registry.ErrRefused, err)
	}
	if m.SchemaVersion != 2 {
		return content{}, fmt.Errorf("%w: the manifest's schemaVersion must be 2", registry.ErrRefused)
	}
	if m.MediaType != "" && m.MediaType != mediaType {
		return content{}, fmt.Errorf("%w: the manifest says that it is %q, but it was pushed as %q", registry.ErrRefused, m.MediaType, mediaType)
	}
	c := content{mediaType: mediaType, artifactType: m.ArtifactType, annotations: m.Annotations, subject: m.Subject}
	// A document that can be read as either kind means different things to
	// different clients (image-spec advisory GHSA-77vh-xpmg-72qh).
	if isIndex(mediaType) {
		if m.Config != nil || m.Layers != nil || m.FSLayers != nil {
			return content{}, fmt.Errorf("%w: an index must not have config or layers", registry.ErrRefused)
		}
		c.manifests = m.Manifests
	} else {
		if m.Manifests != nil || m.FSLayers != nil {
			return content{}, fmt.Errorf("%w: an image manifest must not have manifests or fsLayers", registry.ErrRefused)
		}
		if m.Config == nil {
			return content{}, fmt.Errorf("%w: the image manifest has no config", registry.ErrRefused)
		}
		c.blobs = append(append(c.blobs, *m.Config), m.Layers...)
		if c.artifactType == "" {
			c.artifactType = m.Config.MediaType
		}
	}
	return c, c.checkDescriptors()
}

// declaredType returns the media type that a manifest gives itself, or "".
func declaredType(data []byte) string {
	var m struct {
		MediaType string `json:"mediaType"`
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return "" // which no manifest may have
	}
	return m.MediaType
}

func (c content) checkDescriptors() error {
	check := func(field string, d descriptor) error {
		if err := checkDigest(d.Digest); err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
		if d.Size < 0 {
			return fmt.Errorf("%w: %s: size %d", registry.ErrRefused, field, d.Size)
		}
		return nil
	}
	for i, d := range c.blobs {
		field := "config"
		if i > 0 {
			field = fmt.Sprintf("layers[%d]", i-1)
		}
		if err := check(field, d); err != nil {
			return err
		}
	}
	for i, d := range c.manifests {
		if err := check(fmt.Sprintf("manifests[%d]", i), d); err != nil {
			return err
		}
	}
	if c.subject != nil {
		return check("subject", *c.subject)
	}
	return nil
}

// referrer describes a manifest as the referrers API lists it.
func (c content) referrer(d digest.Digest, size int) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: c.mediaType, Digest: d, Size: int64(size), ArtifactType: c.artifactType, Annotations: c.annotations}
}

// manifestValue is what the database holds of a manifest.
func manifestValue(mediaType string, data []byte) []byte {
	value := make([]byte, 0, 2+len(mediaType)+len(data))
	value = binary.AppendUvarint(value, uint64(len(mediaType)))
	value = append(value, mediaType...)
	return append(value, data...)
}

func decodeManifest(d digest.Digest, value []byte) (registry.Manifest, error) {
	n, used := binary.Uvarint(value)
	if used <= 0 || n > uint64(len(value)-used) {
		return registry.Manifest{}, fmt.Errorf("%w: the entry of manifest %s cannot be read", registry.ErrCorrupt, d)
	}
	end := used + int(n)
	return registry.Manifest{MediaType: string(value[used:end]), Digest: d, Data: value[end:]}, nil
}
