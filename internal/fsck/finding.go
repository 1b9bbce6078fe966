package fsck

import (
	"cmp"

	"github.com/opencontainers/go-digest"
)

// Severity says how bad a finding is.
type Severity string

// The severities. Error: what was committed is not, or not provably, what is
// there. Warning: it is, but something beside it is not as it should be. Info:
// nothing has to be done.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Info    Severity = "info"
)

// Finding is one thing that is not as the ledger left it.
type Finding struct {
	Severity   Severity      `json:"severity"`
	Code       Code          `json:"code"`
	Namespace  string        `json:"namespace,omitempty"` // empty: of the system catalog, a cluster or the writer claim
	Repository string        `json:"repository"`
	Tag        string        `json:"tag,omitempty"`
	Digest     digest.Digest `json:"digest,omitempty"`   // of the manifest, or of the blob, that is meant
	Revision   int64         `json:"revision,omitempty"` // of the catalog
	Resource   string        `json:"resource,omitempty"` // in the system catalog: the namespace
	Detail     string        `json:"detail"`             // what exactly is wrong
	Advice     string        `json:"advice"`             // what to do

	// Repair says what puts it right, if that can be derived; else nil.
	Repair *Repair `json:"repair,omitempty"`
}

// Repair is a tag to be put where it belongs.
type Repair struct {
	Resource string        `json:"resource,omitempty"` // whose tag it is; empty: the catalog's
	Tag      string        `json:"tag"`
	Digest   digest.Digest `json:"digest"` // what the history says that it names
}

// Compare orders findings by their places.
func (f Finding) Compare(other Finding) int {
	return cmp.Or(
		cmp.Compare(f.Namespace, other.Namespace), cmp.Compare(f.Repository, other.Repository),
		cmp.Compare(f.Revision, other.Revision), cmp.Compare(f.Resource, other.Resource),
		cmp.Compare(f.Tag, other.Tag), cmp.Compare(f.Code, other.Code), cmp.Compare(f.Digest, other.Digest),
		cmp.Compare(f.Detail, other.Detail),
	)
}
