package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// chain is the hash chain of revisions in one repository, and the commit
// protocol on it. It has one owner: its methods are not for concurrent use.
type chain struct {
	reg        registry.Registry
	claim      *claim
	stamps     *stamps
	log        *slog.Logger
	observer   Observer
	repo       string
	scope      string
	configType string
	layerType  string

	// accept checks a revision that was read against its own record, and
	// against its parent unless that is nil, and returns what has to be done
	// to make it the head.
	accept func(rev artifact.Revision, parent *artifact.Revision) (acceptance, error)

	// report is told what keeps an offer from being confirmed.
	report func(error)

	// progress is told when the registry took a slice of a commit so large that
	// more are to come.
	progress func()

	head      head
	tags      []registry.Tag // of the head, still to be put
	settledAt time.Time      // by then, no unanswered write can land any more
}

// head is the last committed revision; number 0 means that there is none.
type head struct {
	number     int64
	manifest   registry.Manifest
	time       intent.Version
	checkpoint *artifact.CheckpointRef // the last one; nil if there is none
	parent     digest.Digest           // of the next one when number is 0 (a take-over's r0)
}

// next is what a child of the head names as its parent.
func (h head) next() digest.Digest {
	if h.number == 0 {
		return h.parent
	}
	return h.manifest.Digest
}

// acceptance is what a verified revision brings with it.
type acceptance struct {
	pushes  []registry.Push // the artifacts that its record names
	tags    []registry.Tag  // their tags
	publish func()          // makes it the state that readers see
}

// proposal is a revision to be committed.
type proposal struct {
	record artifact.Record
	layer  registry.Blob
	pushes []registry.Push // the artifacts that come with it
	tags   []registry.Tag  // their tags

	// begin is called before the first attempt at the commit point; an error
	// abandons the proposal while nothing has changed.
	begin func() error
	// publish is called at the commit point.
	publish func()
}

var (
	// errAdopted: somebody's earlier commit became the head; judge again on it.
	errAdopted = errors.New("a commit of an earlier ledger was found and adopted")
	// errForeign: latest was written by nobody who may.
	errForeign = errors.New("foreign writer")
	// errDamaged: the registry does not hold what the chain says it must.
	errDamaged = errors.New("damaged history")
)

// unknownError wraps the end of a proposal whose outcome nobody knows.
type unknownError struct{ err error }

func (e unknownError) Error() string { return "outcome unknown: " + e.err.Error() }
func (e unknownError) Unwrap() error { return e.err }

// record begins the commit record of the next revision.
func (c *chain) record(changes []artifact.RecordChange) artifact.Record {
	if changes == nil {
		changes = []artifact.RecordChange{}
	}
	return artifact.Record{
		Format: artifact.RecordFormat, Scope: c.scope,
		Number: c.head.number + 1, Parent: c.head.next(),
		Time: intent.FormatTime(c.stamps.next().Time()), Writer: c.claim.id, Changes: changes,
		Checkpoint: c.head.checkpoint,
	}
}

// commit makes the proposal the head: steps 3 to 6 of the protocol. Pushing
// and checking end with prepare, the rest with ctx. A nil error means durable,
// with all tags put. An unknownError means that it may be committed, now or
// later; every other error means that nothing changed.
func (c *chain) commit(ctx, prepare context.Context, p proposal) error {
	begun := time.Now()
	a, err := artifact.Pack(c.configType, p.record, p.layer)
	if err != nil {
		return err
	}
	// The catalog first: it is the largest.
	pushes := append([]registry.Push{{Repository: c.repo, Artifact: a}}, p.pushes...)
	if err := c.settleDown(prepare); err != nil {
		return err
	}
	err = c.push(prepare, pushes, c.progress)
	begun = c.spent(PhasePush, begun)
	if err != nil {
		return fmt.Errorf("pushing revision %d: %w", p.record.Number, err)
	}
	err = c.check(prepare)
	begun = c.spent(PhaseCheck, begun)
	if err != nil {
		return err
	}
	if err := p.begin(); err != nil {
		return err
	}
	err = c.offer(ctx, pushes, a.Manifest)
	begun = c.spent(PhaseOffer, begun)
	if err != nil {
		return err
	}
	stamp, err := p.record.Stamp()
	if err != nil {
		return unknownError{err}
	}
	c.become(head{number: p.record.Number, manifest: a.Manifest, time: stamp, checkpoint: p.record.Checkpoint}, p.tags)
	p.publish()
	err = c.finishTags(ctx)
	c.spent(PhaseTags, begun)
	if err != nil {
		return unknownError{err}
	}
	return nil
}

// become makes h the head. Its revision tag comes first among the tags: it is
// the second witness of the commit.
func (c *chain) become(h head, tags []registry.Tag) {
	c.head = h
	c.tags = append([]registry.Tag{c.revisionTag(h.number, h.manifest)}, tags...)
}

func (c *chain) revisionTag(number int64, m registry.Manifest) registry.Tag {
	return registry.Tag{Repository: c.repo, Name: artifact.RevisionTag(number), Manifest: m}
}

// settling reports whether an unanswered write can still land.
func (c *chain) settling() bool { return time.Now().Before(c.settledAt) }

