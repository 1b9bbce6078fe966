package fsck

import (
	"context"
	"fmt"
	"slices"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
)

// checkpointOf checks the checkpoint that a revision names against that of the
// one after it: a checkpoint is named first by a revision without changes, and
// from then on by all until the next.
func (c *chain) checkpointOf(rev *revision) []Finding {
	ref := rev.Record.Checkpoint
	if ref != nil && !slices.Contains(c.observed, *ref) {
		c.observed = append(c.observed, *ref)
		if c.checkpoint == nil || ref.Number > c.checkpoint.Number {
			c.checkpoint, c.head.checkpoint = ref, ref.Number
		}
	}
	if c.child == nil || same(c.child.Record.Checkpoint, ref) {
		return nil
	}
	first, now := c.child, c.child.Record.Checkpoint
	wrong := func(format string, args ...any) []Finding {
		return []Finding{c.finding(CheckpointMismatch, first.number, first.Manifest.Digest, format, args...)}
	}
	switch {
	case now == nil || ref != nil && ref.Number >= now.Number:
		return wrong("Revision %d names %s, after revision %d named %s: checkpoints only go forward.", first.number, describe(now), rev.number, describe(ref))
	case len(first.Record.Changes) > 0 || first.content.Digest != rev.content.Digest:
		return wrong("Revision %d is the first to name %s, but it also changes the catalog.", first.number, describe(now))
	}
	return nil
}

func same(a, b *artifact.CheckpointRef) bool {
	return a == b || a != nil && b != nil && *a == *b
}

func describe(ref *artifact.CheckpointRef) string {
	if ref == nil {
		return "no checkpoint"
	}
	return fmt.Sprintf("checkpoint %d (%s)", ref.Number, ref.Digest)
}

// checkpointMemory is what a checkpoint takes while it is read.
const checkpointMemory = artifact.MaxCheckpointBytes + artifact.MaxRecordBytes

// walkCheckpoints goes on with the revisions that checkpoints keep.
func (c *chain) walkCheckpoints(ctx context.Context) error {
	visited := map[int64]bool{}
	ref := c.checkpoint
	for ref != nil {
		if err := c.memory.Acquire(ctx, checkpointMemory); err != nil {
			return err
		}
		previous, ok, err := c.walkCheckpoint(ctx, *ref)
		c.memory.Release(checkpointMemory)
		if err != nil {
			return err
		}
		visited[ref.Number] = true
		c.observed = slices.DeleteFunc(c.observed, func(o artifact.CheckpointRef) bool { return o == *ref })
		if !ok {
			c.lose()
			c.observed = nil // those before it are not known
			break
		}
		ref = previous
	}
	for _, o := range c.observed {
		f := c.finding(CheckpointMismatch, o.Number, o.Digest, "Records name %s, which does not belong to the chain of checkpoints.", describe(&o))
		if err := c.report(f); err != nil {
			return err
		}
	}
	for _, n := range c.tags.checkpoints {
		if visited[n] || ref != nil && n < ref.Number {
			continue
		}
		tag := artifact.CheckpointTag(n)
		f := Finding{Code: CheckpointUnnamed, Namespace: c.namespace, Repository: c.repo, Tag: tag, Detail: fmt.Sprintf("There is a checkpoint %s that no revision names.", tag)}
		err := c.doubt(f, func(ctx context.Context) (bool, error) { return n > c.fresh.checkpoint || n < c.head.checkpoint, nil })
		if err != nil {
			return err
		}
	}
	return nil
}

