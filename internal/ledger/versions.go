package ledger

import (
	"context"
	"slices"
	"strings"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
)

// HistoryEntry is what one commit made of a resource.
type HistoryEntry struct {
	Operation Operation
	Version   artifact.VersionRef // that it has since; the zero value when Dropped
	Deleted   bool                // it does not exist since: Version is a tombstone, or nothing
	Current   bool                // Version is what the resource is now
	Actor     string              // empty when unknown
	Verified  bool                // Actor is proven
	Reason    string
	Revision  Revision // that made it so
}

// HistoryPage is a part of a resource's history, newest first.
type HistoryPage struct {
	Entries []HistoryEntry // may be fewer than asked for, or none, although there are more
	Next    Place          // where it goes on; the zero value at the end
}

// Versions returns the history of a resource from a place on, newest first, at
// most limit entries: the commits of its namespace that changed it, deletes,
// rollbacks and the times before a delete included. A page ends early when
// enough commits were read. A name that no commit names has no entries.
// Commits that come between two pages change neither.
func (l *Ledger) Versions(ctx context.Context, namespace, name string, from Place, limit int) (HistoryPage, error) {
	ref := intent.Ref{Namespace: namespace, Name: name}
	var page HistoryPage
	next, err := l.walk(ctx, namespace, from, walkBegin, func(c Commit) bool {
		if change := changeOf(c, name); change != nil {
			page.Entries = append(page.Entries, historyEntry(ref, *change, c.Revision))
		}
		return len(page.Entries) < limit
	})
	if err != nil {
		return HistoryPage{}, err
	}
	page.Next = next
	if now, _, err := l.Get(namespace, name); err == nil {
		for i, e := range page.Entries {
			page.Entries[i].Current = e.Version.Digest == now.Digest
		}
	}
	return page, nil
}

// changeOf returns what a commit did to a resource, or nil.
func changeOf(c Commit, name string) *artifact.RecordChange {
	i, found := slices.BinarySearchFunc(c.Changes, name, func(c artifact.RecordChange, name string) int { return strings.Compare(c.Name, name) })
	if !found {
		return nil
	}
	return &c.Changes[i]
}

func historyEntry(ref intent.Ref, c artifact.RecordChange, r Revision) HistoryEntry {
	e := HistoryEntry{Operation: Operation(c.Operation), Actor: c.Actor, Verified: c.Verified, Reason: c.Reason, Revision: r}
	if c.After != nil {
		e.Version = *c.After
	}
	switch e.Operation {
	case Deleted, Dropped:
		e.Deleted = true
	case RolledBack:
		e.Deleted = isTombstone(ref, e.Version)
	}
	return e
}

// isTombstone reports whether a version is the resource's deletion: a tombstone
// is a function of name and version, so its digest tells.
func isTombstone(ref intent.Ref, v artifact.VersionRef) bool {
	version, err := intent.ParseVersion(v.Version)
	if err != nil {
		return false
	}
	a, err := artifact.Tombstone(ref, version)
	return err == nil && a.Manifest.Digest == v.Digest
}
