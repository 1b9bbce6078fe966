package remote

import (
	"bytes"
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// place is content in a repository.
type place struct {
	repository string
	digest     digest.Digest
}

// Put implements registry.Registry. It uploads every blob, without asking
// whether it is there: a registry may be about to collect it.
func (r *Registry) Put(ctx context.Context, pushes ...registry.Push) error {
	seen := map[place]bool{}
	first := func(repo string, d digest.Digest) bool {
		p := place{repo, d}
		defer func() { seen[p] = true }()
		return !seen[p]
	}
	var blobs, manifests []func() error
	for _, p := range pushes {
		if err := p.Check(); err != nil {
			return err
		}
		for _, b := range p.Artifact.Blobs {
			if first(p.Repository, b.Digest) {
				blobs = append(blobs, func() error { return r.putBlob(ctx, p.Repository, b) })
			}
		}
		if m := p.Artifact.Manifest; first(p.Repository, m.Digest) {
			manifests = append(manifests, func() error { return r.putManifest(ctx, p.Repository, m) })
		}
	}
	if err := parallel(r.width, len(blobs), func(i int) error { return blobs[i]() }); err != nil {
		return err
	}
	return parallel(r.width, len(manifests), func(i int) error { return manifests[i]() })
}

// Commit implements registry.Registry. That a registry is durable when it
// answers is for its operator to see to.
func (r *Registry) Commit(ctx context.Context, t registry.Tag) error { return r.putTag(ctx, t) }

// Tag implements registry.Registry.
func (r *Registry) Tag(ctx context.Context, tags ...registry.Tag) error {
	return parallel(r.width, len(tags), func(i int) error { return r.putTag(ctx, tags[i]) })
}

func (r *Registry) putBlob(ctx context.Context, name string, b registry.Blob) error {
	ctx, repo, err := r.repository(ctx, name, call{})
	if err != nil {
		return err
	}
	if err := repo.Blobs().Push(ctx, b.Descriptor(), bytes.NewReader(b.Data)); err != nil {
		return fmt.Errorf("put blob %s: %w", b.Digest, explain(err, registry.ErrUnavailable))
	}
	return nil
}

func (r *Registry) putManifest(ctx context.Context, name string, m registry.Manifest) error {
	ctx, repo, err := r.repository(ctx, name, call{})
	if err != nil {
		return err
	}
	release, err := r.prepareIndex(ctx, repo, m)
	if err != nil {
		return fmt.Errorf("put manifest %s: %w", m.Digest, err)
	}
	defer release()
	if err := repo.Manifests().Push(ctx, describe(m), bytes.NewReader(m.Data)); err != nil {
		return fmt.Errorf("put manifest %s: %w", m.Digest, explain(err, registry.ErrUnavailable))
	}
	return nil
}

// putTag puts the manifest again, under the tag. A registry that was never
// given the manifest, but has its blobs, accepts that.
func (r *Registry) putTag(ctx context.Context, t registry.Tag) error {
	if err := registry.Verify(t.Manifest.Digest, t.Manifest.Data); err != nil {
		return fmt.Errorf("tag %s:%s: %w: %v", t.Repository, t.Name, registry.ErrRefused, err)
	}
	ctx, repo, err := r.repository(ctx, t.Repository, call{})
	if err != nil {
		return err
	}
	if err := repo.SetReferrersCapability(true); err != nil { // Put did what there was to do about referrers
		return err
	}
	if err := repo.Manifests().PushReference(ctx, describe(t.Manifest), bytes.NewReader(t.Manifest.Data), t.Name); err != nil {
		return fmt.Errorf("tag %s as %s: %w", t.Manifest.Digest, t.Name, explain(err, registry.ErrUnavailable))
	}
	return nil
}

func describe(m registry.Manifest) ocispec.Descriptor {
	return ocispec.Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: int64(len(m.Data))}
}
