package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// place is content in a repository.
type place struct {
	repository string
	digest     digest.Digest
}

// Put implements registry.Registry. It asks the registry to take every blob,
// without asking before whether it is there: a registry may be about to
// collect it. A manifest is put as soon as its own blobs are there, so that no
// artifact waits for another's.
func (r *Registry) Put(ctx context.Context, pushes ...registry.Push) error {
	uploads := map[place]func() (mounted bool, err error){} // each is done once, however many artifacts wait for it
	seen := map[place]bool{}
	var artifacts []func() error
	for _, p := range pushes {
		if err := p.Check(); err != nil {
			return err
		}
		var blobs []func() (bool, error)
		for _, b := range p.Artifact.Blobs {
			at := place{p.Repository, b.Digest}
			if uploads[at] == nil {
				uploads[at] = sync.OnceValues(func() (bool, error) { return r.putBlob(ctx, p.Repository, b) })
			}
			blobs = append(blobs, uploads[at])
		}
		if at := (place{p.Repository, p.Artifact.Manifest.Digest}); !seen[at] {
			seen[at] = true
			artifacts = append(artifacts, func() error { return r.putArtifact(ctx, p, blobs) })
		}
	}
	return parallel(r.width, len(artifacts), func(i int) error { return artifacts[i]() })
}

// putArtifact puts the manifest once its blobs are there. A registry that says
// that it lacks a blob which it said that it had mounted is given the blob.
func (r *Registry) putArtifact(ctx context.Context, p registry.Push, blobs []func() (mounted bool, err error)) error {
	mounted := make([]bool, len(blobs))
	err := parallel(r.width, len(blobs), func(i int) (err error) {
		mounted[i], err = blobs[i]()
		return err
	})
	if err != nil {
		return err
	}
	var refusal *answer
	err = r.putManifest(ctx, p.Repository, p.Artifact.Manifest)
	if !errors.As(err, &refusal) || !refusal.lacksBlob() {
		return err
	}
	again := false
	for i, b := range p.Artifact.Blobs {
		if !mounted[i] {
			continue
		}
		again = true
		r.mounts.suspend()
		if err := r.upload(ctx, p.Repository, b); err != nil {
			return err
		}
	}
	if !again {
		return err
	}
	return r.putManifest(ctx, p.Repository, p.Artifact.Manifest)
}

// Commit implements registry.Registry. That a registry is durable when it
// answers is for its operator to see to.
func (r *Registry) Commit(ctx context.Context, t registry.Tag) error { return r.putTag(ctx, t) }

// Tag implements registry.Registry.
func (r *Registry) Tag(ctx context.Context, tags ...registry.Tag) error {
	return parallel(r.width, len(tags), func(i int) error { return r.putTag(ctx, tags[i]) })
}

// putBlob makes the repository have the blob: by a mount, if mounted, else by
// an upload.
func (r *Registry) putBlob(ctx context.Context, name string, b registry.Blob) (mounted bool, err error) {
	if b.Digest == ocispec.DescriptorEmptyJSON.Digest {
		return r.putEmpty(ctx, name, b)
	}
	return false, r.upload(ctx, name, b)
}

func (r *Registry) upload(ctx context.Context, name string, b registry.Blob) error {
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
