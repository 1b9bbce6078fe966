package client

import (
	"context"
	"net/http"
	"net/url"

	"gitops-squared.io/gsq/api"
)

// ApplyOptions change what Apply does.
type ApplyOptions struct {
	DryRun  bool // answer what would happen, write nothing
	Prune   bool // delete what the request does not name
	Confirm bool // let Prune delete everything, or more than half
}

// Apply declares and deletes many resources of one namespace in one revision,
// or none of them. CodeConfirm asks for ApplyOptions.Confirm. An
// outcome-unknown is repeated unless the request has deletes or
// preconditions, which a repeat would judge anew; the answer is then the
// repeat's, to which what the first attempt wrote may be unchanged.
func (c *Client) Apply(ctx context.Context, namespace string, r api.ApplyRequest, o ApplyOptions) (*api.ApplyResponse, error) {
	query := url.Values{}
	for name, set := range map[string]bool{"dryRun": o.DryRun, "prune": o.Prune, "confirm": o.Confirm} {
		if set {
			query.Set(name, "true")
		}
	}
	if r.Resources == nil {
		r.Resources = []api.ApplyResource{} // the API wants a list, not null
	}
	var answer api.ApplyResponse
	err := c.do(ctx, call{
		method: http.MethodPost, path: []string{"api", "v1", "namespaces", namespace, "apply"},
		query: query, body: r, repeatUnknown: repeatable(r),
	}, &answer)
	if err != nil {
		return nil, err
	}
	return &answer, nil
}

func repeatable(r api.ApplyRequest) bool {
	for _, resource := range r.Resources {
		if resource.IfMatch != "" || resource.IfNoneMatch != "" {
			return false
		}
	}
	return len(r.Deletes) == 0
}
