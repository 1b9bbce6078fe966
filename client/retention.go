package client

import (
	"context"
	"net/http"
	"net/url"

	"gitops-squared.io/gsq/api"
)

// Retention returns what a namespace keeps of its history.
func (c *Client) Retention(ctx context.Context, namespace string) (*api.Retention, error) {
	return read[api.Retention](ctx, c, namespacePath(namespace, "retention"), nil)
}

// SetRetention sets what a namespace keeps of its history from now on. Nothing
// is deleted by that: a collection does. An outcome-unknown is repeated.
func (c *Client) SetRetention(ctx context.Context, namespace string, r api.RetentionRequest) (*api.Retention, error) {
	var answer api.Retention
	err := c.do(ctx, call{method: http.MethodPut, path: namespacePath(namespace, "retention"), body: r, repeatUnknown: true}, &answer)
	if err != nil {
		return nil, err
	}
	return &answer, nil
}

// Collect deletes what a namespace's retention does not keep, or says what that
// would be. It joins a collection that runs. It returns when that has ended, or
// after a while, with the state CollectionRunning: then ask Collection.
func (c *Client) Collect(ctx context.Context, namespace string, dryRun bool) (*api.Collection, error) {
	var answer api.Collection
	err := c.do(ctx, call{method: http.MethodPost, path: namespacePath(namespace, "gc"), body: api.CollectionRequest{DryRun: dryRun}}, &answer)
	if err != nil {
		return nil, err
	}
	return &answer, nil
}

// Collection returns what the collection that runs has done so far, or what the
// last one did. CodeNotFound if there was none since the server started.
func (c *Client) Collection(ctx context.Context, namespace string, dryRun bool) (*api.Collection, error) {
	query := url.Values{}
	if dryRun {
		query.Set("dryRun", "true")
	}
	return read[api.Collection](ctx, c, namespacePath(namespace, "gc"), query)
}
