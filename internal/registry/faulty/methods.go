package faulty

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

var _ registry.Registry = (*Store)(nil)

// Put implements registry.Registry.
func (s *Store) Put(ctx context.Context, pushes ...registry.Push) error {
	for _, p := range pushes {
		if err := p.Check(); err != nil {
			return err
		}
	}
	for _, p := range pushes {
		for _, b := range p.Artifact.Blobs {
			op := Op{Kind: PutBlob, Repository: p.Repository, Reference: b.Digest.String(), Digest: b.Digest}
			err := s.write(ctx, op, func(bool) error { s.putBlob(p.Repository, b); return nil })
			if err != nil {
				return err
			}
		}
		m := p.Artifact.Manifest
		op := Op{Kind: PutManifest, Repository: p.Repository, Reference: m.Digest.String(), Digest: m.Digest}
		if err := s.write(ctx, op, func(bool) error { return s.putManifest(p.Repository, m) }); err != nil {
			return err
		}
	}
	return nil
}

// Commit implements registry.Registry.
func (s *Store) Commit(ctx context.Context, t registry.Tag) error { return s.tag(ctx, Commit, t) }

// Tag implements registry.Registry.
func (s *Store) Tag(ctx context.Context, tags ...registry.Tag) error {
	for _, t := range tags {
		if err := s.tag(ctx, PutTag, t); err != nil {
			return err
		}
	}
	return nil
}

// tag moves a tag. As the request carries the manifest, one that takes effect
// late brings a manifest back that was deleted in between.
func (s *Store) tag(ctx context.Context, kind Kind, t registry.Tag) error {
	op := Op{Kind: kind, Repository: t.Repository, Reference: t.Name, Digest: t.Manifest.Digest}
	return s.write(ctx, op, func(late bool) error {
		if !late {
			if err := s.checkTag(t); err != nil {
				return err
			}
		}
		if err := s.putManifest(t.Repository, t.Manifest); err != nil {
			return err
		}
		s.putTag(t.Repository, t.Name, t.Manifest.Digest)
		return nil
	})
}

// Get implements registry.Registry.
func (s *Store) Get(ctx context.Context, repo, reference string) (registry.Artifact, error) {
	op := Op{Kind: Get, Repository: repo, Reference: reference}
	flaws, err := s.read(ctx, op)
	if err != nil {
		return registry.Artifact{}, err
	}
	if flaws.notFound {
		return registry.Artifact{}, op.failed(registry.ErrNotFound, nil)
	}
	return s.get(repo, reference, flaws.stale, flaws.corrupt)
}

// Manifest implements registry.Registry.
func (s *Store) Manifest(ctx context.Context, repo, reference string) (registry.Manifest, error) {
	op := Op{Kind: GetManifest, Repository: repo, Reference: reference}
	flaws, err := s.read(ctx, op)
	if err != nil {
		return registry.Manifest{}, err
	}
	if flaws.notFound {
		return registry.Manifest{}, op.failed(registry.ErrNotFound, nil)
	}
	return s.manifest(repo, reference, flaws.stale, flaws.corrupt)
}

// Blob implements registry.Registry. A blob that is not found is one that the
// manifest's registry has lost.
func (s *Store) Blob(ctx context.Context, repo string, d ocispec.Descriptor) (registry.Blob, error) {
	op := Op{Kind: GetBlob, Repository: repo, Reference: d.Digest.String()}
	flaws, err := s.read(ctx, op)
	if err != nil {
		return registry.Blob{}, err
	}
	if flaws.notFound {
		return registry.Blob{}, op.failed(registry.ErrCorrupt, nil)
	}
	return s.blob(repo, d, flaws.corrupt)
}

// Resolve implements registry.Registry.
func (s *Store) Resolve(ctx context.Context, repo, reference string) (ocispec.Descriptor, error) {
	op := Op{Kind: Resolve, Repository: repo, Reference: reference}
	flaws, err := s.readDetecting(ctx, op)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	if flaws.notFound {
		return ocispec.Descriptor{}, op.failed(registry.ErrNotFound, nil)
	}
	return s.resolve(repo, reference, flaws.stale)
}

// Tags implements registry.Registry.
func (s *Store) Tags(ctx context.Context, repo, last string, n int) ([]string, error) {
	flaws, err := s.readDetecting(ctx, Op{Kind: Tags, Repository: repo, Reference: last})
	if err != nil || flaws.notFound {
		return nil, err
	}
	return s.listTags(repo, last, n, flaws.stale), nil
}

// Referrers implements registry.Registry.
func (s *Store) Referrers(ctx context.Context, repo string, subject digest.Digest, artifactType string) ([]ocispec.Descriptor, error) {
	flaws, err := s.readDetecting(ctx, Op{Kind: Referrers, Repository: repo, Reference: subject.String()})
	if err != nil || flaws.notFound {
		return nil, err
	}
	return s.referrers(repo, subject, artifactType), nil
}

// Delete implements registry.Registry.
func (s *Store) Delete(ctx context.Context, repo string, manifest digest.Digest) error {
	op := Op{Kind: Delete, Repository: repo, Reference: manifest.String(), Digest: manifest}
	return s.write(ctx, op, func(bool) error { return s.remove(repo, manifest) })
}

// readDetecting is read for answers that carry no digest of their own: what is
// corrupt in them is seen because it cannot be read.
func (s *Store) readDetecting(ctx context.Context, op Op) (flaws, error) {
	flaws, err := s.read(ctx, op)
	if err == nil && flaws.corrupt {
		return flaws, op.failed(registry.ErrCorrupt, fmt.Errorf("the answer cannot be read"))
	}
	return flaws, err
}
