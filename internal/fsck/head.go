package fsck

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// tagSet are the tags of a chain's repository.
type tagSet struct {
	revisions   []int64 // sorted
	checkpoints []int64 // sorted
	others      []string
}

// ofReferrers matches the tags by which clients attach signatures and the like
// (OCI distribution specification 1.1, "Referrers Tag Schema", and cosign's).
var ofReferrers = regexp.MustCompile(`^sha(256|512)-[0-9a-f]+(\.[a-z0-9]+)?$`)

func (s *tagSet) highest() int64 {
	if len(s.revisions) == 0 {
		return 0
	}
	return s.revisions[len(s.revisions)-1]
}

func (s *tagSet) has(revision int64) bool {
	_, found := slices.BinarySearch(s.revisions, revision)
	return found
}

// maxOthers bounds the tags that nobody knows.
const maxOthers = 1000

func (c *chain) readTags(ctx context.Context) error {
	c.tags = tagSet{}
	err := c.reader.tags(ctx, c.repo, func(tag string) {
		switch {
		case tag == artifact.Latest, ofReferrers.MatchString(tag):
			return
		case len(tag) > 1 && tag[0] == 'r':
			if n, err := artifact.ParseRevisionTag(tag); err == nil {
				c.tags.revisions = append(c.tags.revisions, n)
				return
			}
		case len(tag) > 1 && tag[0] == 'c':
			if n, err := artifact.ParseCheckpointTag(tag); err == nil {
				c.tags.checkpoints = append(c.tags.checkpoints, n)
				return
			}
		}
		if len(c.tags.others) < maxOthers {
			c.tags.others = append(c.tags.others, tag)
		}
	})
	slices.Sort(c.tags.revisions)
	slices.Sort(c.tags.checkpoints)
	return err
}

// candidate is what a tag or a digest names.
type candidate struct {
	digest digest.Digest // empty: there is nothing; unreadable: its manifest is damaged
	rev    *revision     // nil: it is not a revision
	why    string        // …because
}

// light reads a revision without its layer, by tag or digest.
func (c *chain) light(ctx context.Context, reference string) (candidate, error) {
	it, err := c.readManifest(ctx, 0, reference)
	if err != nil {
		return candidate{}, err
	}
	switch {
	case errors.Is(it.manifestErr, registry.ErrNotFound):
		return candidate{}, nil
	case it.manifestErr != nil:
		return candidate{digest: unreadable, why: it.manifestErr.Error()}, nil
	}
	it.deep = false
	if err := c.readBlobs(ctx, it); err != nil {
		return candidate{}, err
	}
	rev, err := it.unpack()
	if err != nil {
		return candidate{digest: it.manifest.Digest, why: err.Error()}, nil
	}
	rev.number = rev.Record.Number
	return candidate{digest: it.manifest.Digest, rev: rev}, nil
}

// findHead finds the last committed revision, as a start of the ledger does,
// and notes where latest is not there. Its number is 0 if there is none.
func (c *chain) findHead(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		l, err := c.light(ctx, artifact.Latest)
		if err != nil {
			return err
		}
		if err := c.readTags(ctx); err != nil {
			return err
		}
		// A revision that came in between has both by now.
		if attempt < 3 && (l.rev == nil || l.rev.Record.Number < c.tags.highest()) && c.tags.highest() > 0 {
			continue
		}
		return c.judge(ctx, l)
	}
}

// judge decides which revision is the head.
func (c *chain) judge(ctx context.Context, l candidate) error {
	if l.digest == "" && c.tags.highest() == 0 {
		return nil
	}
	finding := Finding{Namespace: c.namespace, Repository: c.repo, Tag: artifact.Latest, Digest: l.digest}
	var number int64
	if l.rev == nil {
		number = c.tags.highest()
		named, err := c.named(ctx, c.repo, artifact.RevisionTag(number))
		if err != nil {
			return err
		}
		switch {
		case number == 0:
			finding.Code, finding.Detail = RevisionDamaged, fmt.Sprintf("What latest names cannot be read, and there is no revision's tag: %s.", l.why)
		case l.digest == "":
			finding.Code, finding.Detail = LatestMissing, fmt.Sprintf("There is no latest, although there are revisions up to %d.", number)
		case named != l.digest:
			finding.Code, finding.Revision = ForeignCommit, number
			finding.Detail = fmt.Sprintf("latest names %s, which is no revision of this catalog: %s. The last revision is %d, %s.", l.digest, l.why, number, named)
		}
		if l.digest == unreadable {
			finding.Digest = ""
		}
		c.head.digest = named // the walk says what is wrong with it
		if named == "" || named == unreadable {
			c.head.digest = ""
		}
	} else {
		number = l.rev.Record.Number
		if err := c.weigh(ctx, l, &number, &finding); err != nil {
			return err
		}
	}
	if number == 0 {
		return c.doubt(finding, c.latestStill(l.digest))
	}
	c.head.number = number
	if err := c.climb(ctx, l, &finding); err != nil {
		return err
	}
	if finding.Code != "" {
		if err := c.doubt(finding, c.latestStill(l.digest)); err != nil {
			return err
		}
	}
	return c.notOnChain()
}

// latestStill says whether latest is what it was.
func (c *chain) latestStill(found digest.Digest) func(ctx context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		now, err := c.named(ctx, c.repo, artifact.Latest)
		return now == found, err
	}
}

