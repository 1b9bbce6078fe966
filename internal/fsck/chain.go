package fsck

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// chain checks the chain of revisions in one repository. It is walked from the
// head to the first revision: what a revision is, only the one after it proves.
type chain struct {
	*run
	namespace  string // empty: the system catalog
	closed     bool   // the namespace is deleted, so that nobody writes to it
	repo       string
	scope      string
	configType string
	layerType  string
	replay     replay
	deployed   deployedRefs // what deployment records name of it

	tags tagSet
	head place // what is checked up to; number 0 if there is none

	// What the walk knows.
	expected   digest.Digest // of the next revision, as the one after it names it; empty: unknown
	child      *revision     // the one after it; nil: unknown
	writer     string        // the last plausible one
	complete   bool          // no revision is missing so far
	takenOver  bool
	checkpoint *artifact.CheckpointRef  // the last one
	observed   []artifact.CheckpointRef // those that records name

	fresh place // the newest head, by refresh
}

// place is a revision on the chain.
type place struct {
	number     int64
	digest     digest.Digest
	time       string
	checkpoint int64 // the last revision that is thinned
}

// replay follows what a chain's revisions hold, from the head to the first.
type replay interface {
	// step is given the next older revision.
	step(ctx context.Context, c *chain, rev *revision) error
	// gap says that the next older revision cannot be read.
	gap()
	// end says that the walk is over.
	end(ctx context.Context, c *chain) error
	// newer is given a record above the head that the walk began with.
	newer(record artifact.Record)
}

func (r *run) newChain(namespace, repo, scope, configType, layerType string, replay replay) *chain {
	return &chain{run: r, namespace: namespace, repo: repo, scope: scope, configType: configType, layerType: layerType, replay: replay, complete: true}
}

// check checks the whole chain.
func (c *chain) check(ctx context.Context) error {
	if err := c.findHead(ctx); err != nil || c.head.number == 0 {
		return err
	}
	c.fresh = c.head
	c.expected = c.head.digest
	if err := c.read(ctx, c.head.number, c.head.checkpoint+1, c.visit); err != nil {
		return err
	}
	if err := c.walkCheckpoints(ctx); err != nil {
		return err
	}
	if err := c.checkFirst(ctx); err != nil {
		return err
	}
	if err := c.replay.end(ctx, c); err != nil {
		return err
	}
	return c.checkTags()
}

// finding begins a finding about a revision.
func (c *chain) finding(code Code, number int64, d digest.Digest, format string, args ...any) Finding {
	return Finding{Code: code, Namespace: c.namespace, Repository: c.repo, Revision: number, Digest: d, Detail: fmt.Sprintf(format, args...)}
}

// doubt notes a finding about a revision that a write under way could explain,
// or that it was thinned meanwhile.
func (c *chain) doubt(f Finding, still func(ctx context.Context) (bool, error)) error {
	return c.suspect(suspect{finding: f, chain: c, still: func(ctx context.Context) (bool, error) {
		if f.Revision > 0 && f.Revision > c.head.checkpoint && f.Revision <= c.fresh.checkpoint {
			return false, nil
		}
		return still(ctx)
	}})
}

// named is what a tag names: nothing, if there is no such tag; unreadable, if
// what it names is damaged.
func (c *chain) named(ctx context.Context, repo, tag string) (digest.Digest, error) {
	m, err := c.reader.manifest(ctx, repo, tag)
	switch {
	case err == nil:
		return m.Digest, nil
	case errors.Is(err, registry.ErrNotFound):
		return "", nil
	case isContent(err):
		return unreadable, nil
	}
	return "", err
}

const unreadable digest.Digest = "unreadable"

// doubtTag notes that a tag names found rather than wanted.
func (c *chain) doubtTag(missing, moved Code, f Finding, repo string, found, wanted digest.Digest, what string) error {
	f.Digest = wanted
	if found == "" {
		f.Code, f.Detail = missing, fmt.Sprintf("The tag %s is not there; it should name %s, %s.", f.Tag, wanted, what)
	} else {
		f.Code, f.Repair, f.Advice = moved, nil, ""
		f.Detail = fmt.Sprintf("The tag %s names %s; it should name %s, %s.", f.Tag, found, wanted, what)
	}
	return c.doubt(f, func(ctx context.Context) (bool, error) {
		now, err := c.named(ctx, repo, f.Tag)
		return now != wanted, err
	})
}

