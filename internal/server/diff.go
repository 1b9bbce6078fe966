package server

import (
	"context"
	"errors"
	"strings"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/diff"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
)

func (s *Server) diffVersions(ctx context.Context, in *versionDiffInput) (*versionDiffOutput, error) {
	leave, err := s.visitPast(ctx)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	defer leave()
	out, err := s.versionDiff(ctx, intent.Ref{Namespace: in.Namespace, Name: in.Name}, in.From, in.To)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	return &versionDiffOutput{Body: out}, nil
}

func (s *Server) versionDiff(ctx context.Context, ref intent.Ref, from, to string) (*api.VersionDiff, error) {
	a, err := s.storedVersion(ctx, ref.Namespace, ref.Name, "from", from)
	if err != nil {
		return nil, err
	}
	var now *ledger.Entry
	out := &api.VersionDiff{Name: ref.Name, Namespace: ref.Namespace, From: sideOf(a)}
	if to == "" {
		if now, _, err = s.ledger.Get(ref.Namespace, ref.Name); err == nil {
			out.To = api.DiffSide{Version: now.Version.String(), Digest: now.Digest.String()}
		} else if e, ok := errors.AsType[*ledger.Error](err); ok && e.Code == ledger.CodeNotFound {
			out.To = api.DiffSide{Deleted: true}
		} else {
			return nil, err
		}
	} else {
		b, err := s.storedVersion(ctx, ref.Namespace, ref.Name, "to", to)
		if err != nil {
			return nil, err
		}
		now, out.To = b.Entry, sideOf(b)
	}
	out.Changes, out.Text, err = compare(ref, a.Entry, now)
	return out, err
}

func sideOf(v ledger.Stored) api.DiffSide {
	return api.DiffSide{Version: v.Version.Version, Digest: v.Version.Digest.String(), Deleted: v.Entry == nil}
}

// compare is how a resource differs. Entries may be nil.
func compare(ref intent.Ref, from, to *ledger.Entry) ([]api.FieldChange, string, error) {
	side := func(e *ledger.Entry) diff.Side {
		if e == nil {
			return diff.Side{}
		}
		return diff.Side{Version: e.Version.String(), Spec: &e.Spec}
	}
	changes, text, err := diff.Specs(ref, side(from), side(to))
	fields := make([]api.FieldChange, 0, len(changes))
	for _, c := range changes {
		fields = append(fields, api.FieldChange{Path: c.Path, From: c.From, To: c.To})
	}
	return fields, text, err
}

func (s *Server) diffRevisions(ctx context.Context, in *namespaceDiffInput) (*namespaceDiffOutput, error) {
	leave, err := s.visitPast(ctx)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	defer leave()
	from, err := s.snapshotAt(ctx, in.Namespace, "from", in.From)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	var to ledger.Snapshot
	if in.To == "" {
		to, err = s.ledger.List(in.Namespace)
	} else {
		to, err = s.snapshotAt(ctx, in.Namespace, "to", in.To)
	}
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	out, err := namespaceDiff(in.Namespace, from, to)
	if err != nil {
		return nil, s.problemOf(ctx, err, translation{})
	}
	return &namespaceDiffOutput{Body: out}, nil
}

func namespaceDiff(namespace string, from, to ledger.Snapshot) (*api.NamespaceDiff, error) {
	out := &api.NamespaceDiff{
		Namespace: namespace, From: answerDated(from.Revision), To: answerDated(to.Revision), Resources: []api.ResourceDiff{},
	}
	var text strings.Builder
	for a, b := from.Entries, to.Entries; len(a)+len(b) > 0; {
		var old, now *ledger.Entry
		if len(b) == 0 || len(a) > 0 && a[0].Name <= b[0].Name {
			old = a[0]
		}
		if len(a) == 0 || len(b) > 0 && b[0].Name <= a[0].Name {
			now = b[0]
		}
		if old != nil {
			a = a[1:]
		}
		if now != nil {
			b = b[1:]
		}
		if err := addDiff(out, &text, old, now); err != nil {
			return nil, err
		}
	}
	out.Text = text.String()
	return out, nil
}

// addDiff adds how one resource differs, if it does.
func addDiff(out *api.NamespaceDiff, text *strings.Builder, from, to *ledger.Entry) error {
	if from != nil && to != nil && from.Spec == to.Spec {
		return nil
	}
	d := api.ResourceDiff{Operation: api.Updated}
	var ref intent.Ref
	if to != nil {
		ref, d.To = to.Ref, &api.VersionRef{Version: to.Version.String(), Digest: to.Digest.String()}
	} else {
		d.Operation = api.Deleted
		out.Deleted++
	}
	if from != nil {
		ref, d.From = from.Ref, &api.VersionRef{Version: from.Version.String(), Digest: from.Digest.String()}
	} else {
		d.Operation = api.Created
		out.Created++
	}
	if d.Operation == api.Updated {
		out.Updated++
	}
	fields, unified, err := compare(ref, from, to)
	if err != nil {
		return err
	}
	d.Name, d.Changes = ref.Name, fields
	text.WriteString(unified)
	out.Resources = append(out.Resources, d)
	return nil
}
