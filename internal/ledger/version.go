package ledger

import (
	"context"
	"errors"
	"fmt"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// Stored is one version of a resource, with the commit that made it.
type Stored struct {
	HistoryEntry
	Entry *Entry // the resource as it was; nil for a tombstone
}

// Version returns one version of a resource. The commit that made it is found
// by bisection, and its content must have the digest that the commit names.
// CodeNotFound if no commit made it, CodeRevisionExpired if it was thinned.
func (l *Ledger) Version(ctx context.Context, namespace, name string, version intent.Version) (Stored, error) {
	ref := intent.Ref{Namespace: namespace, Name: name}
	made, err := l.madeBy(ctx, ref, version)
	if err != nil {
		return Stored{}, err
	}
	s := Stored{HistoryEntry: made}
	now, _, err := l.Get(namespace, name)
	if s.Current = err == nil && now.Digest == made.Version.Digest; s.Current {
		s.Entry = now
		return s, nil
	}
	if made.Deleted {
		return s, nil // the commit says all that a tombstone says
	}
	s.Entry, err = l.storedEntry(ctx, ref, version, made)
	return s, err
}

// madeBy returns the commit that made a version: the first one after the
// version's own time, because a commit's time follows those of its versions.
func (l *Ledger) madeBy(ctx context.Context, ref intent.Ref, version intent.Version) (HistoryEntry, error) {
	number := int64(1)
	before, err := l.CommitAt(ctx, ref.Namespace, version.Time())
	var e *Error
	if errors.As(err, &e) && e.Code == CodeNotFound {
		err = nil // it is of the first commit, if of any
	} else {
		number = before.Revision.Number + 1
	}
	if err != nil {
		return HistoryEntry{}, err
	}
	unknown := fail(CodeNotFound, nil, "%s has no version %s in namespace %s", ref.Name, version, ref.Namespace)
	c, err := l.Commit(ctx, ref.Namespace, number)
	if errors.As(err, &e) && e.Code == CodeNotFound {
		return HistoryEntry{}, unknown
	}
	if err != nil {
		return HistoryEntry{}, err
	}
	change := changeOf(c, ref.Name)
	switch {
	case change != nil && change.After != nil && change.After.Version == version.String():
		return historyEntry(ref, *change, c.Revision), nil
	case number == 1 && change != nil && Operation(change.Operation) == TakenOver:
		return HistoryEntry{}, fail(CodeNotFound, nil, "%s has no version %s in namespace %s since the registry was taken over; older ones can be read with any OCI client from %s", ref.Name, version, ref.Namespace, l.layout.Resource(ref))
	}
	return HistoryEntry{}, unknown
}

// storedEntry reads a version's artifact, or where that is gone, a catalog that
// still holds the version.
func (l *Ledger) storedEntry(ctx context.Context, ref intent.Ref, version intent.Version, made HistoryEntry) (*Entry, error) {
	repo := l.layout.Resource(ref)
	a, err := get(ctx, l.o.Registry, repo, made.Version.Digest.String())
	if errors.Is(err, registry.ErrNotFound) {
		return l.catalogEntry(ctx, ref, made)
	}
	var resource *intent.Resource
	if err == nil {
		if resource, err = artifact.UnpackResource(ref, version, a); err != nil {
			err = fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	if err != nil {
		return nil, readFailed(err, "version %s of %s", version, ref)
	}
	return &Entry{Resource: *resource, YAML: a.Blobs[1].Data, Digest: a.Manifest.Digest, Repository: repo}, nil
}

// catalogEntry looks for a version in the catalog of the revision that made it,
// and in the oldest one that is kept.
func (l *Ledger) catalogEntry(ctx context.Context, ref intent.Ref, made HistoryEntry) (*Entry, error) {
	ns, err := l.namespace(ref.Namespace)
	if err != nil {
		return nil, err
	}
	numbers, oldest := []int64{made.Revision.Number}, int64(1)
	if c := ns.state.Load().checkpoint; c != nil {
		oldest = c.Number + 1
	}
	if oldest > made.Revision.Number {
		numbers = append(numbers, oldest)
	}
	for _, n := range numbers {
		s, err := l.ListAt(ctx, ref.Namespace, n)
		var e *Error
		if errors.As(err, &e) && e.Code == CodeRevisionExpired {
			continue
		}
		if err != nil {
			return nil, err
		}
		if found := s.Find(ref.Name); found != nil && found.Digest == made.Version.Digest {
			return found, nil
		}
	}
	return nil, fail(CodeRevisionExpired, nil, "version %s of %s is not kept any more; the oldest revision of its namespace that is kept is %d", made.Version.Version, ref, oldest)
}
