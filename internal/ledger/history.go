package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// Commit is what the history says of one revision. It is immutable.
type Commit struct {
	Revision   Revision
	Parent     digest.Digest // manifest of the revision before it; empty for the first
	Writer     string        // id of the writer claim
	Changes    []artifact.RecordChange
	Checkpoint *artifact.CheckpointRef // the last one at that time; nil if there is none
}

// Commit returns a revision's commit record, read from the registry or from the
// checkpoint that keeps it; what was read lately comes from memory. It works
// for thinned revisions too. CodeNotFound if there is no such revision.
func (l *Ledger) Commit(ctx context.Context, namespace string, number int64) (Commit, error) {
	ns, err := l.namespace(namespace)
	if err != nil {
		return Commit{}, err
	}
	for {
		now := ns.state.Load()
		if number < 1 || number > now.Revision.Number {
			return Commit{}, errNoRevision(namespace, number, now.Revision.Number)
		}
		c, err := ns.commitRecord(ctx, number, now)
		if err == nil {
			return c, nil
		}
		if again := ns.state.Load(); again.Revision.Number != now.Revision.Number && errors.Is(err, registry.ErrNotFound) {
			continue // it was thinned just now
		}
		return Commit{}, readFailed(err, "revision %d of namespace %s", number, namespace)
	}
}

// CommitAt returns the revision that was the last one at a moment, found by
// bisection over the revisions' times: about log2 of their number is read.
// CodeNotFound if the namespace did not exist yet.
func (l *Ledger) CommitAt(ctx context.Context, namespace string, at time.Time) (Commit, error) {
	ns, err := l.namespace(namespace)
	if err != nil {
		return Commit{}, err
	}
	now := ns.state.Load().Revision
	if !now.Time.After(at) {
		return l.Commit(ctx, namespace, now.Number)
	}
	var found Commit
	low, high := int64(0), now.Number // revision low is not after the moment, high is
	first := now.Time                 // of revision high
	for high-low > 1 {
		middle := low + (high-low)/2
		c, err := l.Commit(ctx, namespace, middle)
		if err != nil {
			return Commit{}, err
		}
		if c.Revision.Time.After(at) {
			high, first = middle, c.Revision.Time
		} else {
			low, found = middle, c
		}
	}
	if low == 0 {
		return Commit{}, fail(CodeNotFound, nil, "namespace %s did not exist at %s; its first revision is of %s", namespace, at.UTC().Format(time.RFC3339Nano), first.Format(time.RFC3339Nano))
	}
	return found, nil
}

// readFailed is the Error of a reader of what was committed.
func readFailed(err error, what string, args ...any) *Error {
	what = fmt.Sprintf(what, args...)
	switch {
	case errors.Is(err, errDamaged), errors.Is(err, registry.ErrCorrupt), errors.Is(err, registry.ErrNotFound):
		return fail(CodeCorrupt, err, "%s is damaged in the registry", what)
	default:
		return fail(CodeRegistryUnavailable, err, "%s cannot be read; try again later", what)
	}
}

// commitRecord returns the record of a revision that exists at the head now.
func (ns *namespace) commitRecord(ctx context.Context, number int64, now *state) (Commit, error) {
	key := cacheKey{ns.name, number}
	if c, ok := ns.l.commits.get(key); ok {
		return c, nil
	}
	if now.checkpoint != nil && number <= now.checkpoint.Number {
		return ns.thinnedRecord(ctx, number, now.checkpoint)
	}
	reference := artifact.RevisionTag(number)
	if number == now.Revision.Number {
		reference = now.Revision.Digest.String() // its tag may not be there yet
	}
	t, err := ns.chain.thinned(ctx, number, reference)
	if err != nil {
		return Commit{}, err
	}
	c, err := commitOf(t)
	if err != nil {
		return Commit{}, err
	}
	ns.l.commits.put(key, c)
	return c, nil
}

// thinnedRecord returns the record of a revision that lies in a checkpoint.
func (ns *namespace) thinnedRecord(ctx context.Context, number int64, ref *artifact.CheckpointRef) (Commit, error) {
	// A checkpoint is large, and who reads one record asks for its neighbours
	// next: one is unpacked at a time, and whoever waited looks again.
	select {
	case ns.l.unpacking <- struct{}{}:
		defer func() { <-ns.l.unpacking }()
	case <-ctx.Done():
		return Commit{}, ctx.Err()
	}
	if c, ok := ns.l.commits.get(cacheKey{ns.name, number}); ok {
		return c, nil
	}
	ref, err := ns.checkpointOf(ctx, number, ref)
	if err != nil {
		return Commit{}, err
	}
	c, revisions, err := ns.chain.checkpoint(ctx, *ref)
	if err != nil {
		return Commit{}, err
	}
	return ns.hold(revisions, int(number-c.First))
}

// checkpointOf follows the checkpoints from the last one back to that of a
// revision. Their configs, which are small, are read once and kept. The caller
// holds Ledger.unpacking.
func (ns *namespace) checkpointOf(ctx context.Context, number int64, ref *artifact.CheckpointRef) (*artifact.CheckpointRef, error) {
	for {
		c, ok := ns.checkpoints[*ref]
		if !ok {
			var err error
			if c, err = ns.chain.checkpointConfig(ctx, *ref); err != nil {
				return nil, err
			}
			if ns.checkpoints == nil {
				ns.checkpoints = map[artifact.CheckpointRef]artifact.Checkpoint{}
			}
			ns.checkpoints[*ref] = c
		}
		if number >= c.First {
			return ref, nil
		}
		ref = c.Previous // there is one, as First is above 1
	}
}

