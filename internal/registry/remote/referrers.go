package remote

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"

	orasremote "oras.land/oras-go/v2/registry/remote"
)

// noDigest is a digest that no content has.
const noDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// Referrers implements registry.Registry. Where the tag schema stands in for
// the API, it lists what this and other clients that follow it have pushed.
func (r *Registry) Referrers(ctx context.Context, name string, subject digest.Digest, artifactType string) ([]ocispec.Descriptor, error) {
	if err := subject.Validate(); err != nil {
		return nil, fmt.Errorf("referrers of %q: %w: %v", subject, registry.ErrRefused, err)
	}
	ctx, repo, err := r.repository(ctx, name, call{})
	if err != nil {
		return nil, err
	}
	api, err := r.referrersAPI(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("referrers of %s: %w", subject, err)
	}
	if api == unknown { // there is no such repository
		return nil, nil
	}
	if err := repo.SetReferrersCapability(api == yes); err != nil {
		return nil, err
	}
	var found []ocispec.Descriptor
	err = repo.Referrers(ctx, ocispec.Descriptor{Digest: subject}, artifactType, func(page []ocispec.Descriptor) error {
		found = append(found, page...)
		return nil
	})
	if errors.Is(err, registry.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("referrers of %s: %w", subject, explain(err, registry.ErrUnavailable))
	}
	return found, nil
}

// referrersAPI returns whether the registry has the referrers API; unknown
// means that it says that it does not know the repository. What it learns, it
// remembers.
func (r *Registry) referrersAPI(ctx context.Context, name string) (support, error) {
	if known := support(r.referrers.Load()); known != unknown {
		return known, nil
	}
	_, _, err := r.get(ctx, http.MethodGet, "/v2/"+name+"/referrers/"+noDigest)
	var a *answer
	switch {
	case err == nil:
		r.referrers.Store(int32(yes))
		return yes, nil
	case errors.As(err, &a) && errors.Is(err, registry.ErrNotFound) && a.has("NAME_UNKNOWN"):
		return unknown, nil
	case errors.Is(err, registry.ErrNotFound), errors.As(err, &a) && a.status == http.StatusMethodNotAllowed:
		r.referrers.Store(int32(no))
		return no, nil
	}
	return unknown, err
}

// prepareIndex readies repo for putting or deleting a manifest: where the tag
// schema has to stand in for the API and the manifest has a subject, oras then
// rewrites the subject's index, and until release is called nobody else here
// does. Two processes that write referrers of one subject at the same time can
// still lose one.
func (r *Registry) prepareIndex(ctx context.Context, repo *orasremote.Repository, m registry.Manifest) (release func(), err error) {
	none := func() {}
	named, err := m.Content()
	if err != nil {
		return nil, fmt.Errorf("%w: %v", registry.ErrCorrupt, err)
	}
	if named.Subject == nil { // nothing to index, so oras need not look
		return none, repo.SetReferrersCapability(true)
	}
	api, err := r.referrersAPI(ctx, repo.Reference.Repository)
	if err != nil {
		return nil, err
	}
	if api != unknown { // else oras sees it from the answer to the manifest
		if err := repo.SetReferrersCapability(api == yes); err != nil {
			return nil, err
		}
	}
	if api == yes {
		return none, nil
	}
	return r.indexing.lock(ctx, place{repo.Reference.Repository, named.Subject.Digest})
}

// stripes are locks for places. Places may share one; there is a fixed number.
type stripes struct {
	seed  maphash.Seed
	locks [64]chan struct{}
}

func newStripes() *stripes {
	s := &stripes{seed: maphash.MakeSeed()}
	for i := range s.locks {
		s.locks[i] = make(chan struct{}, 1)
	}
	return s
}

func (s *stripes) lock(ctx context.Context, p place) (release func(), err error) {
	lock := s.locks[maphash.Comparable(s.seed, p)%uint64(len(s.locks))]
	select {
	case lock <- struct{}{}:
		return func() { <-lock }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: waiting to write the index of referrers: %w", registry.ErrUnavailable, ctx.Err())
	}
}
