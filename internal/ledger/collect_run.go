package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

const (
	// youngest is what no policy deletes: longer than the settle time, so that
	// nothing unanswered can name it any more, and than a reader needs who has
	// just read a tag.
	youngest = time.Minute

	// thinLeast keeps idle namespaces quiet: a checkpoint makes one more
	// revision, which alone is no reason for the next.
	thinLeast = 2

	// thinBackground is how many revisions a collection in the background
	// waits for: who reads an old record goes through all checkpoints after it.
	thinBackground = 32

	// checkpointAtOnce bounds the collections that run at once: each may hold a
	// checkpoint in memory.
	collectionsAtOnce = 1

	// examineAtOnce bounds the requests of a collection under way at once.
	examineAtOnce = 8
)

// collection is one run, of one goroutine. docs/retention.md says what it does
// in which order, and why.
type collection struct {
	l      *Ledger
	ns     *namespace
	policy artifact.Retention
	dryRun bool
	free   bool // the registry's space, too

	probed  bool    // the registry deletes
	running running // what clusters run
	reused  reused  // by commits since the mark
	deleted bool    // something
}

func (r *collection) run(ctx context.Context) error {
	select {
	case r.l.collecting[modeOf(r.dryRun)] <- struct{}{}:
		defer func() { <-r.l.collecting[modeOf(r.dryRun)] }()
	case <-ctx.Done():
		return ctx.Err()
	}
	err := r.collect(ctx)
	if err != nil || r.dryRun || !r.free && !r.deleted {
		return err
	}
	freed, err := r.l.free(ctx)
	r.note(func(c *Collection) { c.Freed = freed })
	if err != nil {
		return errNotFreed(err)
	}
	return nil
}

func (r *collection) collect(ctx context.Context) error {
	if r.policy == (artifact.Retention{}) {
		return nil
	}
	if problem := r.ns.problem.Load(); problem != nil {
		return problem
	}
	upTo, err := r.reach(ctx)
	if err != nil {
		return err
	}
	if !r.dryRun {
		if err := r.thin(ctx, upTo); err != nil {
			return err
		}
		if err := r.ns.between(ctx, func(context.Context) { r.ns.reused = &r.reused }); err != nil {
			return err
		}
		defer func() { // also when it was told to stop: the worker may have ended
			r.reused.close()
		}()
		upTo = r.thinned()
	}
	r.note(func(c *Collection) { c.Thinned = upTo })
	if upTo == 0 {
		return nil // every revision is kept, and all that they have
	}
	m, err := r.mark(ctx, upTo)
	if err != nil {
		return err
	}
	if err := r.sweepRevisions(ctx, m); err != nil {
		return err
	}
	return r.sweepVersions(ctx, m)
}

// thinned is the last revision that a checkpoint holds, 0 if there is none.
func (r *collection) thinned() int64 {
	if c := r.ns.state.Load().checkpoint; c != nil {
		return c.Number
	}
	return 0
}

// reach returns the last revision that the policy does not keep, or that is
// thinned already. A revision's age counts from when it was replaced: what was
// declared at a moment that is kept can be told.
func (r *collection) reach(ctx context.Context) (int64, error) {
	head, thinned := r.ns.state.Load().Revision, r.thinned()
	upTo := head.Number - max(r.policy.Revisions, 2)
	if upTo <= thinned {
		return thinned, nil
	}
	age := max(time.Duration(r.policy.Seconds)*time.Second, youngest)
	oldest, err := r.l.CommitAt(ctx, r.ns.name, r.l.o.Now().Add(-age))
	var e *Error
	if errors.As(err, &e) && e.Code == CodeNotFound {
		return thinned, nil // the first one is younger
	}
	if err != nil {
		return 0, err
	}
	upTo = min(upTo, oldest.Revision.Number-1)
	least := int64(thinLeast)
	if !r.free {
		least = thinBackground
	}
	if upTo-thinned < least {
		return thinned, nil
	}
	return upTo, nil
}

// probe finds out whether the registry deletes, once and before anything relies
// on it: it stores an artifact that says what it is for, untagged, and deletes
// it.
func (r *collection) probe(ctx context.Context) error {
	if r.probed {
		return nil
	}
	a := artifact.Probe()
	if err := put(ctx, r.ns.chain.reg, registry.Push{Repository: r.ns.chain.repo, Artifact: a}); err != nil {
		return fmt.Errorf("trying whether the registry deletes: %w", err)
	}
	if err := remove(ctx, r.ns.chain.reg, r.ns.chain.repo, a.Manifest.Digest); err != nil {
		// It may be an earlier probe's deletion that was carried out late.
		return fmt.Errorf("trying whether the registry deletes: %w", unreadable(err))
	}
	r.probed = true
	return nil
}

// records calls do with the commits of the namespace from the head down to a
// number, verified along the hash chain.
func (r *collection) records(ctx context.Context, to int64, do func(Commit) error) error {
	var failed error
	place := Place{}
	for {
		next, err := r.l.walk(ctx, r.ns.name, place, thinAhead, func(c Commit) bool {
			failed = do(c)
			return failed == nil && c.Revision.Number > to
		})
		if err != nil || failed != nil {
			return errors.Join(err, failed)
		}
		if next == (Place{}) || next.Number < to {
			return nil
		}
		place = next
	}
}

// tags calls do with every tag of a repository, in their order.
func (r *collection) tags(ctx context.Context, repo string, do func(tag string) error) error {
	const page = 1000
	for last := ""; ; {
		found, err := tags(ctx, r.l.o.Registry, repo, last, page)
		if err != nil {
			return fmt.Errorf("listing the tags of %s: %w", repo, err)
		}
		for _, tag := range found {
			if tag <= last && last != "" {
				return fmt.Errorf("listing the tags of %s: %q came after %q: %w", repo, tag, last, registry.ErrUnavailable)
			}
			last = tag
			if err := do(tag); err != nil {
				return err
			}
		}
		if len(found) < page {
			return nil
		}
	}
}

// each calls do for each of n things, several at once.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(examineAtOnce)
	for i := range n {
		group.Go(func() error { return do(ctx, i) })
	}
	return group.Wait()
}