// checkpointConfig reads what a checkpoint of the chain says that it holds.
func (c *chain) checkpointConfig(ctx context.Context, ref artifact.CheckpointRef) (artifact.Checkpoint, error) {
	m, err := manifest(ctx, c.reg, c.repo, ref.Digest.String())
	if err != nil {
		return artifact.Checkpoint{}, fmt.Errorf("reading checkpoint %d of %s: %w", ref.Number, c.repo, err)
	}
	content, err := m.Content()
	if err != nil || len(content.Blobs) == 0 {
		return artifact.Checkpoint{}, fmt.Errorf("checkpoint %d of %s: it has no config (%v): %w", ref.Number, c.repo, err, errDamaged)
	}
	config, err := blob(ctx, c.reg, c.repo, content.Blobs[0])
	if err != nil {
		return artifact.Checkpoint{}, fmt.Errorf("reading checkpoint %d of %s: %w", ref.Number, c.repo, err)
	}
	kept, err := artifact.ParseCheckpoint(config)
	if err == nil && (kept.Last != ref.Number || kept.Scope != c.scope) {
		err = fmt.Errorf("it is that of revision %d of %s", kept.Last, kept.Scope)
	}
	if err != nil {
		return artifact.Checkpoint{}, fmt.Errorf("checkpoint %d of %s (%w): %w", ref.Number, c.repo, err, errDamaged)
	}
	return kept, nil
}

// hold remembers thinned revisions and returns the one at that place. The
// nearest to it come last, so that they stay if there is no room for all.
func (ns *namespace) hold(revisions []artifact.Thinned, place int) (Commit, error) {
	var found Commit
	below, above := 0, len(revisions)-1
	for below <= above {
		var t artifact.Thinned
		if place-below >= above-place {
			t = revisions[below]
			below++
		} else {
			t = revisions[above]
			above--
		}
		c, err := commitOf(t)
		if err != nil {
			return Commit{}, err
		}
		ns.l.commits.put(cacheKey{ns.name, c.Revision.Number}, c)
		found = c // the last is at the place itself
	}
	return found, nil
}

// thinned reads manifest and record of revision n by its tag or digest, without
// its layer. registry.ErrNotFound if there is none, errDamaged if it is
// something else.
func (c *chain) thinned(ctx context.Context, n int64, reference string) (artifact.Thinned, error) {
	m, err := manifest(ctx, c.reg, c.repo, reference)
	if err != nil {
		return artifact.Thinned{}, fmt.Errorf("reading %s of %s: %w", reference, c.repo, err)
	}
	t, err := c.thin(ctx, m)
	if err != nil {
		return artifact.Thinned{}, err
	}
	if t.Record.Number != n {
		return artifact.Thinned{}, fmt.Errorf("%s of %s holds revision %d, not %d: %w", reference, c.repo, t.Record.Number, n, errDamaged)
	}
	return t, nil
}

// thin reads the record of a revision's manifest.
func (c *chain) thin(ctx context.Context, m registry.Manifest) (artifact.Thinned, error) {
	content, err := m.Content()
	if err == nil && len(content.Blobs) != 2 {
		err = errors.New("it has not two blobs")
	}
	if err != nil {
		return artifact.Thinned{}, fmt.Errorf("%s of %s (%w): %w", m.Digest, c.repo, err, errDamaged)
	}
	config, err := blob(ctx, c.reg, c.repo, content.Blobs[0])
	if err != nil {
		return artifact.Thinned{}, fmt.Errorf("reading the record of %s of %s: %w", m.Digest, c.repo, err)
	}
	t, err := artifact.NewThinned(m, config.Data)
	if err == nil && t.Record.Scope != c.scope {
		err = fmt.Errorf("it is of %s", t.Record.Scope)
	}
	if err != nil {
		return artifact.Thinned{}, fmt.Errorf("%s of %s (%w): %w", m.Digest, c.repo, err, errDamaged)
	}
	return t, nil
}

// checkpoint reads a checkpoint of the chain.
func (c *chain) checkpoint(ctx context.Context, ref artifact.CheckpointRef) (artifact.Checkpoint, []artifact.Thinned, error) {
	a, err := get(ctx, c.reg, c.repo, ref.Digest.String())
	if err != nil {
		return artifact.Checkpoint{}, nil, fmt.Errorf("reading checkpoint %d of %s: %w", ref.Number, c.repo, err)
	}
	kept, revisions, err := artifact.UnpackCheckpoint(a)
	if err == nil && (kept.Last != ref.Number || kept.Scope != c.scope) {
		err = fmt.Errorf("it is that of revision %d of %s", kept.Last, kept.Scope)
	}
	if err != nil {
		return artifact.Checkpoint{}, nil, fmt.Errorf("checkpoint %d of %s (%w): %w", ref.Number, c.repo, err, errDamaged)
	}
	return kept, revisions, nil
}
