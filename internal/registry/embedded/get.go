package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// Get implements registry.Registry. Layers that the manifest marks as not
// distributable, and that were not pushed, are left out. An index has no
// blobs of its own.
func (s *Store) Get(ctx context.Context, repo, reference string) (registry.Artifact, error) {
	var a registry.Artifact
	err := s.read(ctx, func() error {
		var err error
		if a.Manifest, err = s.manifest(repo, reference); err != nil {
			return err
		}
		if a.Blobs, err = s.blobsOf(ctx, repo, a.Manifest); errors.Is(err, registry.ErrCorrupt) {
			// Its blobs may have been collected after it was deleted just now.
			if _, gone := s.manifestByDigest(s.db, repo, a.Manifest.Digest); errors.Is(gone, registry.ErrNotFound) {
				err = gone
			}
		}
		return err
	})
	if err != nil {
		return registry.Artifact{}, fmt.Errorf("get %s %s: %w", repo, reference, err)
	}
	return a, nil
}

func (s *Store) blobsOf(ctx context.Context, repo string, m registry.Manifest) (blobs []registry.Blob, err error) {
	if err := verify(m.Digest, m.Data); err != nil {
		return nil, fmt.Errorf("%w: manifest: %v", registry.ErrCorrupt, err)
	}
	c, err := parseManifest(m.MediaType, m.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: manifest: %v", registry.ErrCorrupt, err)
	}
	for _, d := range c.blobs {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
		}
		_, there, err := linked(s.db, repo, d.Digest)
		if err != nil {
			return nil, err
		}
		if !there {
			if isForeign(d.MediaType) {
				continue
			}
			return nil, fmt.Errorf("%w: blob %s is not in the repository any more", registry.ErrCorrupt, d.Digest)
		}
		data, err := s.readBlob(d.Digest)
		if err != nil {
			return nil, err
		}
		blobs = append(blobs, registry.Blob{MediaType: d.MediaType, Digest: d.Digest, Data: data})
	}
	return blobs, nil
}

// Manifest implements registry.Registry.
func (s *Store) Manifest(ctx context.Context, repo, reference string) (registry.Manifest, error) {
	var m registry.Manifest
	err := s.read(ctx, func() error {
		var err error
		if m, err = s.manifest(repo, reference); err != nil {
			return err
		}
		if err := verify(m.Digest, m.Data); err != nil {
			return fmt.Errorf("%w: manifest: %v", registry.ErrCorrupt, err)
		}
		return nil
	})
	if err != nil {
		return registry.Manifest{}, fmt.Errorf("get manifest %s %s: %w", repo, reference, err)
	}
	return m, nil
}

// Blob implements registry.Registry.
func (s *Store) Blob(ctx context.Context, repo string, d ocispec.Descriptor) (registry.Blob, error) {
	b := registry.Blob{MediaType: d.MediaType, Digest: d.Digest}
	err := s.read(ctx, func() error {
		if err := errors.Join(checkRepository(repo), checkReference(d.Digest.String())); err != nil {
			return err
		}
		if d.Size > registry.MaxBlobBytes {
			return fmt.Errorf("%w: the blob has %d bytes, at most %d can be read at once", registry.ErrTooLarge, d.Size, registry.MaxBlobBytes)
		}
		_, there, err := linked(s.db, repo, d.Digest)
		if err != nil {
			return err
		}
		if !there {
			return fmt.Errorf("%w: the repository does not have it", registry.ErrCorrupt)
		}
		if b.Data, err = s.readBlob(d.Digest); err != nil {
			return err
		}
		if int64(len(b.Data)) != d.Size {
			return fmt.Errorf("%w: it has %d bytes, the manifest says %d", registry.ErrCorrupt, len(b.Data), d.Size)
		}
		return nil
	})
	if err != nil {
		return registry.Blob{}, fmt.Errorf("get blob %s %s: %w", repo, d.Digest, err)
	}
	return b, nil
}

// Resolve implements registry.Registry.
func (s *Store) Resolve(ctx context.Context, repo, reference string) (ocispec.Descriptor, error) {
	var m registry.Manifest
	err := s.read(ctx, func() error {
		var err error
		m, err = s.manifest(repo, reference)
		return err
	})
	if err != nil {
		return ocispec.Descriptor{}, fmt.Errorf("resolve %s %s: %w", repo, reference, err)
	}
	return ocispec.Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: int64(len(m.Data))}, nil
}

// manifest returns a manifest by tag or digest, ErrNotFound if it is not in
// the repository.
func (s *Store) manifest(repo, reference string) (registry.Manifest, error) {
	if err := errors.Join(checkRepository(repo), checkReference(reference)); err != nil {
		return registry.Manifest{}, err
	}
	if isDigest(reference) {
		return s.manifestByDigest(s.db, repo, digest.Digest(reference))
	}
	// One view of tag and manifest: a manifest deleted in between would else
	// look like a tag that names nothing, which is damage.
	view := s.db.NewSnapshot()
	m, err := s.manifestByTag(view, repo, reference)
	if closing := view.Close(); closing != nil && err == nil {
		err = readError(closing)
	}
	return m, err
}

func (s *Store) manifestByTag(db pebble.Reader, repo, tag string) (registry.Manifest, error) {
	value, err := get(db, tagKey(repo, tag))
	if err != nil {
		return registry.Manifest{}, err
	}
	if value == nil {
		return registry.Manifest{}, fmt.Errorf("%w: repository %s has no tag %s", registry.ErrNotFound, repo, tag)
	}
	d, err := decodeDigest(value)
	if err != nil {
		return registry.Manifest{}, fmt.Errorf("%w: tag %s:%s: %w", registry.ErrCorrupt, repo, tag, err)
	}
	m, err := s.manifestByDigest(db, repo, d)
	if errors.Is(err, registry.ErrNotFound) {
		return registry.Manifest{}, fmt.Errorf("%w: tag %s:%s names manifest %s, which is missing", registry.ErrCorrupt, repo, tag, d)
	}
	return m, err
}

func (s *Store) manifestByDigest(db pebble.Reader, repo string, d digest.Digest) (registry.Manifest, error) {
	value, err := get(db, manifestKey(repo, d))
	if err != nil {
		return registry.Manifest{}, err
	}
	if value == nil {
		return registry.Manifest{}, fmt.Errorf("%w: repository %s has no manifest %s", registry.ErrNotFound, repo, d)
	}
	return decodeManifest(d, value)
}
