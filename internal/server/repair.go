package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/ledger"
)

type (
	repairInput struct {
		NamespacePath
		Body api.RepairRequest
	}
	repairOutput struct {
		Body *api.RepairResponse
	}
)

// addRepair registers the operation behind gsq fsck --repair.
func (s *Server) addRepair(a huma.API) {
	o := s.operation(a, tagNamespaces)
	errs := []int{http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusBadGateway, http.StatusGatewayTimeout}
	huma.Register(a, o(http.MethodPost, "/api/v1/namespaces/{namespace}/repair", "repair", "Put tags where the history says that they belong", http.StatusOK, errs), s.repair)
}

func (s *Server) repair(ctx context.Context, in *repairInput) (*repairOutput, error) {
	tags := make([]ledger.RepairTag, len(in.Body.Tags))
	for i, t := range in.Body.Tags {
		tags[i] = ledger.RepairTag{Resource: t.Resource, Tag: t.Tag}
	}
	repaired, err := s.ledger.Repair(ctx, in.Namespace, tags)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	out := &api.RepairResponse{Namespace: in.Namespace, Tags: make([]api.RepairedTag, len(repaired))}
	for i, r := range repaired {
		out.Tags[i] = api.RepairedTag{Resource: r.Resource, Tag: r.Tag, Result: api.RepairResult(r.Result), Digest: r.Digest.String(), Detail: r.Detail}
	}
	return &repairOutput{Body: out}, nil
}
