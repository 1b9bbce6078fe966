package remote

import (
	"context"
	"errors"
	"fmt"

	orasregistry "oras.land/oras-go/v2/registry"
	orasremote "oras.land/oras-go/v2/registry/remote"

	"gitops-squared.io/gsq/internal/registry"
)

var _ registry.Lister = (*Registry)(nil)

// Repositories implements registry.Lister. It answers what the registry's
// catalog endpoint lists, in the registry's order; many registries lack it, or
// keep it from all but administrators: registry.ErrUnsupported.
func (r *Registry) Repositories(ctx context.Context, last string, n int) ([]string, error) {
	if n <= 0 {
		return nil, nil
	}
	reg := &orasremote.Registry{RepositoryOptions: orasremote.RepositoryOptions{
		Client:           r.client,
		Reference:        orasregistry.Reference{Registry: r.address.Host},
		PlainHTTP:        r.address.Plain,
		MaxMetadataBytes: maxListBytes,
	}}
	reg.RepositoryListPageSize = n
	var found []string
	err := reg.Repositories(context.WithValue(ctx, callKey{}, call{}), last, func(page []string) error {
		if found = append(found, page...); len(found) >= n {
			return errStop
		}
		return nil
	})
	switch {
	case err == nil, errors.Is(err, errStop):
		return found[:min(n, len(found))], nil
	case errors.Is(err, registry.ErrNotFound), errors.Is(err, registry.ErrRefused), errors.Is(err, registry.ErrUnsupported):
		return nil, fmt.Errorf("listing repositories: %w: %w", registry.ErrUnsupported, err)
	}
	return nil, fmt.Errorf("listing repositories: %w", explain(err, registry.ErrUnavailable))
}
