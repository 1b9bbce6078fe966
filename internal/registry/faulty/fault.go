package faulty

import (
	"time"

	"github.com/opencontainers/go-digest"
)

// Kind is the kind of a request.
type Kind string

// The requests that the methods of registry.Registry are made of. Put of an
// artifact is one PutBlob a blob, in order, then one PutManifest; Tag is one
// request a tag; everything else is one request. A method that is made of
// many requests performs them one after the other and stops at the first that
// fails.
const (
	PutBlob     Kind = "put-blob"
	PutManifest Kind = "put-manifest"
	Commit      Kind = "commit"
	PutTag      Kind = "put-tag"
	Get         Kind = "get"
	GetManifest Kind = "get-manifest"
	GetBlob     Kind = "get-blob"
	Resolve     Kind = "resolve"
	Tags        Kind = "tags"
	Referrers   Kind = "referrers"
	Delete      Kind = "delete"
)

// Op is one request.
type Op struct {
	N          int // 1 for the first request of this Store, then counting up
	Kind       Kind
	Repository string
	Reference  string        // the tag or digest asked for or written; of Tags, the last tag
	Digest     digest.Digest // of PutBlob, PutManifest, Commit, PutTag and Delete: what is written or removed
}

// Fault is what goes wrong with a request; nil means nothing does. It is one
// of the constants of type Failure, Delay or StoredLate.
type Fault interface{ fault() }

// Failure is a fault without parameters.
type Failure int

// The failures. Of a write, all but StoredButError store nothing.
const (
	Refused        Failure = iota + 1 // registry.ErrRefused
	Unreachable                       // registry.ErrUnreachable
	NotStored                         // registry.ErrUnavailable
	StoredButError                    // a write takes effect, then registry.ErrUnavailable
	Timeout                           // blocks until the context or the time-out ends, then registry.ErrUnavailable with the context's error
	NotFound                          // reads and Delete: the answer of an empty repository
	Stale                             // reads: tags name what they named before they last changed
	Corrupt                           // reads: wrong bytes arrive, registry.ErrCorrupt
)

// Delay performs the request after a time, unless its context ends before
// (then it is as Timeout).
type Delay struct{ For time.Duration }

// StoredLate is as Timeout, but a write takes effect After its time-out,
// whatever happened in between: an old tag can replace a newer one.
type StoredLate struct{ After time.Duration }

func (Failure) fault()    {}
func (Delay) fault()      {}
func (StoredLate) fault() {}
