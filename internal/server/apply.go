package server

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/ledger"
)

func (s *Server) apply(ctx context.Context, in *applyInput) (*applyOutput, error) {
	request := ledger.Request{
		Namespace: in.Namespace, Prune: in.Prune, Confirm: in.Confirm, DryRun: in.DryRun,
		Actor: in.Actor, Reason: in.Body.Reason,
		Changes: make([]ledger.Change, 0, len(in.Body.Resources)+len(in.Body.Deletes)),
	}
	for _, r := range in.Body.Resources {
		request.Changes = append(request.Changes, ledger.Change{
			Name: r.Name, Spec: specOf(r.Spec), IfMatch: r.IfMatch, IfNoneMatch: r.IfNoneMatch != "",
		})
	}
	for _, name := range in.Body.Deletes {
		request.Changes = append(request.Changes, ledger.Change{Name: name, Delete: true})
	}
	result, err := s.ledger.Apply(ctx, request)
	if err != nil {
		p := s.problemOf(ctx, err, translation{resources: len(in.Body.Resources)})
		if p.Code == api.CodeConfirm {
			p.Detail += " (repeat the request with confirm=true)"
		}
		return nil, p
	}
	return &applyOutput{Body: answerApply(in.Namespace, in.DryRun, result)}, nil
}

func answerApply(namespace string, dryRun bool, result ledger.Result) *api.ApplyResponse {
	out := &api.ApplyResponse{
		Namespace: namespace, Revision: answerRevision(result.Revision), DryRun: dryRun,
		Changes: make([]api.Change, 0, len(result.Outcomes)),
	}
	for _, o := range result.Outcomes {
		c := api.Change{Name: o.Name, Operation: api.Operation(o.Operation), Digest: o.Digest.String()}
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
		switch o.Operation {
		case ledger.Created:
			out.Created++
		case ledger.Updated:
			out.Updated++
		case ledger.Deleted:
			out.Deleted++
		case ledger.Unchanged:
			out.Unchanged++
		}
		out.Changes = append(out.Changes, c)
	}
	return out
}

// applyFaults finds what the schema of an apply's body cannot say: a name that
// occurs twice.
func applyFaults(_ *http.Request, body *value) []api.Fault {
	first := map[string]string{}
	var faults []api.Fault
	note := func(name *value, at string) {
		if name == nil || name.kind != kindString {
			return // the schema's fault
		}
		if before, twice := first[name.text]; twice {
			faults = append(faults, api.Fault{Pointer: at, Detail: fmt.Sprintf("%s is named by %s already; a request can change a resource once", name.quoted(), before)})
			return
		}
		first[name.text] = at
	}
	if resources := body.find("resources"); resources != nil {
		for i, r := range resources.items {
			note(r.find("name"), "/resources/"+strconv.Itoa(i)+"/name")
		}
	}
	if deletes := body.find("deletes"); deletes != nil {
		for i, name := range deletes.items {
			note(name, "/deletes/"+strconv.Itoa(i))
		}
	}
	return faults
}
