package ledger

import (
	"slices"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/intent"
)

// Change is what one caller wants done to one resource.
type Change struct {
	Name   string
	Delete bool        // delete it; else declare Spec
	Spec   intent.Spec // ignored when Delete is set

	// IfMatch, unless empty, is the digest that the resource must have now
	// (or "*": it must exist). IfNoneMatch: it must not exist.
	IfMatch     string
	IfNoneMatch bool

	// Version, unless 0, is the one of the resource that is to be its present
	// one again; Delete and Spec are ignored then.
	Version intent.Version

	earlier *Entry // Version, once it was read
}

// Request is one caller's changes of one namespace: all of them happen in one
// revision, or none.
type Request struct {
	Namespace string
	Changes   []Change // at most one a name

	// Prune also deletes every resource that Changes does not name. It is
	// judged by the deletion guard: an empty result, or more than half of the
	// resources deleted, needs Confirm.
	Prune   bool
	Confirm bool

	// Rollback, unless nil, makes the namespace what it was at that moment; there
	// must be no Changes then. It is judged by the deletion guard, too.
	Rollback *Target

	// DryRun answers what would happen and writes nothing.
	DryRun bool

	Actor    string // who asks; empty means unknown
	Verified bool   // Actor is proven, not only the caller's word; needs an Actor
	Reason   string // why; may be empty

	schema *intent.Schema // what is rolled back has to fit it; set by prepare
	past   *past          // Rollback, once it was read
}

// goesBack reports whether the request is about what was there before.
func (r Request) goesBack() bool {
	return r.Rollback != nil || slices.ContainsFunc(r.Changes, func(c Change) bool { return c.Version != 0 })
}

// everything reports whether the request may change every resource.
func (r Request) everything() bool { return r.Prune || r.Rollback != nil }

// Operation says what a write did to a resource. The strings are written into
// commit records.
type Operation string

// The operations. Unchanged never appears in a commit record.
const (
	Created Operation = "create"
	Updated Operation = "update"
	Deleted Operation = "delete"

	// RolledBack made a resource what it was before: its After is the entry
	// that it had then, or nil if it did not exist.
	RolledBack Operation = "rollback"

	Unchanged Operation = "unchanged"
)

// Revision names one commit of a namespace's catalog. The zero value means
// that there is none.
type Revision struct {
	Number int64
	Digest digest.Digest // of the catalog's manifest
	Time   time.Time
}

// Entry is a live resource as the catalog holds it. It is immutable.
type Entry struct {
	intent.Resource
	YAML       []byte        // the canonical manifest; callers must not change it
	Digest     digest.Digest // of the resource artifact's manifest: the ETag
	Repository string        // of the resource artifact
}

// Outcome is what happened to one resource.
type Outcome struct {
	Name      string
	Operation Operation
	Before    *Entry // nil when it did not exist
	After     *Entry // nil when it is deleted

	// Version and Digest are those of the version that the write made (of the
	// tombstone, when After is nil), of the one that came back when it was rolled
	// back to it, or of the one that stays when Unchanged.
	// In a dry run, Version is zero and Digest empty where one would be made.
	Version intent.Version
	Digest  digest.Digest
}

// Result is the answer to a Request.
type Result struct {
	Revision Revision  // the revision that holds the result; unchanged requests get the present one
	Outcomes []Outcome // sorted by name
}

// Snapshot is a namespace's content at one revision. It is immutable.
type Snapshot struct {
	Revision Revision
	Entries  []*Entry // sorted by name
}

// Namespace is what the system catalog says of one namespace.
type Namespace struct {
	Name      string
	State     State
	Created   time.Time
	Revision  Revision // the head; zero unless active
	Resources int
	// Problem says why the namespace refuses writes; empty when it does not.
	Problem string

	// Waiting is how many requests are not answered yet, those of the commit
	// under way included; the oldest came at WaitingSince (zero if there is none).
	Waiting      int
	WaitingSince time.Time
}

// State of a namespace.
type State string

// The states.
const (
	Creating State = "creating"
	Active   State = "active"
	Gone     State = "deleted"
)
