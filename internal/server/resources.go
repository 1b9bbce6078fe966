package server

import (
	"context"
	"net/http"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
)

func specOf(s api.Spec) intent.Spec {
	return intent.Spec{Type: s.Type, Size: s.Size, Region: s.Region, Replicas: s.Replicas}
}

func answerSpec(s intent.Spec) api.Spec {
	return api.Spec{Type: s.Type, Size: s.Size, Region: s.Region, Replicas: s.Replicas}
}

func answerRevision(r ledger.Revision) api.Revision {
	return api.Revision{Number: r.Number, Digest: r.Digest.String()}
}

func answerEntry(e *ledger.Entry) api.Resource {
	return api.Resource{
		Name: e.Name, Namespace: e.Namespace, Version: e.Version.String(), Digest: e.Digest.String(),
		Repository: e.Repository, Spec: answerSpec(e.Spec), CreatedAt: e.Created.Time(), UpdatedAt: e.Updated(),
	}
}

func answerResource(e *ledger.Entry, r ledger.Revision) *api.Resource {
	resource, revision := answerEntry(e), answerRevision(r)
	resource.Revision = &revision
	return &resource
}

// declare creates or updates one resource. The status is 201 for one that was
// created and updated for one that was updated.
func (s *Server) declare(ctx context.Context, namespace string, request api.ResourceRequest, actor string, c WriteConditions, updated int, t translation) (*resourceOutput, error) {
	change := ledger.Change{
		Name: request.Name, Spec: specOf(request.Spec),
		IfMatch: s.ifMatch(namespace, request.Name, c.IfMatch), IfNoneMatch: c.IfNoneMatch != "",
	}
	result, err := s.ledger.Apply(ctx, ledger.Request{Namespace: namespace, Changes: []ledger.Change{change}, Actor: actor, Reason: request.Reason})
	if err != nil {
		return nil, s.problemOf(ctx, err, t)
	}
	outcome := result.Outcomes[0]
	out := &resourceOutput{Status: http.StatusOK, ETag: etagOf(outcome.Digest.String()), Body: answerResource(outcome.After, result.Revision)}
	switch outcome.Operation {
	case ledger.Created:
		out.Status = http.StatusCreated
		out.Location = "/api/v1/namespaces/" + namespace + "/resources/" + request.Name
	case ledger.Updated:
		out.Status = updated
	case ledger.Unchanged:
		out.Body.Unchanged = true
	}
	return out, nil
}

func (s *Server) post(ctx context.Context, in *postInput) (*resourceOutput, error) {
	// Clients of the un-namespaced call expect 201 for an update, too.
	return s.declare(ctx, api.DefaultNamespace, in.Body, in.Actor, in.WriteConditions, http.StatusCreated, translation{one: true})
}

func (s *Server) namespacedPost(ctx context.Context, in *namespacedPostInput) (*resourceOutput, error) {
	return s.declare(ctx, in.Namespace, in.Body, in.Actor, in.WriteConditions, http.StatusOK, translation{one: true})
}

func (s *Server) put(ctx context.Context, in *putInput) (*resourceOutput, error) {
	request := api.ResourceRequest{Name: in.Name, Spec: in.Body.Spec, Reason: in.Body.Reason}
	return s.declare(ctx, api.DefaultNamespace, request, in.Actor, in.WriteConditions, http.StatusOK, translation{one: true, name: true})
}

func (s *Server) namespacedPut(ctx context.Context, in *namespacedPutInput) (*resourceOutput, error) {
	request := api.ResourceRequest{Name: in.Name, Spec: in.Body.Spec, Reason: in.Body.Reason}
	return s.declare(ctx, in.Namespace, request, in.Actor, in.WriteConditions, http.StatusOK, translation{one: true, name: true})
}

func (s *Server) read(ctx context.Context, namespace, name, at string, c ReadConditions) (*readOutput, error) {
	entry, revision, err := s.entryAt(ctx, namespace, name, at)
	if err != nil {
		return nil, s.missingDefault(namespace, name, s.problemOf(ctx, err, translation{}))
	}
	digest := entry.Digest.String()
	status, err := c.judge(digest)
	if err != nil {
		return nil, err
	}
	return &readOutput{Status: status, ETag: etagOf(digest), Body: answerResource(entry, revision)}, nil
}

// judge compares what is read with what the caller wants and has: the answer's
// status, 200 or 304, or a problem.
func (c ReadConditions) judge(digest string) (int, error) {
	if required, _ := parseConditions(c.IfMatch); !required.empty() && !required.matchStrong(digest) {
		return 0, newProblem(api.CodePreconditionFailed, "it is %s", digest)
	}
	if known, _ := parseConditions(c.IfNoneMatch); known.matchWeak(digest) {
		return http.StatusNotModified, nil
	}
	return http.StatusOK, nil
}

func (s *Server) get(ctx context.Context, in *getInput) (*readOutput, error) {
	return s.read(ctx, api.DefaultNamespace, in.Name, in.At, in.ReadConditions)
}

func (s *Server) namespacedGet(ctx context.Context, in *namespacedGetInput) (*readOutput, error) {
	return s.read(ctx, in.Namespace, in.Name, in.At, in.ReadConditions)
}

func (s *Server) remove(ctx context.Context, namespace, name, actor, reason string, c DeleteConditions) (*deleteOutput, error) {
	change := ledger.Change{Name: name, Delete: true, IfMatch: s.ifMatch(namespace, name, c.IfMatch)}
	result, err := s.ledger.Apply(ctx, ledger.Request{Namespace: namespace, Changes: []ledger.Change{change}, Actor: actor, Reason: reason})
	if err != nil {
		return nil, s.missingDefault(namespace, name, s.problemOf(ctx, err, translation{one: true, name: true, query: true}))
	}
	outcome := result.Outcomes[0]
	return &deleteOutput{Body: &api.ResourceDeleted{
		Name: name, Namespace: namespace, Version: outcome.Version.String(), Digest: outcome.Digest.String(),
		Repository: outcome.Before.Repository, Deleted: true, Revision: answerRevision(result.Revision),
	}}, nil
}

func (s *Server) delete(ctx context.Context, in *deleteInput) (*deleteOutput, error) {
	return s.remove(ctx, api.DefaultNamespace, in.Name, in.Actor, in.Reason, in.DeleteConditions)
}

func (s *Server) namespacedDelete(ctx context.Context, in *namespacedDeleteInput) (*deleteOutput, error) {
	return s.remove(ctx, in.Namespace, in.Name, in.Actor, in.Reason, in.DeleteConditions)
}

// ifMatch is the header's value as the ledger takes it: one digest. Of several
// tags it is the one that the resource has now, if any; that is judged again
// when the change is made.
func (s *Server) ifMatch(namespace, name, header string) string {
	c, _ := parseConditions(header) // admit has refused what cannot be parsed
	switch {
	case c.empty():
		return ""
	case c.any:
		return "*"
	}
	if entry, _, err := s.ledger.Get(namespace, name); err == nil && c.matchStrong(entry.Digest.String()) {
		return entry.Digest.String()
	}
	return header // it is no digest, so nothing matches
}

// missingDefault makes "no such resource" of "no such namespace" for the
// default namespace, which exists for callers from the beginning.
func (s *Server) missingDefault(namespace, name string, p *problem) *problem {
	if namespace == api.DefaultNamespace && p.Code == api.CodeNamespaceNotFound {
		return newProblem(api.CodeNotFound, "%s does not exist in namespace %s", name, namespace)
	}
	return p
}
