package remote

import (
	"context"
	"fmt"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// Delete implements registry.Registry. The manifest is read first, as its
// subject's index of referrers may have to be rewritten.
func (r *Registry) Delete(ctx context.Context, name string, manifest digest.Digest) error {
	if err := manifest.Validate(); err != nil {
		return fmt.Errorf("delete %q of %s: %w: %v", manifest, name, registry.ErrRefused, err)
	}
	m, err := r.manifest(ctx, name, manifest.String())
	if err != nil {
		return err
	}
	ctx, repo, err := r.repository(ctx, name, call{limit: registry.MaxManifestBytes})
	if err != nil {
		return err
	}
	release, err := r.prepareIndex(ctx, repo, m)
	if err != nil {
		return fmt.Errorf("delete %s of %s: %w", manifest, name, err)
	}
	defer release()
	if err := repo.Manifests().Delete(ctx, describe(m)); err != nil {
		return fmt.Errorf("delete %s of %s: %w", manifest, name, explain(err, registry.ErrUnavailable))
	}
	return nil
}
