package server

import (
	"context"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
)

// defaultHistory is how many entries a page of a history has at most, unless
// the caller says so.
const defaultHistory = 100

// forEver is the caching of what never changes under its name.
const forEver = "private, max-age=31536000, immutable"

func (s *Server) versions(ctx context.Context, in *versionsInput) (*versionsOutput, error) {
	at, err := historyPlace(in.Namespace, in.Name, in.Continue)
	if err != nil {
		return nil, err
	}
	leave, err := s.visitPast(ctx)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	defer leave()
	page, err := s.ledger.Versions(ctx, in.Namespace, in.Name, at.place(), in.limit())
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	out := &api.VersionList{Versions: make([]api.VersionEntry, 0, len(page.Entries))}
	for _, e := range page.Entries {
		out.Versions = append(out.Versions, api.VersionEntry{
			Version: e.Version.Version, Digest: e.Version.Digest.String(), Time: e.Revision.Time,
			Operation: api.Operation(e.Operation), Deleted: e.Deleted, Current: e.Current,
			Origin: originOf(e), Revision: answerRevision(e.Revision),
		})
	}
	out.Continue = at.next(page.Next, len(page.Entries) > 0)
	if out.Continue == "" && len(out.Versions) == 0 && !at.Shown {
		return nil, newProblem(api.CodeNotFound, "%s never existed in namespace %s", in.Name, in.Namespace)
	}
	return &versionsOutput{Body: out}, nil
}

func originOf(e ledger.HistoryEntry) api.Origin {
	return api.Origin{Actor: e.Actor, ActorVerified: e.Verified, Reason: e.Reason}
}

// storedVersion reads the version that a parameter names.
func (s *Server) storedVersion(ctx context.Context, namespace, name, parameter, text string) (ledger.Stored, error) {
	version, err := intent.ParseVersion(text)
	if err != nil {
		return ledger.Stored{}, invalidRead(api.Fault{Parameter: parameter, Detail: err.Error()})
	}
	return s.ledger.Version(ctx, namespace, name, version)
}

func (s *Server) version(ctx context.Context, in *versionInput) (*versionOutput, error) {
	leave, err := s.visitPast(ctx)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	defer leave()
	v, err := s.storedVersion(ctx, in.Namespace, in.Name, "version", in.Version)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	digest := v.Version.Digest.String()
	status, err := in.judge(digest)
	if err != nil {
		return nil, err
	}
	return &versionOutput{Status: status, ETag: etagOf(digest), CacheControl: forEver, Body: s.answerVersion(in.Namespace, in.Name, in.Version, v)}, nil
}

func (s *Server) answerVersion(namespace, name, version string, v ledger.Stored) *api.StoredVersion {
	out := &api.StoredVersion{
		Name: name, Namespace: namespace, Version: version, Digest: v.Version.Digest.String(),
		Repository: s.layout.Resource(intent.Ref{Namespace: namespace, Name: name}),
		Deleted:    v.Deleted, Operation: api.Operation(v.Operation),
		Origin: originOf(v.HistoryEntry), Revision: answerRevision(v.Revision),
	}
	if declared, err := intent.ParseVersion(version); err == nil {
		out.UpdatedAt = declared.Time()
	}
	if v.Entry != nil {
		spec, created := answerSpec(v.Entry.Spec), v.Entry.Created.Time()
		out.Spec, out.CreatedAt = &spec, &created
	}
	return out
}
