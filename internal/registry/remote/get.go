package remote

import (
	"context"
	"errors"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"

	"oras.land/oras-go/v2/content"
)

// Get implements registry.Registry.
func (r *Registry) Get(ctx context.Context, repo, reference string) (registry.Artifact, error) {
	manifest, err := r.manifest(ctx, repo, reference)
	if err != nil {
		return registry.Artifact{}, err
	}
	named, err := manifest.Content()
	if err != nil {
		return registry.Artifact{}, fmt.Errorf("get %s of %s: %w: %v", reference, repo, registry.ErrCorrupt, err)
	}
	var wanted []ocispec.Descriptor
	index := map[place]int{}
	for _, d := range named.Blobs {
		if d.Size > registry.MaxBlobBytes {
			return registry.Artifact{}, fmt.Errorf("get %s of %s: blob %s: %w: %d bytes, at most %d are allowed",
				reference, repo, d.Digest, registry.ErrTooLarge, d.Size, registry.MaxBlobBytes)
		}
		if _, ok := index[place{repo, d.Digest}]; !ok {
			index[place{repo, d.Digest}] = len(wanted)
			wanted = append(wanted, d)
		}
	}
	data := make([][]byte, len(wanted))
	err = parallel(r.width, len(wanted), func(i int) (err error) {
		data[i], err = r.blob(ctx, repo, wanted[i])
		return err
	})
	if err != nil {
		return registry.Artifact{}, fmt.Errorf("get %s of %s: %w", reference, repo, err)
	}
	artifact := registry.Artifact{Manifest: manifest}
	for _, d := range named.Blobs {
		b := registry.Blob{MediaType: d.MediaType, Digest: d.Digest, Data: data[index[place{repo, d.Digest}]]}
		if int64(len(b.Data)) != d.Size {
			return registry.Artifact{}, fmt.Errorf("get %s of %s: %w: the manifest gives two sizes for blob %s", reference, repo, registry.ErrCorrupt, d.Digest)
		}
		artifact.Blobs = append(artifact.Blobs, b)
	}
	return artifact, nil
}

// Manifest implements registry.Registry.
func (r *Registry) Manifest(ctx context.Context, repo, reference string) (registry.Manifest, error) {
	return r.manifest(ctx, repo, reference)
}

// Blob implements registry.Registry.
func (r *Registry) Blob(ctx context.Context, repo string, d ocispec.Descriptor) (registry.Blob, error) {
	if d.Size > registry.MaxBlobBytes {
		return registry.Blob{}, fmt.Errorf("blob %s of %s: %w: %d bytes, at most %d are allowed", d.Digest, repo, registry.ErrTooLarge, d.Size, registry.MaxBlobBytes)
	}
	data, err := r.blob(ctx, repo, d)
	if err != nil {
		return registry.Blob{}, fmt.Errorf("%s: %w", repo, err)
	}
	return registry.Blob{MediaType: d.MediaType, Digest: d.Digest, Data: data}, nil
}

// Resolve implements registry.Registry. It reads the manifest itself rather
// than ask for its head: a HEAD's 404 has no body that would tell a registry's
// answer from a proxy's, and the digest header is optional.
func (r *Registry) Resolve(ctx context.Context, repo, reference string) (ocispec.Descriptor, error) {
	m, err := r.manifest(ctx, repo, reference)
	if err != nil {
		return ocispec.Descriptor{}, err
	}
	return describe(m), nil
}

// manifest reads a manifest and verifies its bytes.
func (r *Registry) manifest(ctx context.Context, name, reference string) (registry.Manifest, error) {
	ctx, repo, err := r.repository(ctx, name, call{limit: registry.MaxManifestBytes})
	if err != nil {
		return registry.Manifest{}, err
	}
	d, body, err := repo.Manifests().FetchReference(ctx, reference)
	if err != nil {
		return registry.Manifest{}, fmt.Errorf("get %s of %s: %w", reference, name, explain(err, registry.ErrCorrupt))
	}
	defer body.Close()
	data, err := content.ReadAll(body, d)
	if err != nil {
		return registry.Manifest{}, fmt.Errorf("get %s of %s: %w", reference, name, explain(err, registry.ErrCorrupt))
	}
	return registry.Manifest{MediaType: d.MediaType, Digest: d.Digest, Data: data}, nil
}

// blob reads a blob that a manifest names.
func (r *Registry) blob(ctx context.Context, name string, d ocispec.Descriptor) ([]byte, error) {
	ctx, repo, err := r.repository(ctx, name, call{limit: d.Size, over: registry.ErrCorrupt, blob: true})
	if err != nil {
		return nil, err
	}
	body, err := repo.Blobs().Fetch(ctx, d)
	if errors.Is(err, registry.ErrNotFound) {
		return nil, fmt.Errorf("%w: blob %s is missing: %v", registry.ErrCorrupt, d.Digest, err)
	}
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", d.Digest, explain(err, registry.ErrCorrupt))
	}
	defer body.Close()
	data, err := content.ReadAll(body, d)
	if err != nil {
		return nil, fmt.Errorf("blob %s: %w", d.Digest, explain(err, registry.ErrCorrupt))
	}
	return data, nil
}
