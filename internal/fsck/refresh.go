package fsck

import (
	"context"
	"slices"

	"gitops-squared.io/gsq/internal/artifact"
)

// refreshes is how often refresh begins again because what it was reading was
// thinned meanwhile.
const refreshes = 5

// refresh reads what was committed since the walk began.
func (c *chain) refresh(ctx context.Context) error {
	for range refreshes {
		if done, err := c.refreshOnce(ctx); err != nil || done {
			return err
		}
	}
	return nil
}

// refreshOnce returns false if a revision is gone that no checkpoint was known
// to keep.
func (c *chain) refreshOnce(ctx context.Context) (bool, error) {
	var newer []artifact.Record
	top := c.fresh
	for reference := artifact.Latest; ; {
		l, err := c.light(ctx, reference)
		if err != nil {
			return false, err
		}
		if l.digest == "" && len(newer) > 0 {
			kept, err := c.keptAbove(ctx, newer[0].Checkpoint, newer[len(newer)-1])
			if err != nil || kept == nil {
				return false, err
			}
			newer = append(newer, kept...)
			break
		}
		if l.rev == nil || l.rev.number <= c.fresh.number {
			if l.digest != c.fresh.digest {
				return true, nil // it does not lead to what was checked
			}
			break
		}
		if len(newer) == 0 {
			top = placeOf(l.rev.Thinned)
		}
		newer = append(newer, l.rev.Record)
		if l.rev.Record.Parent == c.fresh.digest {
			break
		}
		reference = l.rev.Record.Parent.String()
	}
	c.fresh = top
	for _, record := range slices.Backward(newer) {
		c.replay.newer(record)
	}
	return true, nil
}

// keptAbove returns the records between child and what was known last, newest
// first, from a checkpoint and those before it; nil if they are not there.
func (c *chain) keptAbove(ctx context.Context, ref *artifact.CheckpointRef, child artifact.Record) ([]artifact.Record, error) {
	if err := c.memory.Acquire(ctx, checkpointMemory); err != nil {
		return nil, err
	}
	defer c.memory.Release(checkpointMemory)
	var records []artifact.Record
	for ref != nil {
		a, err := c.reader.artifact(ctx, c.repo, ref.Digest.String())
		if err != nil {
			if isContent(err) {
				return nil, nil
			}
			return nil, err
		}
		kept, revisions, err := artifact.UnpackCheckpoint(a)
		if err != nil {
			return nil, nil
		}
		for _, t := range slices.Backward(revisions) {
			if t.Record.Number >= child.Number {
				continue
			}
			if t.Manifest.Digest != child.Parent {
				return nil, nil
			}
			records, child = append(records, t.Record), t.Record
			if child.Parent == c.fresh.digest {
				return records, nil
			}
		}
		ref = kept.Previous
	}
	return nil, nil
}