// offer puts latest until the outcome is known. The caller has checked that
// latest is the head.
func (c *chain) offer(ctx context.Context, pushes []registry.Push, m registry.Manifest) error {
	var pause backoff
	unanswered := false
	for {
		err := commitTag(ctx, c.reg, registry.Tag{Repository: c.repo, Name: artifact.Latest, Manifest: m})
		if err != nil && registry.Settled(err) && !unanswered {
			return fmt.Errorf("putting latest: %w", err)
		}
		if err != nil && !registry.Settled(err) {
			// A late request of ours can land until the settle time is over,
			// so from now on only these bytes may be offered for this number.
			unanswered = true
			c.settledAt = time.Now().Add(settle)
		}
		if err == nil {
			// Answered, but it counts only if the claim still stood.
			unanswered = true
			if err = c.claim.check(ctx); err == nil {
				return nil
			}
		}
		for first := true; ; first = false {
			if errors.Is(err, errSuperseded) {
				return unknownError{err}
			}
			if first || err != nil {
				c.log.Warn("commit not confirmed, repeating", "repository", c.repo, "manifest", m.Digest, "error", err)
			}
			c.report(err)
			c.observer.Repaired(RepairRepeated)
			if err := pause.wait(ctx); err != nil {
				return unknownError{err}
			}
			var done bool
			if done, err = c.lookFor(ctx, pushes, m); err == nil {
				if done {
					return nil
				}
				break // latest is behind: put it again
			}
		}
	}
}

// lookFor repeats step 3 and reads what became of an offer. It returns true if
// latest is m and the claim stands; false without an error if m may be put
// again.
func (c *chain) lookFor(ctx context.Context, pushes []registry.Push, m registry.Manifest) (bool, error) {
	// What is pushed again is no progress that a caller should wait for.
	if err := c.push(ctx, pushes, func() {}); err != nil {
		return false, err
	}
	if err := c.claim.check(ctx); err != nil {
		return false, err
	}
	d, err := resolve(ctx, c.reg, c.repo, artifact.Latest)
	switch {
	case errors.Is(err, registry.ErrNotFound) && c.head.number == 0 && c.head.parent == "":
		return false, nil
	case err != nil:
		return false, err
	case d == m.Digest:
		return true, c.claim.check(ctx)
	case d == c.head.next():
		return false, nil
	}
	v, _, err := c.classify(ctx, d)
	if err != nil {
		return false, err
	}
	if v != behind { // a child, too: our own was offered first
		return false, fmt.Errorf("latest of %s is %s: %w", c.repo, d, errForeign)
	}
	return false, nil
}

// What goes to the registry in one call is so much that it is kept busy, and so
// little that a call takes no longer than a caller's patience. An artifact is
// five requests or so, a tag is one. Two slices of artifacts are on their way
// at once, so that none waits for another's slowest request.
const (
	pushSlice    = 16
	pushesAtOnce = 2
	tagSlice     = 64
)

// push puts artifacts by digest, in slices; progress is called between them.
func (c *chain) push(ctx context.Context, pushes []registry.Push, progress func()) error {
	group, failed := errgroup.WithContext(ctx)
	group.SetLimit(pushesAtOnce)
	for len(pushes) > 0 {
		slice := pushes[:min(pushSlice, len(pushes))]
		pushes = pushes[len(slice):]
		more := len(pushes) > 0
		group.Go(func() error {
			if err := failed.Err(); err != nil {
				return err // begins no more
			}
			// With ctx: what is under way is not broken off because another failed.
			err := put(ctx, c.reg, slice...)
			if err == nil && more {
				progress()
			}
			return err
		})
	}
	return group.Wait()
}

// completeTags puts the tags of the head that are still to be put, in slices,
// so that a repetition goes on where it stopped. The caller has just checked
// the claim; it is checked again between slices, for a resource's latest is not
// to be put back once another ledger may have moved it.
func (c *chain) completeTags(ctx context.Context) error {
	for len(c.tags) > 0 {
		n := min(tagSlice, len(c.tags))
		if err := putTags(ctx, c.reg, c.tags[:n]); err != nil {
			if !registry.Settled(err) {
				c.settledAt = time.Now().Add(settle)
			}
			return fmt.Errorf("putting the tags of revision %d: %w", c.head.number, err)
		}
		if c.tags = c.tags[n:]; len(c.tags) > 0 {
			c.progress()
			if err := c.claim.check(ctx); err != nil {
				return err
			}
		}
	}
	c.tags = nil
	return nil
}

// finishTags repeats completeTags until it succeeds.
func (c *chain) finishTags(ctx context.Context) error {
	var pause backoff
	err := c.completeTags(ctx)
	for err != nil && !errors.Is(err, errSuperseded) {
		c.log.Warn("tags not complete, repeating", "repository", c.repo, "error", err)
		if err := pause.wait(ctx); err != nil {
			return err
		}
		if err = c.claim.check(ctx); err == nil {
			err = c.completeTags(ctx)
		}
	}
	return err
}

// settleDown waits until every unanswered write has landed or never will, and
// looks after latest meanwhile.
func (c *chain) settleDown(ctx context.Context) error {
	for {
		left := time.Until(c.settledAt)
		if left <= 0 {
			return nil
		}
		if err := sleep(ctx, min(left, watchSettling)); err != nil {
			return fmt.Errorf("an earlier write has not settled: %w", errors.Join(registry.ErrUnavailable, err))
		}
		if err := c.check(ctx); err != nil {
			return err
		}
	}
}
