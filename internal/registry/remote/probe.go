package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"gitops-squared.io/gsq/internal/registry"
)

// support says whether a registry can do something.
type support int32

const (
	unknown support = iota
	yes
	no
)

func (s support) String() string { return [...]string{"unknown", "yes", "no"}[s] }

// Capabilities is what a registry can do, as far as it can be seen without
// writing. Each is "yes", "no" or "unknown".
type Capabilities struct {
	APIVersion string // the header Docker-Distribution-Api-Version; may be empty
	Referrers  string // the referrers API; without it, the tag schema is used
	TagPaging  string // a page of tags can be asked for; unknown while there are fewer than two tags
	Delete     string // manifests can be deleted
}

// Probe asks what the registry can do, in a repository that need not exist. It
// changes nothing. The error says why the registry cannot be used.
func (r *Registry) Probe(ctx context.Context, repo string) (Capabilities, error) {
	ctx, _, err := r.repository(ctx, repo, call{})
	if err != nil {
		return Capabilities{}, err
	}
	header, _, err := r.get(ctx, http.MethodGet, "/v2/")
	if err != nil {
		return Capabilities{}, fmt.Errorf("probe: %w", err)
	}
	c := Capabilities{APIVersion: header.Get(apiVersionHeader)}
	referrers, err := r.referrersAPI(ctx, repo)
	if err != nil && !errors.Is(err, registry.ErrRefused) {
		return Capabilities{}, fmt.Errorf("probe referrers: %w", err)
	}
	paging, err := r.probePaging(ctx, repo)
	if err != nil {
		return Capabilities{}, fmt.Errorf("probe tags: %w", err)
	}
	deletion, err := r.probeDelete(ctx, repo)
	if err != nil {
		return Capabilities{}, fmt.Errorf("probe deletion: %w", err)
	}
	c.Referrers, c.TagPaging, c.Delete = referrers.String(), paging.String(), deletion.String()
	return c, nil
}

// probePaging asks for one tag.
func (r *Registry) probePaging(ctx context.Context, repo string) (support, error) {
	header, body, err := r.get(ctx, http.MethodGet, "/v2/"+repo+"/tags/list?n=1")
	if errors.Is(err, registry.ErrNotFound) || errors.Is(err, registry.ErrRefused) {
		return unknown, nil
	}
	if err != nil {
		return unknown, err
	}
	var list struct{ Tags []string }
	if err := json.Unmarshal(body, &list); err != nil {
		return unknown, fmt.Errorf("%w: %v", registry.ErrUnavailable, err)
	}
	switch {
	case len(list.Tags) > 1:
		return no, nil
	case header.Get("Link") != "":
		return yes, nil
	}
	return unknown, nil
}

// probeDelete asks to delete a manifest that cannot exist.
func (r *Registry) probeDelete(ctx context.Context, repo string) (support, error) {
	_, _, err := r.get(ctx, http.MethodDelete, "/v2/"+repo+"/manifests/"+noDigest)
	var a *answer
	switch {
	case errors.Is(err, registry.ErrUnsupported):
		return no, nil
	case errors.As(err, &a) && errors.Is(err, registry.ErrNotFound) && a.has("MANIFEST_UNKNOWN"):
		return yes, nil
	case err == nil, errors.Is(err, registry.ErrNotFound), errors.Is(err, registry.ErrRefused):
		return unknown, nil
	}
	return unknown, err
}
