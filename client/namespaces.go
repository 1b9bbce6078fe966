package client

import (
	"context"
	"net/http"

	"gitops-squared.io/gsq/api"
)

// Namespaces returns all namespaces by name, deleted ones included.
func (c *Client) Namespaces(ctx context.Context) (*api.NamespaceList, error) {
	var list api.NamespaceList
	if err := c.do(ctx, call{method: http.MethodGet, path: []string{"api", "v1", "namespaces"}}, &list); err != nil {
		return nil, err
	}
	return &list, nil
}
