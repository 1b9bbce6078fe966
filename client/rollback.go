package client

import (
	"context"
	"net/http"

	"gitops-squared.io/gsq/api"
)

// RollBackResource gives a resource an earlier version again, durably; one that
// was deleted comes back. CodeNotFound if there is no such version,
// CodeRevisionExpired if it is not kept any more, CodeInvalid if it is a
// deletion, or does not fit today's schema. Without preconditions an
// outcome-unknown is repeated.
func (c *Client) RollBackResource(ctx context.Context, namespace, name string, r api.ResourceRollback, p Preconditions) (*api.RollbackResponse, error) {
	return c.rollBack(ctx, call{
		method: http.MethodPost, path: resourcePath(namespace, name, "rollback"), header: p.header(),
		body: r, repeatUnknown: p == Preconditions{},
	})
}

// RollBackNamespace gives a namespace the content of an earlier revision
// ("r12") or time (RFC 3339) again, durably. CodeConfirm asks for
// NamespaceRollback.Confirm. An outcome-unknown is not repeated: the repeat
// would also undo what others wrote in between.
func (c *Client) RollBackNamespace(ctx context.Context, namespace string, r api.NamespaceRollback) (*api.RollbackResponse, error) {
	return c.rollBack(ctx, call{method: http.MethodPost, path: namespacePath(namespace, "rollback"), body: r})
}

func (c *Client) rollBack(ctx context.Context, call call) (*api.RollbackResponse, error) {
	var answer api.RollbackResponse
	if err := c.do(ctx, call, &answer); err != nil {
		return nil, err
	}
	return &answer, nil
}
