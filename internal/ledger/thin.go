package ledger

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// thin makes sure that all revisions up to a number lie in checkpoints which a
// committed revision names. Until then nothing may be deleted; interrupted, it
// goes on with the checkpoints that are there.
func (r *collection) thin(ctx context.Context, upTo int64) error {
	var previous *artifact.CheckpointRef
	if c := r.ns.state.Load().checkpoint; c != nil {
		if upTo <= c.Number {
			return nil
		}
		if _, _, err := r.ns.chain.checkpoint(ctx, *c); err != nil {
			return err
		}
		previous = c
	}
	if err := r.probe(ctx); err != nil {
		return err
	}
	last := previous
	t := &thinner{r: r, previous: previous}
	for number := numberOf(previous) + 1; number <= upTo; {
		n := min(thinAhead, upTo-number+1)
		if err := t.read(ctx, number, n); err != nil {
			return err
		}
		number += n
		for t.full() || number > upTo && len(t.revisions) > 0 {
			ref, err := t.store(ctx)
			if errors.Is(err, errOther) {
				number, t.revisions = upTo+1, nil // what is left waits until there is more
				break
			}
			if err != nil {
				return err
			}
			last = ref
		}
	}
	if last == previous {
		return nil
	}
	// What the oldest kept revision names as its parent is what was stored.
	oldest, err := r.ns.chain.thinned(ctx, last.Number+1, artifact.RevisionTag(last.Number+1))
	if err != nil {
		return err
	}
	if oldest.Record.Parent != t.head {
		return fmt.Errorf("revision %d of %s is not the child of revision %d: %w", last.Number+1, r.ns.chain.repo, last.Number, errDamaged)
	}
	return r.name(ctx, *last)
}

func numberOf(c *artifact.CheckpointRef) int64 {
	if c == nil {
		return 0
	}
	return c.Number
}

// thinAhead is how many revisions are read at once.
const thinAhead = 64

// thinner stores revisions in checkpoints. It holds what fits into one, and
// what was read ahead.
type thinner struct {
	r         *collection
	previous  *artifact.CheckpointRef
	revisions []artifact.Thinned // not stored yet
	head      digest.Digest      // of the last one stored
}

// read reads n revisions, from a number on.
func (t *thinner) read(ctx context.Context, from, n int64) error {
	found := make([]artifact.Thinned, n)
	err := each(ctx, int(n), func(ctx context.Context, i int) (err error) {
		number := from + int64(i)
		found[i], err = t.r.ns.chain.thinned(ctx, number, artifact.RevisionTag(number))
		return err
	})
	t.revisions = append(t.revisions, found...)
	return err
}

// full reports whether there is more than fits into one checkpoint.
func (t *thinner) full() bool { return t.r.l.fits(t.revisions) < len(t.revisions) }

// store stores a checkpoint of as many revisions as fit. errOther if the tags
// of all numbers that it could have are taken.
func (t *thinner) store(ctx context.Context) (*artifact.CheckpointRef, error) {
	for n := t.r.l.fits(t.revisions); n > 0; n-- {
		ref, err := t.storeFirst(ctx, n)
		if errors.Is(err, errOther) {
			// One of an earlier attempt, under a policy that kept more or less:
			// its tag is taken, so this one gets another number.
			continue
		}
		if err != nil {
			return nil, err
		}
		t.previous, t.head = ref, t.revisions[n-1].Manifest.Digest
		t.revisions = append([]artifact.Thinned(nil), t.revisions[n:]...)
		return ref, nil
	}
	return nil, errOther
}

// errOther: the tag of a checkpoint names one of other revisions.
var errOther = errors.New("another checkpoint has this number")

