package ledger

import (
	"context"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// The registry's methods, each with its time-out.

func get(ctx context.Context, r registry.Registry, repo, reference string) (registry.Artifact, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return r.Get(ctx, repo, reference)
}

func resolve(ctx context.Context, r registry.Registry, repo, reference string) (digest.Digest, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	d, err := r.Resolve(ctx, repo, reference)
	return d.Digest, err
}

func manifest(ctx context.Context, r registry.Registry, repo, reference string) (registry.Manifest, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return r.Manifest(ctx, repo, reference)
}

func blob(ctx context.Context, r registry.Registry, repo string, d ocispec.Descriptor) (registry.Blob, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return r.Blob(ctx, repo, d)
}

func put(ctx context.Context, r registry.Registry, pushes ...registry.Push) error {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	return r.Put(ctx, pushes...)
}

func commitTag(ctx context.Context, r registry.Registry, t registry.Tag) error {
	ctx, cancel := context.WithTimeout(ctx, tagTimeout)
	defer cancel()
	return r.Commit(ctx, t)
}

func putTags(ctx context.Context, r registry.Registry, tags []registry.Tag) error {
	ctx, cancel := context.WithTimeout(ctx, tagTimeout)
	defer cancel()
	return r.Tag(ctx, tags...)
}

func tags(ctx context.Context, r registry.Registry, repo, last string, n int) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return r.Tags(ctx, repo, last, n)
}

func referrers(ctx context.Context, r registry.Registry, repo string, subject digest.Digest) ([]ocispec.Descriptor, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return r.Referrers(ctx, repo, subject, "")
}

func remove(ctx context.Context, r registry.Registry, repo string, manifest digest.Digest) error {
	ctx, cancel := context.WithTimeout(ctx, tagTimeout)
	defer cancel()
	return r.Delete(ctx, repo, manifest)
}
