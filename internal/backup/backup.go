// Package backup copies a whole registry of the product (every namespace's
// history, the resources' versions, the deployment records, and what refers to
// them) to a folder, a tar or another registry, and restores it from there.
//
// What is copied is derived from the commit records, never from a listing of
// repositories: the chains of system and of the namespaces are each cut at one
// revision, and everything follows from there. So a copy is consistent however
// much is written meanwhile, and one that was tampered with does not verify.
// docs/backup.md describes it for operators.
package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// Source is what can be copied: a registry, or a backup. Its methods are those
// of registry.Registry.
type Source interface {
	Manifest(ctx context.Context, repo, reference string) (registry.Manifest, error)
	Blob(ctx context.Context, repo string, d ocispec.Descriptor) (registry.Blob, error)
	Tags(ctx context.Context, repo, last string, n int) ([]string, error)
	Referrers(ctx context.Context, repo string, subject digest.Digest, artifactType string) ([]ocispec.Descriptor, error)
}

// Errors of Run and Restore.
var (
	// ErrDamaged: the source lacks something that its records name, or holds
	// something else. What is wrong was named.
	ErrDamaged = errors.New("the source is damaged")

	// ErrThinned: the state of a moment was asked for whose revisions retention
	// has removed.
	ErrThinned = errors.New("the revisions of that time were thinned")

	// ErrNothing: there was no system catalog.
	ErrNothing = errors.New("there is nothing to copy")

	// ErrOther: the place of the copy holds something else.
	ErrOther = errors.New("the target holds something else")
)

// Options of Run. Source, Prefix and Target are required.
type Options struct {
	Source Source
	Prefix string    // of the source's repositories
	At     time.Time // copy the state of this moment; zero means the present one
	Target Target

	// KeepGoing copies what can be copied of a damaged source. What cannot is
	// in the report and in the backup's description, and Run returns ErrDamaged
	// nevertheless.
	KeepGoing bool

	Progress *Progress    // may be nil
	Log      *slog.Logger // default slog.Default(): repeated requests
	Now      func() time.Time
}

// attempts bounds how often what was planned may vanish from a live source.
const attempts = 3

// Run copies the source to the target. Interrupted or failed, it can be run
// again: what is there already is not copied twice. It returns what it did,
// also with an error.
func Run(ctx context.Context, o Options) (Report, error) {
	if o.Source == nil || o.Prefix == "" || o.Target == nil {
		return Report{}, errors.New("backup: source, prefix and target are required")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	began := o.Now()
	if err := o.Target.begin(ctx); err != nil {
		return Report{}, err
	}
	if err := checkHistory(ctx, newReader(o.Source, o.Prefix, nil, o.Log), o.Target.kept(), o.Target.heads()); err != nil {
		return Report{}, err
	}
	c := newCopier(newReader(o.Source, o.Prefix, o.Target.kept(), o.Log), o.Target, o.KeepGoing, o.Progress)
	p, err := c.copyAll(ctx, o.At, nil)
	if err != nil {
		return c.report(p, began, o.Now()), err
	}
	report := c.report(p, began, o.Now())
	d := describe(o, p, c, report)
	if err := o.Target.finish(ctx, p, c.names(p), d); err != nil {
		return report, err
	}
	report.Finished = true
	if len(report.Faults) > 0 {
		return report, fmt.Errorf("%w: %d things are not in the copy", ErrDamaged, len(report.Faults))
	}
	return report, nil
}

// Report says what was done.
type Report struct {
	Cuts      []Cut // system first, then the namespaces by name
	Artifacts int64 // in the copy
	Copied    int64 // of them, those that were not there before
	Bytes     int64 // that were written
	Removed   int64 // versions that the records name and retention has removed
	Took      time.Duration
	Faults    []Fault
	Finished  bool // the copy can be restored, but for what Faults names
}

// Cut is where a chain was cut.
type Cut struct {
	Namespace string // empty for system
	Number    int64
	Digest    digest.Digest
	Time      time.Time
}

// Fault is something that the source should have and has not.
type Fault struct {
	Repository string `json:"repository"`
	Reference  string `json:"reference"` // a tag or a digest
	Problem    string `json:"problem"`
}

func (f Fault) String() string { return f.Repository + ":" + f.Reference + ": " + f.Problem }
