package server

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/ledger"
)

func (s *Server) list(ctx context.Context, in *listInput) (*listOutput, error) {
	return s.page(ctx, api.DefaultNamespace, in.ListQuery)
}

func (s *Server) namespacedList(ctx context.Context, in *namespacedListInput) (*listOutput, error) {
	return s.page(ctx, in.Namespace, in.ListQuery)
}

// page answers a whole list, or one page of it.
func (s *Server) page(ctx context.Context, namespace string, q ListQuery) (*listOutput, error) {
	chosen := filters{kind: q.Type, region: q.Region, namePrefix: q.NamePrefix, at: q.At}
	at, err := s.position(namespace, chosen, q.Continue)
	if err != nil {
		return nil, err
	}
	if q.At != "" {
		leave, err := s.visitPast(ctx)
		if err != nil {
			return nil, s.problemOf(ctx, err, translation{})
		}
		defer leave()
	}
	snapshot, err := s.snapshot(ctx, namespace, q, at)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	if q == (ListQuery{}) {
		return s.answerWhole(namespace, snapshot), nil
	}
	return answerList(pageOf(snapshot, chosen, q.Limit, at)), nil
}

// pageOf is what a list shows from the position on.
func pageOf(snapshot ledger.Snapshot, chosen filters, limit int, at token) *listing {
	list := &listing{revision: answerRevision(snapshot.Revision)}
	for _, e := range snapshot.Entries {
		if !chosen.match(e) {
			continue
		}
		list.count++
		if e.Name <= at.After {
			continue
		}
		if limit > 0 && len(list.entries) == limit {
			if list.next == "" {
				at.After = list.entries[limit-1].Name
				at.Revision, at.Digest = list.revision.Number, list.revision.Digest
				list.next = at.String()
			}
			continue
		}
		list.entries = append(list.entries, e)
	}
	return list
}

// answerWhole answers a namespace's whole list, from the cache if it has room.
func (s *Server) answerWhole(namespace string, snapshot ledger.Snapshot) *listOutput {
	return &listOutput{Body: func(ctx huma.Context) {
		cached := s.lists.acquire(namespace, snapshot)
		if cached == nil {
			answerList(wholeList(snapshot)).Body(ctx)
			return
		}
		defer s.lists.release(cached)
		ctx.SetHeader("Content-Type", "application/json")
		ctx.SetStatus(http.StatusOK)
		_, _ = ctx.BodyWriter().Write(cached.body) // fails only if the caller has left
	}}
}

func answerList(list *listing) *listOutput {
	return &listOutput{Body: func(ctx huma.Context) {
		ctx.SetHeader("Content-Type", "application/json")
		ctx.SetStatus(http.StatusOK)
		_ = list.write(ctx.BodyWriter()) // fails only if the caller has left
	}}
}

// position is where the list begins: at its first resource, or where the
// parameter continue says.
func (s *Server) position(namespace string, chosen filters, parameter string) (token, error) {
	if parameter == "" {
		return token{Format: tokenFormat, Namespace: namespace, Filters: chosen.fingerprint(), Started: s.now().Unix()}, nil
	}
	at, err := parseToken(parameter)
	if err != nil {
		return token{}, invalidRead(api.Fault{Parameter: "continue", Detail: err.Error()})
	}
	if at.Namespace != namespace || at.Filters != chosen.fingerprint() {
		return token{}, invalidRead(api.Fault{Parameter: "continue", Detail: "belongs to another list; namespace, type, region, namePrefix and at must be those of the first page"})
	}
	if at.expired(s.now()) {
		return token{}, newProblem(api.CodeRevisionExpired, "the list began more than %s ago; start again without continue", tokenLife.Round(time.Minute))
	}
	return at, nil
}

// snapshot is the namespace's content now, at the moment that is asked for, or
// at the revision that the list began with.
func (s *Server) snapshot(ctx context.Context, namespace string, q ListQuery, at token) (ledger.Snapshot, error) {
	continued := q.Continue != ""
	if q.At != "" && !continued {
		return s.snapshotAt(ctx, namespace, "at", q.At)
	}
	now, err := s.ledger.List(namespace)
	if e, ok := errors.AsType[*ledger.Error](err); ok && e.Code == ledger.CodeNamespaceNotFound && namespace == api.DefaultNamespace && !continued {
		return ledger.Snapshot{}, nil // it exists for callers from the beginning
	}
	if err != nil || !continued {
		return now, err
	}
	if now.Revision.Number == at.Revision && now.Revision.Digest.String() == at.Digest {
		return now, nil
	}
	then, err := s.ledger.ListAt(ctx, namespace, at.Revision)
	if e, ok := errors.AsType[*ledger.Error](err); ok && e.Code == ledger.CodeNotFound {
		return ledger.Snapshot{}, newProblem(api.CodeRevisionExpired, "revision %d, which the list began with, does not exist any more; start again without continue", at.Revision)
	}
	if err == nil && then.Revision.Digest.String() != at.Digest {
		return ledger.Snapshot{}, newProblem(api.CodeRevisionExpired, "revision %d is not the one that the list began with; start again without continue", at.Revision)
	}
	return then, err
}
