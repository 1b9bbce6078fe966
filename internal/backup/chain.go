package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// chain is one hash chain of revisions, as it is read.
type chain struct {
	r          reader
	repo       string // without the prefix
	scope      string
	configType string
	layerType  string
}

func systemChain(r reader) chain {
	return chain{r, artifact.Layout{}.System(), artifact.ScopeSystem, artifact.TypeSystemConfig, artifact.TypeSystem}
}

func catalogChain(r reader, namespace string) chain {
	return chain{r, artifact.Layout{}.Catalog(namespace), artifact.ScopeNamespace(namespace), artifact.TypeFluxConfig, artifact.TypeFluxContent}
}

// revision is a revision without its layer, verified against its own record.
type revision struct {
	artifact.Thinned
	config registry.Blob // empty if it comes from a checkpoint
	stamp  intent.Version
}

func (v revision) number() int64 { return v.Record.Number }

func (c chain) damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrDamaged, c.repo, fmt.Sprintf(format, args...))
}

// open reads the record of a revision's manifest.
func (c chain) open(ctx context.Context, m registry.Manifest) (revision, error) {
	content, err := m.Content()
	if err != nil || len(content.Blobs) != 2 || content.Blobs[0].MediaType != c.configType || content.Blobs[1].MediaType != c.layerType {
		return revision{}, c.damaged("%s is not a revision (%v)", m.Digest, err)
	}
	config, err := c.r.blob(ctx, c.repo, content.Blobs[0])
	if err != nil {
		return revision{}, fmt.Errorf("the record of %s of %s: %w", m.Digest, c.repo, lost(err))
	}
	t, err := artifact.NewThinned(m, config.Data)
	if err != nil {
		return revision{}, c.damaged("%v", err)
	}
	v, err := c.thinned(t)
	v.config = config
	return v, err
}

func (c chain) thinned(t artifact.Thinned) (revision, error) {
	if t.Record.Scope != c.scope {
		return revision{}, c.damaged("%s is a revision of %s, not of %s", t.Manifest.Digest, t.Record.Scope, c.scope)
	}
	stamp, err := t.Record.Stamp()
	if err != nil {
		return revision{}, c.damaged("%v", err)
	}
	return revision{Thinned: t, stamp: stamp}, nil
}