// repairable says what puts a finding right, if the ledger does that.
func (c *chain) repairable(f *Finding, r Repair) {
	if c.namespace == "" || c.closed {
		f.Advice = "Put the tag back with an OCI client that may write it: the server writes neither to deleted namespaces nor the older tags of the system catalog."
		return
	}
	f.Repair = &r
}

// visit checks the next older revision.
func (c *chain) visit(ctx context.Context, it *item) error {
	if it.number <= c.head.checkpoint {
		return nil // a record that was read since says that it is thinned
	}
	it, err := c.settle(ctx, it)
	if err != nil {
		return err
	}
	if it == nil {
		c.lose()
		return nil
	}
	rev, err := it.unpack()
	if err != nil {
		d := it.manifest.Digest
		f := c.finding(RevisionDamaged, it.number, d, "Revision %d cannot be read: %v.", it.number, err)
		c.lose()
		if !isContent(err) { // its bytes are what their digests say
			return c.report(f)
		}
		number := it.number // what was read is not held until the end
		return c.doubt(f, func(ctx context.Context) (bool, error) {
			again, err := c.fetch(ctx, number, d.String())
			if err != nil {
				return false, err
			}
			_, err = again.unpack()
			return err != nil, nil
		})
	}
	if rev.Record.Number != it.number {
		what := "it is its tag's"
		if c.child != nil {
			what = fmt.Sprintf("revision %d names it as its parent", c.child.number)
		}
		c.lose()
		return c.report(c.finding(ChainBroken, it.number, rev.Manifest.Digest, "Where revision %d should be is revision %d: %s.", it.number, rev.Record.Number, what))
	}
	if it.deep && it.layerErr != nil {
		if err := c.doubtLayer(it); err != nil {
			return err
		}
	}
	return c.follow(ctx, rev)
}

// settle returns the revision that the chain names at this place, or nil if it
// cannot be read; then that is noted.
func (c *chain) settle(ctx context.Context, it *item) (*item, error) {
	tag := artifact.RevisionTag(it.number)
	if it.manifestErr == nil && (c.expected == "" || it.manifest.Digest == c.expected) {
		return it, nil
	}
	found := it.manifest.Digest
	switch {
	case errors.Is(it.manifestErr, registry.ErrNotFound):
		found = ""
	case it.manifestErr != nil:
		found = unreadable
	}
	real := &item{number: it.number, manifestErr: it.manifestErr}
	reference, what := tag, fmt.Sprintf("Revision %d", it.number)
	if c.expected != "" {
		reference = c.expected.String()
		what += " (" + reference
		if c.child != nil {
			what += fmt.Sprintf(", which revision %d names as its parent", c.child.number)
		}
		what += ")"
		var err error
		if real, err = c.fetch(ctx, it.number, reference); err != nil {
			return nil, err
		}
	}
	if real.manifestErr == nil {
		if rev, err := real.unpack(); err == nil && rev.Record.Number != it.number {
			return real, nil // the tag is right, and what names the parent is not
		}
		f := Finding{Namespace: c.namespace, Repository: c.repo, Tag: tag, Revision: it.number}
		c.repairable(&f, Repair{Tag: tag, Digest: c.expected})
		return real, c.doubtTag(RevisionTagMissing, RevisionTagMoved, f, c.repo, found, c.expected, "as the history says")
	}
	f := c.finding(RevisionMissing, it.number, c.expected, "%s is not in the registry", what)
	if !errors.Is(real.manifestErr, registry.ErrNotFound) {
		f = c.finding(RevisionDamaged, it.number, c.expected, "%s cannot be read: %v", what, real.manifestErr)
	}
	f.Tag = tag
	switch {
	case found == "" && c.expected != "":
		f.Detail += ", nor is its tag"
	case found != "" && found != unreadable:
		f.Detail += fmt.Sprintf("; its tag names %s", found)
	}
	f.Detail += "."
	return nil, c.doubt(f, func(ctx context.Context) (bool, error) {
		again, err := c.named(ctx, c.repo, reference)
		return again == "" || again == unreadable, err
	})
}

// lose goes on below a revision that cannot be read.
func (c *chain) lose() {
	c.expected, c.child, c.complete = "", nil, false
	c.replay.gap()
}

