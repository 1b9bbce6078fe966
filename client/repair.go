package client

import (
	"context"
	"net/http"

	"gitops-squared.io/gsq/api"
)

// Repair has the server put tags where a namespace's history says that they
// belong; it derives that itself. At most 1,000 tags. Repeating it is safe, and
// an outcome-unknown is repeated.
func (c *Client) Repair(ctx context.Context, namespace string, tags []api.RepairTag) (*api.RepairResponse, error) {
	var answer api.RepairResponse
	err := c.do(ctx, call{method: http.MethodPost, path: namespacePath(namespace, "repair"), body: api.RepairRequest{Tags: tags}, repeatUnknown: true}, &answer)
	if err != nil {
		return nil, err
	}
	return &answer, nil
}
