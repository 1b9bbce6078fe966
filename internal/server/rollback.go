package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
)

type (
	resourceRollbackInput struct {
		NamespacePath
		NamePath
		ActorHeader
		DeleteConditions
		Body api.ResourceRollback
	}
	namespaceRollbackInput struct {
		NamespacePath
		ActorHeader
		Body api.NamespaceRollback
	}
	rollbackOutput struct {
		Body *api.RollbackResponse
	}
)

// addRollback registers the operations that bring back what was.
func (s *Server) addRollback(a huma.API) {
	const space = "/api/v1/namespaces/{namespace}"
	errs := []int{
		http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusBadGateway, http.StatusGatewayTimeout,
	}
	o := s.operation(a, tagHistory)
	huma.Register(a, o(http.MethodPost, space+"/resources/{name}/rollback", "rollback-resource", "Give a resource an earlier version again",
		http.StatusOK, append([]int{http.StatusPreconditionFailed}, errs...)), s.rollBackResource)
	huma.Register(a, o(http.MethodPost, space+"/rollback", "rollback-namespace", "Give a namespace the content of an earlier revision again",
		http.StatusOK, errs), s.rollBackNamespace)
}

func (s *Server) rollBackResource(ctx context.Context, in *resourceRollbackInput) (*rollbackOutput, error) {
	version, err := intent.ParseVersion(in.Body.To)
	if err != nil {
		return nil, invalid([]api.Fault{{Pointer: "/to", Detail: err.Error()}})
	}
	change := ledger.Change{Name: in.Name, Version: version, IfMatch: s.ifMatch(in.Namespace, in.Name, in.IfMatch)}
	return s.rollBack(ctx, ledger.Request{
		Namespace: in.Namespace, Changes: []ledger.Change{change}, DryRun: in.Body.DryRun, Actor: in.Actor, Reason: in.Body.Reason,
	})
}

func (s *Server) rollBackNamespace(ctx context.Context, in *namespaceRollbackInput) (*rollbackOutput, error) {
	to, err := parseMoment(in.Body.To)
	if err != nil {
		return nil, invalid([]api.Fault{{Pointer: "/to", Detail: err.Error()}})
	}
	return s.rollBack(ctx, ledger.Request{
		Namespace: in.Namespace, Rollback: &ledger.Target{Revision: to.number, Time: to.time},
		Confirm: in.Body.Confirm, DryRun: in.Body.DryRun, Actor: in.Actor, Reason: in.Body.Reason,
	})
}

func (s *Server) rollBack(ctx context.Context, r ledger.Request) (*rollbackOutput, error) {
	result, err := s.ledger.Apply(ctx, r)
	if err != nil {
		p := s.problemOf(ctx, err, translation{one: true, name: true})
		if p.Code == api.CodeConfirm {
			p.Detail += ` (repeat the request with "confirm": true)`
		}
		return nil, p
	}
	out := &api.RollbackResponse{
		Namespace: r.Namespace, Revision: answerRevision(result.Revision), DryRun: r.DryRun,
		Changes: make([]api.RollbackChange, 0, len(result.Outcomes)),
	}
	for _, o := range result.Outcomes {
		c := api.RollbackChange{Name: o.Name, Operation: api.Operation(o.Operation), Deleted: o.After == nil, Digest: o.Digest.String()}
		if o.Version != 0 {
			c.Version = o.Version.String()
		}
		if o.Before != nil {
			before := answerSpec(o.Before.Spec)
			c.Before = &before
		}
		if o.After != nil {
			after := answerSpec(o.After.Spec)
			c.After = &after
		}
		if o.Operation == ledger.Unchanged {
			out.Unchanged++
		} else {
			out.RolledBack++
		}
		out.Changes = append(out.Changes, c)
	}
	return &rollbackOutput{Body: out}, nil
}
