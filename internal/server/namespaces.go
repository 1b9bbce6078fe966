package server

import (
	"context"

	"gitops-squared.io/gsq/api"
)

func (s *Server) namespaces(ctx context.Context, _ *noInput) (*namespacesOutput, error) {
	found, err := s.ledger.Namespaces()
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	list := &api.NamespaceList{Namespaces: make([]api.Namespace, 0, len(found)), Count: len(found)}
	for _, n := range found {
		list.Namespaces = append(list.Namespaces, api.Namespace{
			Name: n.Name, State: api.NamespaceState(n.State), CreatedAt: n.Created,
			Revision: answerRevision(n.Revision), Resources: n.Resources, Problem: n.Problem,
			Catalog: api.Catalog{Registry: s.registryHost, Repository: s.layout.Catalog(n.Name), Insecure: s.registryInsecure},
		})
	}
	return &namespacesOutput{Body: list}, nil
}
