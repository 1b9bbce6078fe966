package ledger

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// verdict says what a manifest at latest is, seen from our head.
type verdict int

const (
	foreign verdict = iota
	behind          // an ancestor, or an abandoned sibling of what was committed
	child           // a commit of an earlier ledger on our head
)

// check is step 4: the claim is ours, latest is the head and the head's
// revision tag names it. What a late or lost write left behind is put right;
// whatever else stands there is an error: errAdopted, errForeign, errDamaged,
// errSuperseded, or that of the registry.
func (c *chain) check(ctx context.Context) error {
	if err := c.claim.check(ctx); err != nil {
		return err
	}
	if c.head.number == 0 {
		return c.checkFirst(ctx)
	}
	if err := c.completeTags(ctx); err != nil {
		return err
	}
	d, err := resolve(ctx, c.reg, c.repo, artifact.Latest)
	if err != nil {
		return fmt.Errorf("reading latest of %s: %w", c.repo, unreadable(err))
	}
	if d != c.head.manifest.Digest {
		if err := c.judge(ctx, d); err != nil {
			return err
		}
	}
	tag := artifact.RevisionTag(c.head.number)
	d, err = resolve(ctx, c.reg, c.repo, tag)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		// The tag was lost, the revision was not.
		c.observer.Repaired(RepairTagged)
		c.tags = []registry.Tag{c.revisionTag(c.head.number, c.head.manifest)}
		return c.completeTags(ctx)
	case err != nil:
		return fmt.Errorf("reading %s of %s: %w", tag, c.repo, err)
	case d != c.head.manifest.Digest:
		return fmt.Errorf("%s of %s names %s, it should name %s: %w", tag, c.repo, d, c.head.manifest.Digest, errForeign)
	}
	return nil
}

// checkFirst is step 4 of a first revision: there must be none yet.
func (c *chain) checkFirst(ctx context.Context) error {
	d, err := resolve(ctx, c.reg, c.repo, artifact.Latest)
	switch {
	case errors.Is(err, registry.ErrNotFound) && c.head.parent == "":
	case err != nil:
		return fmt.Errorf("reading latest of %s: %w", c.repo, unreadable(err))
	case d != c.head.parent:
		return fmt.Errorf("latest of %s is %s before its first revision: %w", c.repo, d, errForeign)
	}
	switch d, err := resolve(ctx, c.reg, c.repo, artifact.RevisionTag(1)); {
	case err == nil:
		return fmt.Errorf("r1 of %s is %s before its first revision: %w", c.repo, d, errForeign)
	case !errors.Is(err, registry.ErrNotFound):
		return fmt.Errorf("reading r1 of %s: %w", c.repo, err)
	}
	return nil
}

// judge acts on a manifest at latest that is not the head: one that is behind
// is replaced by the head, a child is adopted (errAdopted), any other is
// errForeign.
func (c *chain) judge(ctx context.Context, d digest.Digest) error {
	v, rev, err := c.classify(ctx, d)
	if err != nil {
		return err
	}
	switch v {
	case behind:
		c.log.Warn("latest was put back by a late write; putting the head forward again", "repository", c.repo, "found", d, "head", c.head.manifest.Digest)
		return c.putForward(ctx)
	case child:
		parent, err := c.revision(ctx, rev.Record.Number-1)
		if err != nil {
			return err
		}
		acc, err := c.verify(rev, &parent)
		if err != nil {
			return fmt.Errorf("latest of %s is %s, which does not verify (%w): %w", c.repo, d, err, errForeign)
		}
		c.log.Warn("adopting a commit of an earlier ledger", "repository", c.repo, "revision", rev.Record.Number, "writer", rev.Record.Writer)
		if err := c.push(ctx, acc.pushes, func() {}); err != nil {
			return err
		}
		if err := c.take(rev, acc); err != nil {
			return err
		}
		acc.publish()
		c.observer.Repaired(RepairAdopted)
		return errors.Join(errAdopted, c.completeTags(ctx))
	}
	return fmt.Errorf("latest of %s is %s, which this ledger did not write: %w", c.repo, d, errForeign)
}

