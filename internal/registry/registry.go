// Package registry is the one seam between the product and an OCI registry:
// a handful of methods on whole artifacts. It holds the types and the errors;
// the implementations are its sub-packages: embedded (ours, on Pebble), remote
// (any OCI 1.1 registry) and faulty (in memory, with faults on demand, for
// tests). Package registrytest is the conformance suite that all of them pass.
package registry

import (
	"bytes"
	"context"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Bounds on what Get reads and Put accepts. What is larger is refused with
// ErrTooLarge before it is held in memory.
const (
	MaxManifestBytes = 4 << 20  // the least that the distribution specification asks registries to accept
	MaxBlobBytes     = 64 << 20 // one blob of an artifact
)

// Registry stores whole artifacts. All methods may be called concurrently.
// Every method ends when its context does; a write whose context ended has an
// unknown outcome and may still be stored later.
//
// Repository names are full names (prefix included). A reference is a tag or a
// digest.
type Registry interface {
	// Put stores artifacts by digest, untagged: blobs before the manifests
	// that name them. Putting what is already there is not an error. When it
	// fails, some of the artifacts may have been stored. What Put stored is
	// visible to Get when it returns, and durable once a later Commit returned.
	Put(ctx context.Context, pushes ...Push) error

	// Commit makes tag name the manifest, which must have been Put into repo
	// before. When it returns nil, the tag and everything that this Registry
	// stored before the call are durable. An error for which Settled is false
	// means that the outcome is unknown: the tag may have moved, or move later.
	Commit(ctx context.Context, t Tag) error

	// Tag moves many tags, in no particular order, and like Put is durable
	// only once a later Commit returned. When it fails, any subset may have
	// moved.
	Tag(ctx context.Context, tags ...Tag) error

	// Get returns an artifact with all of its blobs, config first, then the
	// layers in the manifest's order. Every byte is verified against the
	// digest that named it: ErrCorrupt otherwise. ErrNotFound if the manifest
	// does not exist; a manifest that exists without one of its blobs is
	// ErrCorrupt, never ErrNotFound.
	Get(ctx context.Context, repo, reference string) (Artifact, error)

	// Manifest returns a manifest without its blobs, verified as by Get:
	// ErrNotFound if it does not exist, ErrCorrupt if its bytes are others.
	Manifest(ctx context.Context, repo, reference string) (Manifest, error)

	// Blob returns a blob that a manifest of repo names by this descriptor,
	// verified in digest and size: ErrCorrupt if it is missing or another,
	// ErrTooLarge beyond MaxBlobBytes.
	Blob(ctx context.Context, repo string, d ocispec.Descriptor) (Blob, error)

	// Resolve returns media type, digest and size of a manifest, or
	// ErrNotFound.
	Resolve(ctx context.Context, repo, reference string) (ocispec.Descriptor, error)

	// Tags returns at most n tags of repo that sort (byte-wise) after last, in
	// order; fewer than n means that there are no more. A repository without
	// tags, or that does not exist, has none: ErrNotFound is never returned.
	Tags(ctx context.Context, repo, last string, n int) ([]string, error)

	// Referrers returns the manifests of repo whose subject is the digest,
	// with their artifact type and annotations, only those of artifactType
	// unless that is empty; none is not an error.
	Referrers(ctx context.Context, repo string, subject digest.Digest, artifactType string) ([]ocispec.Descriptor, error)

	// Delete removes a manifest by digest together with the tags that point
	// to it. ErrNotFound if it is not there, ErrUnsupported if the registry
	// has deletion switched off.
	Delete(ctx context.Context, repo string, manifest digest.Digest) error
}

// Blob is the config or a layer of an artifact.
type Blob struct {
	MediaType string
	Digest    digest.Digest
	Data      []byte

	hashed hashed // what NewBlob has computed the digest of
}

// NewBlob computes the digest (sha256) of data, which must not change any more.
func NewBlob(mediaType string, data []byte) Blob {
	d := sha256Of(data)
	return Blob{MediaType: mediaType, Digest: d, Data: data, hashed: hashedAs(d, data)}
}

// Descriptor describes the blob in a manifest.
func (b Blob) Descriptor() ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: b.MediaType, Digest: b.Digest, Size: int64(len(b.Data))}
}

// Manifest is a manifest's exact bytes. Its digest names the artifact.
type Manifest struct {
	MediaType string
	Digest    digest.Digest
	Data      []byte
}

// NewManifest computes the digest (sha256) of data.
func NewManifest(mediaType string, data []byte) Manifest {
	return Manifest{MediaType: mediaType, Digest: sha256Of(data), Data: data}
}

// Artifact is a manifest with the blobs that it names.
type Artifact struct {
	Manifest Manifest
	Blobs    []Blob // config first, then layers in the manifest's order
}

// Equal reports whether two artifacts have the same manifest and the same blobs:
// media types, digests and bytes.
func (a Artifact) Equal(other Artifact) bool {
	same := func(x, y Blob) bool {
		return x.MediaType == y.MediaType && x.Digest == y.Digest && bytes.Equal(x.Data, y.Data)
	}
	return a.Manifest.MediaType == other.Manifest.MediaType && a.Manifest.Digest == other.Manifest.Digest &&
		bytes.Equal(a.Manifest.Data, other.Manifest.Data) && slices.EqualFunc(a.Blobs, other.Blobs, same)
}

// Push is an artifact on its way into a repository.
type Push struct {
	Repository string
	Artifact   Artifact
}

// Tag is a tag on its way to a manifest.
type Tag struct {
	Repository string
	Name       string
	Manifest   Manifest
}

// Lister is what a Registry can also be if it has the (optional) catalog
// endpoint. Nothing may rely on it.
type Lister interface {
	// Repositories returns at most n repository names that sort after last, in
	// order; fewer than n means that there are no more. ErrUnsupported if the
	// registry has no such endpoint.
	Repositories(ctx context.Context, last string, n int) ([]string, error)
}