func (c *chain) doubtLayer(it *item) error {
	f := c.finding(LayerDamaged, it.number, it.blobs[1].Digest, "The layer of revision %d cannot be read: %v.", it.number, it.layerErr)
	f.Tag = artifact.RevisionTag(it.number)
	d := it.blobs[1]
	return c.doubt(f, func(ctx context.Context) (bool, error) {
		_, err := c.reader.blob(ctx, c.repo, d)
		if err != nil && !isContent(err) {
			return false, err
		}
		return err != nil, nil
	})
}

// follow checks a revision against the one after it, and replays it.
func (c *chain) follow(ctx context.Context, rev *revision) error {
	record, d := rev.Record, rev.Manifest.Digest
	var findings []Finding
	note := func(code Code, number int64, d digest.Digest, format string, args ...any) {
		findings = append(findings, c.finding(code, number, d, format, args...))
	}
	if record.Scope != c.scope {
		note(ScopeWrong, rev.number, d, "The record of revision %d is of %s, not of %s.", rev.number, record.Scope, c.scope)
	}
	// Times are of one length, so they compare as text.
	if c.child != nil && c.child.Record.Time <= record.Time {
		note(TimeBackwards, c.child.number, c.child.Manifest.Digest, "The time of revision %d, %s, is not after that of revision %d, %s.", c.child.number, c.child.Record.Time, rev.number, record.Time)
	}
	if why := implausible(record, c.writer); why != "" {
		note(WriterImplausible, rev.number, d, "Of revision %d, %s.", rev.number, why)
	} else {
		if c.writer == "" && c.younger(record) {
			if err := c.doubtWriter(rev); err != nil {
				return err
			}
		}
		c.writer = record.Writer
	}
	findings = append(findings, c.checkpointOf(rev)...)
	for _, f := range findings {
		if err := c.report(f); err != nil {
			return err
		}
	}
	c.deployed.see(rev.number, d)
	c.counts.revisions.Add(1)
	if rev.thinned {
		c.counts.thinned.Add(1)
	}
	c.expected, c.child = record.Parent, rev
	if rev.number == 1 {
		c.takenOver = record.Parent != ""
	}
	return c.replay.step(ctx, c, rev)
}

// doubtWriter notes that a record's claim is younger than the one that stands,
// unless that was replaced meanwhile.
func (c *chain) doubtWriter(rev *revision) error {
	f := c.finding(WriterImplausible, rev.number, rev.Manifest.Digest,
		"Of revision %d, its writer's claim %s is younger than the one at the writer repository.", rev.number, rev.Record.Writer)
	t, _ := artifact.ClaimTime(rev.Record.Writer)
	return c.doubt(f, func(ctx context.Context) (bool, error) {
		now, _, err := c.claimNow(ctx)
		return now.ok && t > now.time, err
	})
}

// checkFirst checks what comes before revision 1.
func (c *chain) checkFirst(ctx context.Context) error {
	if c.child == nil || c.child.number != 1 {
		c.complete = false
		return nil
	}
	if !c.takenOver {
		return nil
	}
	tag, parent := artifact.RevisionTag(0), c.child.Record.Parent
	found, err := c.named(ctx, c.repo, tag)
	if err != nil {
		return err
	}
	if found != parent {
		f := Finding{Namespace: c.namespace, Repository: c.repo, Tag: tag}
		if err := c.doubtTag(RevisionTagMissing, RevisionTagMoved, f, c.repo, found, parent, "the catalog that was taken over"); err != nil {
			return err
		}
	}
	c.deployed.see(0, parent)
	if _, err := c.reader.artifact(ctx, c.repo, parent.String()); err != nil {
		if !isContent(err) {
			return err
		}
		f := c.finding(RevisionDamaged, 0, parent, "The catalog that was taken over cannot be read: %v.", err)
		return c.doubt(f, func(ctx context.Context) (bool, error) {
			_, err := c.reader.artifact(ctx, c.repo, parent.String())
			if err != nil && !isContent(err) {
				return false, err
			}
			return err != nil, nil
		})
	}
	return nil
}

func placeOf(t artifact.Thinned) place {
	p := place{number: t.Record.Number, digest: t.Manifest.Digest, time: t.Record.Time}
	if t.Record.Checkpoint != nil {
		p.checkpoint = t.Record.Checkpoint.Number
	}
	return p
}
