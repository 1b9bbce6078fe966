package registry

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Content is what a manifest says of itself and of what it names.
type Content struct {
	Blobs        []ocispec.Descriptor // config first, then layers in order; an index has none
	Subject      *ocispec.Descriptor  // nil when the manifest refers to nothing
	ArtifactType string               // when the manifest has none: its config's media type
	Annotations  map[string]string
}

// Content reads the manifest. It accepts image manifests and indexes (OCI
// image specification 1.1) and, as they look alike, Docker's.
func (m Manifest) Content() (Content, error) {
	var fields struct {
		MediaType    string               `json:"mediaType"`
		ArtifactType string               `json:"artifactType"`
		Config       *ocispec.Descriptor  `json:"config"`
		Layers       []ocispec.Descriptor `json:"layers"`
		Subject      *ocispec.Descriptor  `json:"subject"`
		Annotations  map[string]string    `json:"annotations"`
	}
	if err := json.Unmarshal(m.Data, &fields); err != nil {
		return Content{}, fmt.Errorf("manifest %s: %w", m.Digest, err)
	}
	if fields.MediaType != "" && fields.MediaType != m.MediaType {
		return Content{}, fmt.Errorf("manifest %s calls itself %q, but was named %q", m.Digest, fields.MediaType, m.MediaType)
	}
	c := Content{Subject: fields.Subject, ArtifactType: fields.ArtifactType, Annotations: fields.Annotations}
	if fields.Config != nil {
		c.Blobs = append(c.Blobs, *fields.Config)
		if c.ArtifactType == "" {
			c.ArtifactType = fields.Config.MediaType
		}
	}
	c.Blobs = append(c.Blobs, fields.Layers...)
	for _, d := range c.Blobs {
		if err := d.Digest.Validate(); err != nil {
			return Content{}, fmt.Errorf("manifest %s names blob %q: %w", m.Digest, d.Digest, err)
		}
		if d.Size < 0 {
			return Content{}, fmt.Errorf("manifest %s names blob %s with the size %d", m.Digest, d.Digest, d.Size)
		}
	}
	if c.Subject != nil {
		if err := c.Subject.Digest.Validate(); err != nil {
			return Content{}, fmt.Errorf("manifest %s has the subject %q: %w", m.Digest, c.Subject.Digest, err)
		}
	}
	return c, nil
}

// Check refuses a push that no registry should be asked to take: ErrTooLarge
// when a size is over its bound, ErrRefused when bytes are not those of their
// digest or the manifest cannot be read. A blob that the manifest names may be
// missing, because the repository may have it already.
func (p Push) Check() error {
	m := p.Artifact.Manifest
	if len(m.Data) > MaxManifestBytes {
		return fmt.Errorf("manifest for %s: %w: %d bytes, at most %d are allowed", p.Repository, ErrTooLarge, len(m.Data), MaxManifestBytes)
	}
	for _, b := range p.Artifact.Blobs {
		if len(b.Data) > MaxBlobBytes {
			return fmt.Errorf("blob for %s: %w: %d bytes, at most %d are allowed", p.Repository, ErrTooLarge, len(b.Data), MaxBlobBytes)
		}
		if err := b.Verify(); err != nil {
			return fmt.Errorf("blob for %s: %w: %v", p.Repository, ErrRefused, err)
		}
	}
	if err := Verify(m.Digest, m.Data); err != nil {
		return fmt.Errorf("manifest for %s: %w: %v", p.Repository, ErrRefused, err)
	}
	if _, err := m.Content(); err != nil {
		return fmt.Errorf("%s: %w: %v", p.Repository, ErrRefused, err)
	}
	return nil
}

// sha256Of is digest.FromBytes at a third of its cost: every byte that is
// stored or read goes through here.
func sha256Of(data []byte) digest.Digest {
	const prefix = "sha256:"
	var text [len(prefix) + 2*sha256.Size]byte
	sum := sha256.Sum256(data)
	hex.Encode(text[copy(text[:], prefix):], sum[:])
	return digest.Digest(text[:])
}

// hashed names bytes by where they lie, and the digest that was computed of them.
type hashed struct {
	digest digest.Digest
	first  *byte
	length int
}

func hashedAs(d digest.Digest, data []byte) hashed {
	if len(data) == 0 {
		return hashed{}
	}
	return hashed{d, &data[0], len(data)}
}

// Verify returns ErrCorrupt unless the blob's data has its digest. A digest that
// NewBlob computed of the very same bytes is not computed again.
func (b Blob) Verify() error {
	if b.hashed.first != nil && b.hashed == hashedAs(b.Digest, b.Data) {
		return nil
	}
	return Verify(b.Digest, b.Data)
}

// Verify returns ErrCorrupt unless data has the digest.
func Verify(want digest.Digest, data []byte) error {
	if strings.HasPrefix(string(want), "sha256:") && sha256Of(data) == want {
		return nil
	}
	if err := want.Validate(); err != nil {
		return fmt.Errorf("%w: digest %q: %v", ErrCorrupt, want, err)
	}
	if got := want.Algorithm().FromBytes(data); got != want {
		return fmt.Errorf("%w: want %s, got %d bytes with %s", ErrCorrupt, want, len(data), got)
	}
	return nil
}
