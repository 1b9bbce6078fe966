package server

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/ledger"
)

const tagRetention = "Retention"

// collectionWait is for how long a request waits for a collection's end.
const collectionWait = 15 * time.Second

type (
	retentionInput struct {
		NamespacePath
	}
	setRetentionInput struct {
		NamespacePath
		ActorHeader
		Body api.RetentionRequest
	}
	collectInput struct {
		NamespacePath
		Body api.CollectionRequest
	}
	collectionInput struct {
		NamespacePath
		DryRun bool `query:"dryRun" doc:"The last dry run, instead of the last collection."`
	}
	retentionOutput struct {
		Body *api.Retention
	}
	collectionOutput struct {
		Body *api.Collection
	}
)

// addRetention registers the operations on what is kept of the history.
func (s *Server) addRetention(a huma.API) {
	const space = "/api/v1/namespaces/{namespace}"
	errs := []int{http.StatusNotFound, http.StatusConflict}
	writes := append([]int{http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusGatewayTimeout, http.StatusBadGateway}, errs...)
	o := s.operation(a, tagRetention)
	huma.Register(a, o(http.MethodGet, space+"/retention", "get-retention", "Read what a namespace keeps of its history", http.StatusOK, errs), s.retention)
	huma.Register(a, o(http.MethodPut, space+"/retention", "put-retention", "Set what a namespace keeps of its history", http.StatusOK, writes), s.setRetention)
	huma.Register(a, o(http.MethodPost, space+"/gc", "post-gc", "Delete what is not kept any more", http.StatusOK, writes), s.collect)
	huma.Register(a, o(http.MethodGet, space+"/gc", "get-gc", "Read what the last collection did", http.StatusOK, errs), s.collection)
}

func (s *Server) retention(ctx context.Context, in *retentionInput) (*retentionOutput, error) {
	r, err := s.ledger.Retention(in.Namespace)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	out := &api.Retention{Namespace: in.Namespace, Effective: answerPolicy(r.Effective)}
	if r.Own != (artifact.Retention{}) {
		own := answerPolicy(r.Own)
		out.Own = &own
	}
	return &retentionOutput{Body: out}, nil
}

func (s *Server) setRetention(ctx context.Context, in *setRetentionInput) (*retentionOutput, error) {
	policy := artifact.Retention{Revisions: in.Body.Revisions, Seconds: in.Body.Seconds, TombstonesSeconds: in.Body.TombstonesSeconds}
	if err := policy.Check(); err != nil { // the bounds of each were checked before
		return nil, invalid([]api.Fault{{Pointer: "/revisions", Detail: "must be 2 or more, or 0 with the others, which means the server's default"}})
	}
	if err := s.ledger.SetRetention(ctx, in.Namespace, policy, ledger.Author{Actor: in.Actor, Reason: in.Body.Reason}); err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	return s.retention(ctx, &retentionInput{in.NamespacePath})
}

func (s *Server) collect(ctx context.Context, in *collectInput) (*collectionOutput, error) {
	wait, cancel := context.WithTimeout(ctx, collectionWait)
	defer cancel()
	c, err := s.ledger.Collect(wait, in.Namespace, in.Body.DryRun)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	return &collectionOutput{Body: answerCollection(c)}, nil
}

func (s *Server) collection(ctx context.Context, in *collectionInput) (*collectionOutput, error) {
	c, err := s.ledger.Collection(in.Namespace, in.DryRun)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	return &collectionOutput{Body: answerCollection(c)}, nil
}

func answerPolicy(r artifact.Retention) api.RetentionPolicy {
	return api.RetentionPolicy{Revisions: r.Revisions, Seconds: r.Seconds, TombstonesSeconds: r.TombstonesSeconds}
}

func answerCollection(c ledger.Collection) *api.Collection {
	out := &api.Collection{
		Namespace: c.Namespace, DryRun: c.DryRun, State: api.CollectionRunning, BeganAt: c.Began, Policy: answerPolicy(c.Policy),
		Thinned: c.Thinned, Revisions: c.Revisions, Versions: c.Versions, Referrers: c.Referrers, Bytes: c.Bytes, InUse: c.InUse,
	}
	if !c.Ended.IsZero() {
		out.State, out.EndedAt = api.CollectionDone, &c.Ended
	}
	if c.Freed != nil {
		out.Freed = &api.Freed{Blobs: c.Freed.Blobs, Bytes: c.Freed.Bytes}
	}
	if c.Err != nil {
		out.State = api.CollectionFailed
		out.Problem = &api.CollectionProblem{Code: api.Code(c.Err.Code), Detail: c.Err.Message}
	}
	return out
}