// verify is accept, after what is the same in all chains.
func (c *chain) verify(rev artifact.Revision, parent *artifact.Revision) (acceptance, error) {
	if parent != nil && rev.Record.Time <= parent.Record.Time { // of one length, so they compare as text
		return acceptance{}, fmt.Errorf("its time %s is not after its parent's %s", rev.Record.Time, parent.Record.Time)
	}
	if parent != nil {
		// A revision that names a new checkpoint does nothing else.
		named, before := rev.Record.Checkpoint, parent.Record.Checkpoint
		if !reflect.DeepEqual(named, before) && (len(rev.Record.Changes) > 0 || rev.Layer.Digest != parent.Layer.Digest || numberOf(named) <= numberOf(before)) {
			return acceptance{}, fmt.Errorf("its checkpoint is of revision %d, its parent's of %d, and it is not the revision that says so", numberOf(named), numberOf(before))
		}
	}
	return c.accept(rev, parent)
}

// take makes a revision that was read the head.
func (c *chain) take(rev artifact.Revision, acc acceptance) error {
	stamp, err := rev.Record.Stamp()
	if err != nil {
		return err
	}
	c.stamps.observe(stamp)
	c.stamps.observeWriter(rev.Record.Writer)
	c.become(head{number: rev.Record.Number, manifest: rev.Manifest, time: stamp, checkpoint: rev.Record.Checkpoint}, acc.tags)
	return nil
}

// classify reads the manifest d, found at latest, and compares it with the
// chain. It writes nothing.
func (c *chain) classify(ctx context.Context, d digest.Digest) (verdict, artifact.Revision, error) {
	if c.head.number == 0 {
		return foreign, artifact.Revision{}, nil
	}
	a, err := get(ctx, c.reg, c.repo, d.String())
	if err != nil {
		return foreign, artifact.Revision{}, fmt.Errorf("reading %s of %s: %w", d, c.repo, unreadable(err))
	}
	rev, err := c.unpack(a)
	if err != nil {
		return foreign, artifact.Revision{}, nil
	}
	r := rev.Record
	switch {
	case r.Number <= c.head.number:
		// There is a revision of this number, so a 404 is a read failure: an
		// answer of a moment ago, when latest was read as it was then, too.
		named, err := resolve(ctx, c.reg, c.repo, artifact.RevisionTag(r.Number))
		if err != nil {
			return foreign, rev, fmt.Errorf("reading r%d of %s: %w", r.Number, c.repo, unreadable(err))
		}
		if named == d {
			return behind, rev, nil
		}
		known, err := c.parentKnown(ctx, r)
		if err != nil {
			return foreign, rev, err
		}
		if known && (r.Writer == c.claim.id || c.claim.earlier(r.Writer)) {
			return behind, rev, nil
		}
	case r.Number == c.head.number+1 && r.Parent == c.head.manifest.Digest && c.claim.earlier(r.Writer):
		return child, rev, nil
	}
	return foreign, rev, nil
}

// parentKnown reports whether a revision's parent is the one that the chain
// has at that place.
func (c *chain) parentKnown(ctx context.Context, r artifact.Record) (bool, error) {
	if r.Number == 1 && r.Parent == "" {
		return true, nil
	}
	parent, err := resolve(ctx, c.reg, c.repo, artifact.RevisionTag(r.Number-1))
	if errors.Is(err, registry.ErrNotFound) {
		return false, nil
	}
	return parent == r.Parent, err
}

// putForward makes latest name the head again.
func (c *chain) putForward(ctx context.Context) error {
	if err := c.claim.check(ctx); err != nil {
		return err
	}
	err := commitTag(ctx, c.reg, registry.Tag{Repository: c.repo, Name: artifact.Latest, Manifest: c.head.manifest})
	if err != nil {
		if !registry.Settled(err) {
			c.settledAt = time.Now().Add(settle)
		}
		return fmt.Errorf("putting latest of %s forward: %w", c.repo, err)
	}
	c.observer.Repaired(RepairPutForward)
	return c.claim.check(ctx)
}

func (c *chain) unpack(a registry.Artifact) (artifact.Revision, error) {
	rev, err := artifact.Unpack(c.configType, c.layerType, a)
	if err != nil {
		return artifact.Revision{}, err
	}
	if rev.Record.Scope != c.scope {
		return artifact.Revision{}, fmt.Errorf("manifest %s: it belongs to %s, not to %s", a.Manifest.Digest, rev.Record.Scope, c.scope)
	}
	return rev, nil
}

// unreadable turns "not found" into "unavailable": where something must be, a
// 404 is a read failure, never emptiness.
func unreadable(err error) error {
	if errors.Is(err, registry.ErrNotFound) {
		return fmt.Errorf("it must be there but the registry says that it is not: %w", registry.ErrUnavailable)
	}
	return err
}