// weigh judges a latest that is a revision, by the tags of it and of its parent.
func (c *chain) weigh(ctx context.Context, l candidate, number *int64, finding *Finding) error {
	n, record := *number, l.rev.Record
	named, err := c.named(ctx, c.repo, artifact.RevisionTag(n))
	if err != nil {
		return err
	}
	if named == l.digest {
		c.take(l.rev)
		return nil
	}
	why := ""
	if named == "" {
		if why, err = c.notAChild(ctx, l.rev); err != nil {
			return err
		}
		if why == "" {
			c.take(l.rev) // committed; its tags are to come
			return nil
		}
		*number = min(n-1, c.tags.highest())
	}
	finding.Revision = n
	finding.Code, finding.Detail = ForeignCommit, fmt.Sprintf("latest names %s as revision %d, which was not committed: %s.", l.digest, n, why)
	if named == "" {
		if *number > 0 {
			if named, err = c.named(ctx, c.repo, artifact.RevisionTag(*number)); err != nil {
				return err
			}
		}
	} else {
		finding.Detail = fmt.Sprintf("latest names %s as revision %d, whose tag names %s.", l.digest, n, named)
		other, err := c.light(ctx, artifact.RevisionTag(n))
		if err != nil {
			return err
		}
		if other.rev != nil && other.rev.number == n {
			if other.rev.Record.Parent == record.Parent {
				finding.Code = LatestAbandoned
			}
			c.take(other.rev)
		}
	}
	if named != "" && named != unreadable {
		c.head.digest = named
	}
	return nil
}

// take makes a revision the head.
func (c *chain) take(rev *revision) {
	c.head = placeOf(rev.Thinned)
	c.checkpoint = rev.Record.Checkpoint
}

// notAChild says why a revision at latest that has no tag was not committed, or
// nothing.
func (c *chain) notAChild(ctx context.Context, rev *revision) (string, error) {
	record := rev.Record
	if record.Scope != c.scope {
		return fmt.Sprintf("its record is of %s", record.Scope), nil
	}
	if why := implausible(record, ""); why != "" {
		return why, nil
	}
	if c.younger(record) {
		now, _, err := c.claimNow(ctx)
		if err != nil {
			return "", err
		}
		if t, _ := artifact.ClaimTime(record.Writer); now.ok && t > now.time {
			return "its writer's claim " + record.Writer + " is younger than the one at the writer repository", nil
		}
	}
	if record.Number == 1 && record.Parent == "" {
		return "", nil
	}
	parent, err := c.named(ctx, c.repo, artifact.RevisionTag(record.Number-1))
	if err != nil || parent == record.Parent {
		return "", err
	}
	if parent == "" { // its tag is lost, too
		p, err := c.light(ctx, record.Parent.String())
		if err != nil || p.rev != nil && p.rev.number == record.Number-1 && p.rev.Record.Scope == c.scope {
			return "", err
		}
	}
	return fmt.Sprintf("its parent %s is not revision %d", record.Parent, record.Number-1), nil
}

// climb goes over the revision tags above latest that continue the chain.
func (c *chain) climb(ctx context.Context, l candidate, finding *Finding) error {
	below := c.head.number
	for c.tags.has(c.head.number + 1) {
		next, err := c.light(ctx, artifact.RevisionTag(c.head.number+1))
		if err != nil {
			return err
		}
		if next.rev == nil || next.rev.number != c.head.number+1 || next.rev.Record.Parent != c.head.digest {
			break
		}
		c.take(next.rev)
	}
	if c.head.number > below && finding.Code == "" {
		finding.Code, finding.Revision = LatestBehind, c.head.number
		finding.Detail = fmt.Sprintf("latest names %s, revision %d; revision %d, %s, was committed after it.", l.digest, below, c.head.number, c.head.digest)
	}
	return nil
}

// notOnChain notes the revision tags above the head.
func (c *chain) notOnChain() error {
	at, _ := slices.BinarySearch(c.tags.revisions, c.head.number+1)
	for _, n := range c.tags.revisions[at:] {
		tag := artifact.RevisionTag(n)
		f := Finding{Code: RevisionOrphan, Namespace: c.namespace, Repository: c.repo, Tag: tag, Revision: n,
			Detail: fmt.Sprintf("There is a tag %s, but the last revision is %d, and it does not continue it.", tag, c.head.number)}
		err := c.doubt(f, func(ctx context.Context) (bool, error) {
			now, err := c.named(ctx, c.repo, tag)
			return now != "" && n > c.fresh.number, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// checkTags notes the other tags that nobody knows.
func (c *chain) checkTags() error {
	for _, tag := range c.tags.others {
		f := Finding{Code: UnknownTag, Namespace: c.namespace, Repository: c.repo, Tag: tag, Detail: fmt.Sprintf("There is a tag %q, which the ledger does not put.", tag)}
		if err := c.report(f); err != nil {
			return err
		}
	}
	if c.complete && !c.takenOver && c.tags.has(0) {
		return c.report(Finding{Code: RevisionOrphan, Namespace: c.namespace, Repository: c.repo, Tag: "r0", Detail: "There is a tag r0, but revision 1 is no take-over."})
	}
	return nil
}
