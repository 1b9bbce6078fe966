package fsck

import (
	"context"
	"errors"
	"fmt"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// claim is the writer claim as it was read first; ok if it could be.
type claim struct {
	ok   bool
	time intent.Version
}

// readClaim reads the writer claim. Whoever starts a ledger replaces it.
func (r *run) readClaim(ctx context.Context) error {
	c, finding, err := r.claimNow(ctx)
	r.claim = c
	if err != nil || finding == nil {
		return err
	}
	return r.suspect(suspect{finding: *finding, still: func(ctx context.Context) (bool, error) {
		_, again, err := r.claimNow(ctx)
		return again != nil, err
	}})
}

func (r *run) claimNow(ctx context.Context) (claim, *Finding, error) {
	repo := r.layout.Writer()
	a, err := r.reader.artifact(ctx, repo, artifact.Latest)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return claim{}, &Finding{Code: WriterMissing, Repository: repo, Tag: artifact.Latest, Detail: "There is no writer claim, although there is a history."}, nil
	case err != nil && !isContent(err):
		return claim{}, nil, err
	}
	if err == nil {
		var c artifact.Claim
		if c, err = artifact.UnpackClaim(a); err == nil {
			t, _ := artifact.ClaimTime(c.ID)
			return claim{true, t}, nil, nil
		}
	}
	return claim{}, &Finding{Code: WriterDamaged, Repository: repo, Tag: artifact.Latest, Digest: a.Manifest.Digest, Detail: fmt.Sprintf("The writer claim cannot be read: %v.", err)}, nil
}

// implausible says why a record cannot have been written under its claim, or
// nothing. after is the claim of the revision after it; empty for the head.
func implausible(record artifact.Record, after string) string {
	t, ok := artifact.ClaimTime(record.Writer)
	if !ok {
		return fmt.Sprintf("its writer %q is not the id of a claim", record.Writer)
	}
	if stamp, err := record.Stamp(); err == nil && t >= stamp {
		return fmt.Sprintf("its writer's claim %s was made after it", record.Writer)
	}
	if later, ok := artifact.ClaimTime(after); ok && (later < t || later == t && after != record.Writer) {
		return fmt.Sprintf("its writer's claim %s is younger than that of the revision after it, %s; a ledger that was replaced writes nothing more", record.Writer, after)
	}
	return ""
}

// younger reports whether a record's writer has a claim that is younger than
// the one at the writer repository.
func (r *run) younger(record artifact.Record) bool {
	t, ok := artifact.ClaimTime(record.Writer)
	return ok && r.claim.ok && t > r.claim.time
}