// storeFirst stores a checkpoint of the first n revisions, or finds that it is
// there.
func (t *thinner) storeFirst(ctx context.Context, n int) (*artifact.CheckpointRef, error) {
	c, revisions := t.r.ns.chain, t.revisions[:n]
	a, err := artifact.PackCheckpoint(t.previous, revisions)
	if err != nil {
		return nil, fmt.Errorf("%s (%w): %w", c.repo, err, errDamaged)
	}
	last := revisions[n-1].Record.Number
	tag := artifact.CheckpointTag(last)
	switch d, err := resolve(ctx, c.reg, c.repo, tag); {
	case err == nil:
		there, err := get(ctx, c.reg, c.repo, d.String())
		if err != nil {
			return nil, fmt.Errorf("reading %s of %s: %w", tag, c.repo, err)
		}
		// Another build may have compressed it in another way.
		if kept, held, err := artifact.UnpackCheckpoint(there); err != nil || !same(kept, held, t.previous, revisions) {
			return nil, errOther
		}
		return &artifact.CheckpointRef{Number: last, Digest: d}, nil
	case !errors.Is(err, registry.ErrNotFound):
		return nil, fmt.Errorf("reading %s of %s: %w", tag, c.repo, err)
	}
	if err := put(ctx, c.reg, registry.Push{Repository: c.repo, Artifact: a}); err != nil {
		return nil, fmt.Errorf("pushing checkpoint %d of %s: %w", last, c.repo, err)
	}
	if err := c.claim.check(ctx); err != nil {
		return nil, err
	}
	if err := putTags(ctx, c.reg, []registry.Tag{{Repository: c.repo, Name: tag, Manifest: a.Manifest}}); err != nil {
		return nil, fmt.Errorf("putting %s of %s: %w", tag, c.repo, err)
	}
	return &artifact.CheckpointRef{Number: last, Digest: a.Manifest.Digest}, nil
}

// same reports whether a checkpoint that was read holds exactly these revisions.
func same(kept artifact.Checkpoint, held []artifact.Thinned, previous *artifact.CheckpointRef, want []artifact.Thinned) bool {
	if len(held) != len(want) || !reflect.DeepEqual(kept.Previous, previous) {
		return false
	}
	for i := range held {
		if held[i].Manifest.Digest != want[i].Manifest.Digest {
			return false
		}
	}
	return true
}

// name commits the revision that names a checkpoint.
func (r *collection) name(ctx context.Context, ref artifact.CheckpointRef) error {
	for {
		var err error
		if stopped := r.ns.between(ctx, func(ctx context.Context) { err = r.ns.nameCheckpoint(ctx, ref) }); stopped != nil {
			return stopped
		}
		if !errors.Is(err, errAdopted) && !errors.Is(err, errSettling) {
			return err
		}
		if err := sleep(ctx, watchSettling); err != nil {
			return err
		}
	}
}

// errSettling: a write of the namespace is unanswered yet; what can wait, waits.
var errSettling = errors.New("an earlier write has not settled")

// nameCheckpoint commits a revision that changes nothing, with the head's
// layer, and names the checkpoint. Only the worker may call it.
func (ns *namespace) nameCheckpoint(ctx context.Context, ref artifact.CheckpointRef) error {
	if problem := ns.problem.Load(); problem != nil {
		return problem
	}
	if ns.chain.settling() {
		return errSettling
	}
	if ns.chain.head.number-1 <= ref.Number {
		return fmt.Errorf("checkpoint %d would hold the head's parent", ref.Number)
	}
	prepare, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	a, err := ns.chain.get(prepare, ns.chain.head.manifest.Digest.String())
	if err != nil {
		return unreadable(err)
	}
	head, err := ns.chain.unpack(a)
	if err != nil {
		return fmt.Errorf("%w: %w", err, errDamaged)
	}
	record := ns.chain.record(nil)
	record.Checkpoint = &ref
	next := *ns.state.Load()
	next.checkpoint = &ref
	err = ns.chain.commit(ctx, prepare, proposal{
		record: record, layer: head.Layer,
		begin: func() error { return prepare.Err() },
		publish: func() {
			next.Revision = Revision{Number: ns.chain.head.number, Digest: ns.chain.head.manifest.Digest, Time: ns.chain.head.time.Time()}
			ns.state.Store(&next)
		},
	})
	ns.judge(err)
	return err
}
