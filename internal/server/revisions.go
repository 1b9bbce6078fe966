package server

import (
	"context"
	"slices"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/ledger"
)

// latestRevision is the name of the present revision.
const latestRevision = "latest"

func (s *Server) revisions(ctx context.Context, in *revisionsInput) (*revisionsOutput, error) {
	at, err := historyPlace(in.Namespace, "", in.Continue)
	if err != nil {
		return nil, err
	}
	leave, err := s.visitPast(ctx)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	defer leave()
	page, err := s.ledger.Commits(ctx, in.Namespace, at.place(), in.limit())
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	out := &api.CommitList{Revisions: make([]api.Commit, 0, len(page.Commits)), Continue: at.next(page.Next, true)}
	for _, c := range page.Commits {
		out.Revisions = append(out.Revisions, answerCommit(c))
	}
	return &revisionsOutput{Body: out}, nil
}

func (s *Server) revision(ctx context.Context, in *revisionInput) (*revisionOutput, error) {
	leave, err := s.visitPast(ctx)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	defer leave()
	c, err := s.commitOf(ctx, in.Namespace, in.Revision)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	digest := c.Revision.Digest.String()
	status, err := in.judge(digest)
	if err != nil {
		return nil, err
	}
	answer := answerCommit(c)
	return &revisionOutput{Status: status, ETag: etagOf(digest), Body: &answer}, nil
}

// commitOf reads the record of a revision in the path.
func (s *Server) commitOf(ctx context.Context, namespace, revision string) (ledger.Commit, error) {
	if revision == latestRevision {
		now, err := s.ledger.List(namespace)
		if err != nil {
			return ledger.Commit{}, err
		}
		return s.ledger.Commit(ctx, namespace, now.Revision.Number)
	}
	number, err := artifact.ParseRevisionTag(revision)
	if err != nil {
		return ledger.Commit{}, invalidRead(api.Fault{Parameter: "revision", Detail: err.Error()})
	}
	return s.ledger.Commit(ctx, namespace, number)
}

func answerDated(r ledger.Revision) api.DatedRevision {
	return api.DatedRevision{Number: r.Number, Digest: r.Digest.String(), Time: r.Time}
}

func answerCommit(c ledger.Commit) api.Commit {
	out := api.Commit{
		DatedRevision: answerDated(c.Revision), Parent: c.Parent.String(),
		Actors: []string{}, Reasons: []string{}, Changes: make([]api.CommitChange, 0, len(c.Changes)),
	}
	for _, change := range c.Changes {
		out.Changes = append(out.Changes, api.CommitChange{
			Name: change.Name, Operation: api.Operation(change.Operation),
			Before: answerRef(change.Before), After: answerRef(change.After),
			Origin: api.Origin{Actor: change.Actor, ActorVerified: change.Verified, Reason: change.Reason},
		})
		out.Actors, out.Reasons = noted(out.Actors, change.Actor), noted(out.Reasons, change.Reason)
	}
	if c.Checkpoint != nil {
		out.Checkpoint = &api.CheckpointRef{Number: c.Checkpoint.Number, Digest: c.Checkpoint.Digest.String()}
	}
	return out
}

// noted adds a text to a sorted list, unless it is empty or there.
func noted(list []string, text string) []string {
	i, found := slices.BinarySearch(list, text)
	if found || text == "" {
		return list
	}
	return slices.Insert(list, i, text)
}

func answerRef(r *artifact.VersionRef) *api.VersionRef {
	if r == nil {
		return nil
	}
	return &api.VersionRef{Version: r.Version, Digest: r.Digest.String()}
}