// lost makes what a source must have, and has not, a damage.
func lost(err error) error {
	if errors.Is(err, ErrDamaged) {
		return err
	}
	if errors.Is(err, registry.ErrNotFound) || errors.Is(err, registry.ErrCorrupt) || errors.Is(err, registry.ErrTooLarge) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// at reads revision n by its tag. registry.ErrNotFound if there is no such tag.
func (c chain) at(ctx context.Context, n int64) (revision, error) {
	tag := artifact.RevisionTag(n)
	m, err := c.r.tagged(ctx, c.repo, tag)
	if errors.Is(err, registry.ErrNotFound) {
		return revision{}, fmt.Errorf("%s of %s: %w", tag, c.repo, err)
	}
	if err != nil {
		return revision{}, fmt.Errorf("%s of %s: %w", tag, c.repo, lost(err))
	}
	v, err := c.open(ctx, m)
	if err == nil && v.number() != n {
		err = c.damaged("%s holds revision %d", tag, v.number())
	}
	return v, err
}

// pinned reads a head that a backup's description names.
func (c chain) pinned(ctx context.Context, at Cut) (revision, error) {
	m, err := c.r.manifest(ctx, c.repo, at.Digest)
	if err != nil {
		return revision{}, fmt.Errorf("the head of %s: %w", c.repo, lost(err))
	}
	v, err := c.open(ctx, m)
	if err == nil && v.number() != at.Number {
		err = c.damaged("%s is revision %d, the backup says %d", at.Digest, v.number(), at.Number)
	}
	return v, err
}

// How long a commit may take to put its revision tag after latest.
const (
	tagPauses = 20
	tagPause  = 100 * time.Millisecond
)

// head finds the last committed revision by the rules of a ledger's start. It
// returns false if the chain does not exist.
func (c chain) head(ctx context.Context) (revision, bool, error) {
	c.r.live = true // an earlier copy knows only what was
	for pause := 0; ; pause++ {
		m, err := c.r.tagged(ctx, c.repo, artifact.Latest)
		if errors.Is(err, registry.ErrNotFound) {
			if _, err := c.r.tagged(ctx, c.repo, artifact.RevisionTag(1)); !errors.Is(err, registry.ErrNotFound) {
				return revision{}, false, errors.Join(c.damaged("it has no latest, although it has a first revision"), err)
			}
			return revision{}, false, nil
		}
		if err != nil {
			return revision{}, false, fmt.Errorf("latest of %s: %w", c.repo, lost(err))
		}
		latest, err := c.open(ctx, m)
		if err != nil {
			return revision{}, false, err
		}
		named, err := c.at(ctx, latest.number())
		switch {
		case err == nil:
			v, err := c.follow(ctx, named)
			return v, err == nil, err
		case !errors.Is(err, registry.ErrNotFound):
			return revision{}, false, err
		case pause < tagPauses: // its commit is under way
			if err := sleep(ctx, tagPause); err != nil {
				return revision{}, false, err
			}
			continue
		}
		// Its writer was interrupted. It counts as the child of what is tagged.
		if n := latest.number(); n > 1 {
			parent, err := c.at(ctx, n-1)
			if err != nil {
				return revision{}, false, fmt.Errorf("the parent of latest of %s: %w", c.repo, lost(err))
			}
			if parent.Manifest.Digest != latest.Record.Parent {
				return revision{}, false, c.damaged("latest is revision %d, whose parent the chain does not have", n)
			}
		}
		return latest, true, nil
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// maxFollowed bounds how far a writer is followed that is quicker than we read.
const maxFollowed = 1000

// follow goes from a tagged revision to the last one that is tagged: latest may
// have been put back by a late write.
func (c chain) follow(ctx context.Context, v revision) (revision, error) {
	for range maxFollowed {
		next, err := c.at(ctx, v.number()+1)
		if errors.Is(err, registry.ErrNotFound) {
			return v, nil
		}
		if err != nil {
			return v, err
		}
		if err := c.linked(v, next); err != nil {
			return v, err
		}
		v = next
	}
	return v, nil
}

// linked checks that child follows v.
func (c chain) linked(v, child revision) error {
	if child.Record.Parent != v.Manifest.Digest {
		return c.damaged("revision %d has the parent %s, but revision %d is %s", child.number(), child.Record.Parent, v.number(), v.Manifest.Digest)
	}
	if v.stamp >= child.stamp {
		return c.damaged("revision %d is not later than revision %d", child.number(), v.number())
	}
	return nil
}

// before finds the revision that was the last one at a moment, by bisection.
// It returns false if there was none yet.
func (c chain) before(ctx context.Context, head revision, at time.Time) (revision, bool, error) {
	if !head.stamp.Time().After(at) {
		return head, true, nil
	}
	var found revision
	low, high := int64(0), head.number() // low is not after the moment, high is
	if checkpoint := head.Record.Checkpoint; checkpoint != nil {
		low = checkpoint.Number
	}
	thinned := low
	for high-low > 1 {
		middle := low + (high-low)/2
		v, err := c.at(ctx, middle)
		if err != nil {
			return revision{}, false, lost(err)
		}
		if v.stamp.Time().After(at) {
			high = middle
		} else {
			low, found = middle, v
		}
	}
	if low > thinned || thinned == 0 {
		return found, low > 0, nil
	}
	// What is in checkpoints may still have its tag.
	for ref := head.Record.Checkpoint; ref != nil; {
		kept, revisions, err := c.checkpoint(ctx, *ref)
		if err != nil {
			return revision{}, false, err
		}
		for i := len(revisions) - 1; i >= 0; i-- {
			if revisions[i].stamp.Time().After(at) {
				continue
			}
			v, err := c.at(ctx, revisions[i].number())
			if errors.Is(err, registry.ErrNotFound) {
				return revision{}, false, c.gone(revisions[i].number())
			}
			return v, err == nil, err
		}
		ref = kept.Previous
	}
	return revision{}, false, nil
}

func (c chain) gone(n int64) error {
	return fmt.Errorf("%w: %s: revision %d; restore the present state and roll the namespace back, or take an older backup", ErrThinned, c.repo, n)
}

// checkpoint reads a checkpoint of the chain.
func (c chain) checkpoint(ctx context.Context, ref artifact.CheckpointRef) (artifact.Checkpoint, []revision, error) {
	m, err := c.r.manifest(ctx, c.repo, ref.Digest)
	var a registry.Artifact
	if err == nil {
		a, err = c.r.artifact(ctx, c.repo, m)
	}
	if err != nil {
		return artifact.Checkpoint{}, nil, fmt.Errorf("checkpoint %d of %s: %w", ref.Number, c.repo, lost(err))
	}
	kept, thinned, err := artifact.UnpackCheckpoint(a)
	if err != nil {
		return artifact.Checkpoint{}, nil, c.damaged("%v", err)
	}
	if kept.Last != ref.Number || kept.Scope != c.scope {
		return artifact.Checkpoint{}, nil, c.damaged("checkpoint %d holds revision %d of %s", ref.Number, kept.Last, kept.Scope)
	}
	revisions := make([]revision, len(thinned))
	for i, t := range thinned {
		if revisions[i], err = c.thinned(t); err != nil {
			return artifact.Checkpoint{}, nil, err
		}
	}
	return kept, revisions, nil
}

// visitor is told the parts of a chain, the newest first.
type visitor struct {
	revision   func(v revision) error                            // that has its layer
	thinned    func(v revision) error                            // that a checkpoint keeps
	checkpoint func(number int64, d digest.Digest) error         // that the chain needs
	fault      func(repo, reference string, problem error) error // returns nil to go on
	first      func(parent digest.Digest) error                  // what the first revision has as its parent
}

// window is how many revisions are read at once.
const (
	window   = 256
	parallel = 16
)

// walk reads a chain from a head down to its beginning. thinned is the last
// revision that retention has removed meanwhile.
func (c chain) walk(ctx context.Context, head revision, thinned int64, visit visitor, progress *Progress) error {
	low := int64(1) // the first that must have its tag
	if checkpoint := head.Record.Checkpoint; checkpoint != nil {
		low = checkpoint.Number + 1
	}
	child := &head
	if err := visit.revision(head); err != nil {
		return err
	}
	for high := head.number() - 1; high >= low; {
		from := max(low, high-window+1)
		read := make([]revision, high-from+1)
		failed := make([]error, len(read))
		group, within := errgroup.WithContext(ctx)
		group.SetLimit(parallel)
		for i := range read {
			group.Go(func() error {
				read[i], failed[i] = c.at(within, from+int64(i))
				if err := failed[i]; err != nil && !errors.Is(lost(err), ErrDamaged) {
					return err
				}
				progress.read.Add(1)
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for n := high; n >= from; n-- {
			v, err := read[n-from], failed[n-from]
			if errors.Is(err, registry.ErrNotFound) && n <= thinned {
				return c.gone(n)
			}
			if err == nil && child != nil {
				err = c.linked(v, *child)
			}
			if err != nil {
				child = nil
				if err := visit.fault(c.repo, artifact.RevisionTag(n), lost(err)); err != nil {
					return err
				}
				continue
			}
			child = &v
			if err := visit.revision(v); err != nil {
				return err
			}
		}
		high = from - 1
	}
	return c.walkThinned(ctx, head.Record.Checkpoint, child, visit)
}

// walkThinned goes on in the checkpoints. child is the revision after them;
// nil if it is not known.
func (c chain) walkThinned(ctx context.Context, ref *artifact.CheckpointRef, child *revision, visit visitor) error {
	for ref != nil {
		kept, revisions, err := c.checkpoint(ctx, *ref)
		if err != nil {
			return visit.fault(c.repo, ref.Digest.String(), err)
		}
		if err := visit.checkpoint(ref.Number, ref.Digest); err != nil {
			return err
		}
		for i := len(revisions) - 1; i >= 0; i-- {
			if child != nil {
				if err := c.linked(revisions[i], *child); err != nil {
					return visit.fault(c.repo, artifact.RevisionTag(revisions[i].number()), err)
				}
			}
			child = &revisions[i]
			if err := visit.thinned(revisions[i]); err != nil {
				return err
			}
		}
		ref = kept.Previous
	}
	if child != nil && child.Record.Parent != "" {
		return visit.first(child.Record.Parent)
	}
	return nil
}