// walkCheckpoint checks one checkpoint and what it keeps. ok is false if what
// comes before it cannot be told.
func (c *chain) walkCheckpoint(ctx context.Context, ref artifact.CheckpointRef) (previous *artifact.CheckpointRef, ok bool, err error) {
	tag := artifact.CheckpointTag(ref.Number)
	named, err := c.named(ctx, c.repo, tag)
	if err != nil {
		return nil, false, err
	}
	a, err := c.reader.artifact(ctx, c.repo, ref.Digest.String())
	if err != nil {
		if !isContent(err) {
			return nil, false, err
		}
		f := c.finding(CheckpointDamaged, ref.Number, ref.Digest, "The checkpoint of the revisions up to %d cannot be read: %v.", ref.Number, err)
		f.Tag = tag
		return nil, false, c.suspect(suspect{finding: f, still: func(ctx context.Context) (bool, error) {
			_, err := c.reader.artifact(ctx, c.repo, ref.Digest.String())
			if err != nil && !isContent(err) {
				return false, err
			}
			return err != nil, nil
		}})
	}
	if named != ref.Digest {
		f := Finding{Namespace: c.namespace, Repository: c.repo, Tag: tag, Revision: ref.Number, Digest: ref.Digest}
		if err := c.doubtCheckpointTag(f, named, ref); err != nil {
			return nil, false, err
		}
	}
	kept, revisions, err := artifact.UnpackCheckpoint(a)
	if err != nil {
		return nil, false, c.report(c.finding(CheckpointDamaged, ref.Number, ref.Digest, "The checkpoint of the revisions up to %d is not one: %v.", ref.Number, err))
	}
	switch {
	case kept.Last != ref.Number || kept.Scope != c.scope:
		return nil, false, c.report(c.finding(CheckpointMismatch, ref.Number, ref.Digest, "The checkpoint of the revisions up to %d of %s is that of %d of %s.", ref.Number, c.scope, kept.Last, kept.Scope))
	case c.expected != "" && kept.Head != c.expected:
		return nil, false, c.report(c.finding(CheckpointMismatch, ref.Number, ref.Digest, "The checkpoint keeps %s as revision %d, but revision %d names %s as its parent.", kept.Head, ref.Number, ref.Number+1, c.expected))
	}
	for _, t := range slices.Backward(revisions) {
		content, err := t.Manifest.Content()
		if err != nil {
			return nil, false, err // it was read before
		}
		rev := &revision{Thinned: t, number: t.Record.Number, thinned: true, content: content.Blobs[1]}
		if c.tags.has(rev.number) { // not deleted yet, or in use
			if err := c.checkThinnedTag(ctx, rev); err != nil {
				return nil, false, err
			}
		}
		if err := c.follow(ctx, rev); err != nil {
			return nil, false, err
		}
	}
	return kept.Previous, true, nil
}

// doubtCheckpointTag is doubtTag for a tag that is never thinned.
func (c *chain) doubtCheckpointTag(f Finding, found digest.Digest, ref artifact.CheckpointRef) error {
	f.Code, f.Detail = CheckpointTagMoved, fmt.Sprintf("The tag %s names %s; the history names %s.", f.Tag, found, ref.Digest)
	if found == "" {
		f.Code, f.Detail = CheckpointTagMissing, fmt.Sprintf("The tag %s is not there; it should name %s, which the history names.", f.Tag, ref.Digest)
	}
	return c.suspect(suspect{finding: f, still: func(ctx context.Context) (bool, error) {
		now, err := c.named(ctx, c.repo, f.Tag)
		return now != ref.Digest, err
	}})
}

// checkThinnedTag checks the tag of a thinned revision that is still there.
func (c *chain) checkThinnedTag(ctx context.Context, rev *revision) error {
	tag := artifact.RevisionTag(rev.number)
	found, err := c.named(ctx, c.repo, tag)
	if err != nil || found == rev.Manifest.Digest || found == "" {
		return err
	}
	f := Finding{Code: RevisionTagMoved, Namespace: c.namespace, Repository: c.repo, Tag: tag, Revision: rev.number, Digest: rev.Manifest.Digest,
		Detail: fmt.Sprintf("The tag %s names %s; the checkpoint keeps %s as that revision.", tag, found, rev.Manifest.Digest)}
	return c.suspect(suspect{finding: f, still: func(ctx context.Context) (bool, error) {
		now, err := c.named(ctx, c.repo, tag)
		return now != "" && now != rev.Manifest.Digest, err
	}})
}
