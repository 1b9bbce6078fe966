package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"gitops-squared.io/gsq/api"
)

// PageOptions choose a page of a history.
type PageOptions struct {
	Limit    int    // of entries, at most 1000; 0: the server's default
	Continue string // from the page before
}

func (o PageOptions) query() url.Values {
	query := url.Values{}
	if o.Limit > 0 {
		query.Set("limit", strconv.Itoa(o.Limit))
	}
	if o.Continue != "" {
		query.Set("continue", o.Continue)
	}
	return query
}

func namespacePath(namespace string, rest ...string) []string {
	return append([]string{"api", "v1", "namespaces", namespace}, rest...)
}

// GetAt returns one resource as it was at a revision ("r12") or a time (RFC
// 3339): CodeNotFound if it did not exist then, CodeRevisionExpired if that is
// not kept any more.
func (c *Client) GetAt(ctx context.Context, namespace, name, at string) (*api.Resource, error) {
	return read[api.Resource](ctx, c, resourcePath(namespace, name), url.Values{"at": {at}})
}

// Versions returns a page of a resource's history, newest first. It may have
// fewer entries than the limit, or none: the history ends where Continue is
// empty. CodeNotFound if the resource never existed.
func (c *Client) Versions(ctx context.Context, namespace, name string, o PageOptions) (*api.VersionList, error) {
	return read[api.VersionList](ctx, c, resourcePath(namespace, name, "versions"), o.query())
}

// Version returns one version of a resource: CodeNotFound if there is none,
// CodeRevisionExpired if it is not kept any more.
func (c *Client) Version(ctx context.Context, namespace, name, version string) (*api.StoredVersion, error) {
	return read[api.StoredVersion](ctx, c, resourcePath(namespace, name, "versions", version), nil)
}

// DiffVersions compares two versions of a resource; with an empty to, a version
// and the resource as it is now.
func (c *Client) DiffVersions(ctx context.Context, namespace, name, from, to string) (*api.VersionDiff, error) {
	return read[api.VersionDiff](ctx, c, resourcePath(namespace, name, "diff"), sides(from, to))
}

// Revisions returns a page of a namespace's history, newest first. It may have
// fewer entries than the limit: the history ends where Continue is empty.
func (c *Client) Revisions(ctx context.Context, namespace string, o PageOptions) (*api.CommitList, error) {
	return read[api.CommitList](ctx, c, namespacePath(namespace, "revisions"), o.query())
}

// Revision returns what a revision ("r12", or "latest") changed; CodeNotFound
// if there is none.
func (c *Client) Revision(ctx context.Context, namespace, revision string) (*api.Commit, error) {
	return read[api.Commit](ctx, c, namespacePath(namespace, "revisions", revision), nil)
}

// DiffRevisions compares a namespace at two revisions ("r12") or times (RFC
// 3339); with an empty to, with the present one.
func (c *Client) DiffRevisions(ctx context.Context, namespace, from, to string) (*api.NamespaceDiff, error) {
	return read[api.NamespaceDiff](ctx, c, namespacePath(namespace, "diff"), sides(from, to))
}

func sides(from, to string) url.Values {
	query := url.Values{"from": {from}}
	if to != "" {
		query.Set("to", to)
	}
	return query
}

// read sends a GET.
func read[T any](ctx context.Context, c *Client, path []string, query url.Values) (*T, error) {
	var answer T
	if err := c.do(ctx, call{method: http.MethodGet, path: path, query: query}, &answer); err != nil {
		return nil, err
	}
	return &answer, nil
}
