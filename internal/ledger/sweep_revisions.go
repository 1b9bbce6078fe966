package ledger

import (
	"context"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
)

// examineMost is how many manifests are looked at before those of them that may
// go are deleted.
const examineMost = 128

// sweepRevisions deletes the manifests of thinned revisions, those that an
// earlier collection left included.
func (r *collection) sweepRevisions(ctx context.Context, m *mark) error {
	repo := r.ns.chain.repo
	var numbers []int64
	others := []string{artifact.Latest}
	err := r.tags(ctx, repo, func(tag string) error {
		n, notRevision := artifact.ParseRevisionTag(tag)
		_, notCheckpoint := artifact.ParseCheckpointTag(tag)
		switch {
		case notRevision == nil && n > 0 && n <= m.thinned:
			numbers = append(numbers, n)
		case notRevision == nil && n > 0, notCheckpoint == nil, tag == artifact.Latest:
		case len(others) <= maxForeignTags:
			others = append(others, tag) // r0 of a take-over among them
		}
		return nil
	})
	if err != nil || len(numbers) == 0 {
		return err
	}
	slices.Sort(numbers)
	foreign, err := r.readForeign(ctx, repo, others)
	if err != nil {
		return err
	}
	if r.dryRun {
		return r.sweepNumbers(ctx, m, foreign, numbers, nil)
	}
	for ref := r.ns.state.Load().checkpoint; ref != nil && len(numbers) > 0; {
		kept, revisions, err := r.ns.chain.checkpoint(ctx, *ref)
		if err != nil {
			return err
		}
		begin, _ := slices.BinarySearch(numbers, kept.First)
		digests := make(map[int64]digest.Digest, len(revisions))
		for _, t := range revisions {
			digests[t.Record.Number] = t.Manifest.Digest
		}
		if err := r.sweepNumbers(ctx, m, foreign, numbers[begin:], digests); err != nil {
			return err
		}
		numbers, ref = numbers[:begin], kept.Previous
	}
	return nil
}

// sweepNumbers deletes revisions. digests are those that the checkpoint says
// they have, nil in a dry run.
func (r *collection) sweepNumbers(ctx context.Context, m *mark, foreign *foreignTags, numbers []int64, digests map[int64]digest.Digest) error {
	for few := range slices.Chunk(numbers, examineMost) {
		found := make([]*doomed, len(few))
		err := each(ctx, len(few), func(ctx context.Context, i int) error {
			tag := artifact.RevisionTag(few[i])
			d, manifest, ok, err := r.examine(ctx, r.ns.chain.repo, tag, foreign)
			if err != nil || !ok {
				return err
			}
			if digests != nil && digests[few[i]] != manifest.Digest {
				return fmt.Errorf("%s of %s is %s, its checkpoint says %s: %w", tag, r.ns.chain.repo, manifest.Digest, digests[few[i]], errDamaged)
			}
			d.revision = few[i]
			found[i] = &d
			return nil
		})
		if err != nil {
			return err
		}
		var list []doomed
		for _, d := range found {
			switch {
			case d == nil:
			case r.running.digests[d.digest]:
				r.note(func(c *Collection) { c.InUse++ })
			default:
				list = append(list, *d)
			}
		}
		if err := r.sweep(ctx, m, list); err != nil {
			return err
		}
	}
	return nil
}
