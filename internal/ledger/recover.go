package ledger

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// recover reads the chain's head from the registry, puts latest there and
// completes the head's tags. It returns false if there is no revision at all.
// Nothing is guessed: what contradicts itself is errDamaged or errForeign.
func (c *chain) recover(ctx context.Context) (bool, error) {
	a, err := c.get(ctx, artifact.Latest)
	if errors.Is(err, registry.ErrNotFound) {
		switch d, err := resolve(ctx, c.reg, c.repo, artifact.RevisionTag(1)); {
		case errors.Is(err, registry.ErrNotFound):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("reading r1 of %s: %w", c.repo, err)
		default:
			return false, fmt.Errorf("%s has no latest, although its r1 is %s: %w", c.repo, d, errDamaged)
		}
	}
	if err != nil {
		return false, err
	}
	found := a.Manifest.Digest
	rev, err := c.unpack(a)
	if err != nil {
		return false, fmt.Errorf("latest of %s is not a revision (%w): %w", c.repo, err, errForeign)
	}
	rev, parent, err := c.settleLatest(ctx, rev)
	if err != nil {
		return false, err
	}
	settled := rev
	if rev, err = c.follow(ctx, settled); err != nil {
		return false, err
	}
	if rev.Record.Number > settled.Record.Number {
		parent = nil // the tags say it
	}
	acc, err := c.verify(rev, parent)
	if err != nil {
		return false, fmt.Errorf("revision %d of %s does not verify (%w): %w", rev.Record.Number, c.repo, err, errDamaged)
	}
	if rev.Record.Number > settled.Record.Number {
		// Its tag may be the one that is missing.
		acc.tags = append(acc.tags, c.revisionTag(settled.Record.Number, settled.Manifest))
	}
	if err := c.claim.check(ctx); err != nil {
		return false, err
	}
	if err := c.take(rev, acc); err != nil {
		return false, err
	}
	if found != rev.Manifest.Digest {
		if err := c.putForward(ctx); err != nil {
			return false, err
		}
	}
	if err := c.complete(ctx, acc.pushes); err != nil {
		return false, fmt.Errorf("completing revision %d of %s: %w", rev.Record.Number, c.repo, err)
	}
	acc.publish()
	return true, nil
}

// complete puts those tags of a head that was read, and the artifacts, unless
// all tags are there. Mostly they are, and to read costs a registry a fraction of
// what it costs to write.
func (c *chain) complete(ctx context.Context, pushes []registry.Push) error {
	there := make([]bool, len(c.tags))
	group, failed := errgroup.WithContext(ctx)
	group.SetLimit(loadParallel)
	for i, t := range c.tags {
		group.Go(func() error {
			d, err := resolve(failed, c.reg, t.Repository, t.Name)
			if errors.Is(err, registry.ErrNotFound) {
				return nil
			}
			there[i] = d == t.Manifest.Digest
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	var missing []registry.Tag
	for i, t := range c.tags {
		if !there[i] {
			missing = append(missing, t)
		}
	}
	if c.tags = missing; len(missing) == 0 {
		return nil
	}
	if err := c.claim.check(ctx); err != nil {
		return err
	}
	if err := c.push(ctx, pushes, func() {}); err != nil {
		return err
	}
	return c.completeTags(ctx)
}

// settleLatest decides whether the revision found at latest was committed. If
// its revision tag names another one, it is an abandoned sibling and the tag
// wins; without a tag it counts only as the child of the revision before it,
// which is returned too (the first revision has none).
func (c *chain) settleLatest(ctx context.Context, rev artifact.Revision) (artifact.Revision, *artifact.Revision, error) {
	r := rev.Record
	tag := artifact.RevisionTag(r.Number)
	named, err := resolve(ctx, c.reg, c.repo, tag)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		known, err := c.parentKnown(ctx, r)
		if err != nil {
			return rev, nil, fmt.Errorf("reading the parent of revision %d of %s: %w", r.Number, c.repo, err)
		}
		if !known {
			return rev, nil, fmt.Errorf("latest of %s is revision %d, whose parent %s the chain does not have: %w", c.repo, r.Number, r.Parent, errForeign)
		}
		if r.Number == 1 {
			return rev, nil, nil
		}
		parent, err := c.revision(ctx, r.Number-1)
		return rev, &parent, err
	case err != nil:
		return rev, nil, fmt.Errorf("reading %s of %s: %w", tag, c.repo, err)
	case named == rev.Manifest.Digest:
		return rev, nil, nil
	}
	rev, err = c.revision(ctx, r.Number)
	return rev, nil, err
}

// follow goes from rev over the revision tags to the last one.
func (c *chain) follow(ctx context.Context, rev artifact.Revision) (artifact.Revision, error) {
	for {
		next, err := c.revision(ctx, rev.Record.Number+1)
		if errors.Is(err, registry.ErrNotFound) {
			return rev, nil
		}
		if err != nil {
			return rev, err
		}
		if next.Record.Parent != rev.Manifest.Digest {
			return rev, fmt.Errorf("revision %d of %s is not the child of revision %d: %w", next.Record.Number, c.repo, rev.Record.Number, errDamaged)
		}
		rev = next
	}
}

// get reads what a tag names. Bytes that are not what their digest promises are
// also errDamaged: another chain may be whole.
func (c *chain) get(ctx context.Context, tag string) (registry.Artifact, error) {
	a, err := get(ctx, c.reg, c.repo, tag)
	if errors.Is(err, registry.ErrCorrupt) {
		err = fmt.Errorf("%w: %w", errDamaged, err)
	}
	if err != nil {
		err = fmt.Errorf("reading %s of %s: %w", tag, c.repo, err)
	}
	return a, err
}

// revision reads revision n by its tag. registry.ErrNotFound if there is no
// such tag, errDamaged if it names something else.
func (c *chain) revision(ctx context.Context, n int64) (artifact.Revision, error) {
	a, err := c.get(ctx, artifact.RevisionTag(n))
	if err != nil {
		return artifact.Revision{}, err
	}
	rev, err := c.unpack(a)
	if err != nil {
		return artifact.Revision{}, fmt.Errorf("r%d of %s (%w): %w", n, c.repo, err, errDamaged)
	}
	if rev.Record.Number != n {
		return artifact.Revision{}, fmt.Errorf("r%d of %s holds revision %d: %w", n, c.repo, rev.Record.Number, errDamaged)
	}
	return rev, nil
}
