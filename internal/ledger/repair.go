package ledger

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

// MaxRepairs bounds the tags of one Repair.
const MaxRepairs = 1000

// repairTime bounds how long a Repair looks for what its tags should name.
const repairTime = 20 * time.Second

// RepairTag is a tag that is said to be wrong.
type RepairTag struct {
	Resource string // whose it is; empty: the catalog's
	Tag      string // of a resource: latest, or a version; of the catalog: a revision
}

// RepairResult says what became of a tag.
type RepairResult string

// The results.
const (
	TagRepaired RepairResult = "repaired" // it was put
	TagRight    RepairResult = "right"    // nothing was wrong with it
	TagRefused  RepairResult = "refused"  // it cannot be derived, or its manifest is lost
)

// RepairedTag is a tag after Ledger.Repair.
type RepairedTag struct {
	RepairTag
	Result RepairResult
	Digest digest.Digest // what it should name; empty if no record says so
	Detail string        // why it was refused
}

// wanted is a tag on its way.
type wanted struct {
	repo   string
	name   string         // of the resource; empty: the catalog
	tag    string         // as it is put
	number int64          // of the revision; 0: it is a resource's
	v      intent.Version // 0: latest
	result RepairedTag
}

// Repair puts tags where the namespace's history says that they belong: a
// resource's latest at the version that the newest commit record gives it, lost
// version tags and lost revision tags at the manifests that records name, if
// those are there. It does nothing else: a write-once tag that names something
// is left alone. What is put is durable when it returns. It is judged and done by
// the namespace's worker, between two batches. Repeating it is safe.
func (l *Ledger) Repair(ctx context.Context, namespace string, tags []RepairTag) ([]RepairedTag, error) {
	if len(tags) == 0 || len(tags) > MaxRepairs {
		return nil, fail(CodeInvalid, intent.Invalid{{Pointer: "/tags", Detail: fmt.Sprintf("%d tags, it must be 1 to %d", len(tags), MaxRepairs)}}, "there are %d tags, it must be 1 to %d", len(tags), MaxRepairs)
	}
	if err := l.Ready(); err != nil {
		return nil, err
	}
	ns, err := l.namespace(namespace)
	if err != nil {
		return nil, err
	}
	work, err := ns.wanted(tags)
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, repairTime)
	defer cancel()
	head := ns.state.Load()
	if err := ns.derive(limited, head, 0, work); err != nil {
		return nil, readFailed(err, "the history of namespace %s", namespace)
	}
	for rest := work; len(rest) > 0; {
		slice := rest[:min(tagSlice, len(rest))]
		rest = rest[len(slice):]
		stopped := ns.between(ctx, func(ctx context.Context) { err = ns.repair(ctx, head, slice) })
		if stopped != nil {
			return nil, fail(CodeRegistryUnavailable, stopped, "the tags of namespace %s were not all looked at in time; repeating it is safe", namespace)
		}
		if err != nil {
			return nil, err
		}
	}
	results := make([]RepairedTag, len(work))
	for i, w := range work {
		results[i] = w.result
	}
	return results, nil
}

// wanted reads what is asked for.
func (ns *namespace) wanted(tags []RepairTag) ([]*wanted, error) {
	var faults intent.Invalid
	work := make([]*wanted, len(tags))
	for i, t := range tags {
		w := &wanted{repo: ns.chain.repo, name: t.Resource, tag: t.Tag, result: RepairedTag{RepairTag: t, Result: TagRefused, Detail: "no commit record names it"}}
		work[i] = w
		var err error
		switch {
		case t.Resource == "":
			if w.number, err = artifact.ParseRevisionTag(t.Tag); err == nil && w.number == 0 {
				err = errors.New("r0 is no revision")
			}
		case !intent.IsLabel(t.Resource):
			err = fmt.Errorf("%q is not the name of a resource", t.Resource)
		case t.Tag != artifact.Latest:
			w.v, err = intent.ParseVersion(t.Tag)
		}
		if t.Resource != "" {
			w.repo = ns.l.layout.Resource(intent.Ref{Namespace: ns.name, Name: t.Resource})
		}
		if err != nil {
			faults = append(faults, intent.Fault{Pointer: fmt.Sprintf("/tags/%d", i), Detail: err.Error()})
		}
	}
	if len(faults) > 0 {
		return nil, fail(CodeInvalid, faults, "only latest and versions of resources, and revisions of the catalog, can be repaired")
	}
	return work, nil
}

// derive finds in the commit records what tags should name, from a head down to
// the revision after last. Each revision is read by the digest that the one
// after it names, so that a lost tag does not end it.
func (ns *namespace) derive(ctx context.Context, head *state, last int64, work []*wanted) error {
	open := map[string][]*wanted{} // by resource
	left := 0
	for _, w := range work {
		if last == 0 || w.isLatest() { // what else was found does not change
			open[w.name] = append(open[w.name], w)
			left++
		}
	}
	found := func(name string, d digest.Digest, is func(*wanted) bool) {
		for i, w := range open[name] {
			if w != nil && is(w) {
				w.result.Digest, open[name][i] = d, nil
				left--
			}
		}
	}
	place := Place{head.Revision.Number, head.Revision.Digest}
	for place.Number > last && left > 0 {
		if (head.Revision.Number-place.Number)%walkAhead == 0 {
			ns.readAhead(ctx, place.Number, last, head)
		}
		c, err := ns.commitBy(ctx, place, head.checkpoint)
		if err != nil {
			return err
		}
		found("", c.Revision.Digest, func(w *wanted) bool { return w.number == c.Revision.Number })
		for _, change := range c.Changes {
			if change.After != nil {
				found(change.Name, change.After.Digest, func(w *wanted) bool { return w.isLatest() || w.v.String() == change.After.Version })
			}
		}
		place = Place{place.Number - 1, c.Parent}
	}
	return nil
}

// isLatest reports whether it is a resource's latest.
func (w *wanted) isLatest() bool { return w.number == 0 && w.v == 0 }

// readAhead reads commits into memory, as far as their tags are there.
func (ns *namespace) readAhead(ctx context.Context, from, last int64, head *state) {
	var group errgroup.Group
	group.SetLimit(examineAtOnce)
	for n := from; n > max(last, from-walkAhead); n-- {
		if head.checkpoint != nil && n <= head.checkpoint.Number {
			break // one read brings them all
		}
		group.Go(func() error {
			_, _ = ns.commitRecord(ctx, n, head) // whoever needs it is told
			return nil
		})
	}
	_ = group.Wait() // none returns an error
}

// commitBy returns a commit by the digest that its child names.
func (ns *namespace) commitBy(ctx context.Context, p Place, checkpoint *artifact.CheckpointRef) (Commit, error) {
	if c, ok := ns.l.commits.get(cacheKey{ns.name, p.Number}); ok && c.Revision.Digest == p.Digest {
		return c, nil
	}
	var c Commit
	var err error
	if checkpoint != nil && p.Number <= checkpoint.Number {
		c, err = ns.thinnedRecord(ctx, p.Number, checkpoint)
	} else {
		var m registry.Manifest
		var t artifact.Thinned
		if m, err = manifest(ctx, ns.chain.reg, ns.chain.repo, p.Digest.String()); err == nil {
			t, err = ns.chain.thin(ctx, m)
		}
		if err == nil {
			c, err = commitOf(t)
		}
	}
	if err == nil && (c.Revision.Number != p.Number || c.Revision.Digest != p.Digest) {
		err = fmt.Errorf("revision %d of %s is %s, the one after it names %s: %w", p.Number, ns.chain.repo, c.Revision.Digest, p.Digest, errDamaged)
	}
	return c, err
}

// repair puts a few tags, once they are judged again by what was committed since
// seen. Only the worker may call it.
func (ns *namespace) repair(ctx context.Context, seen *state, work []*wanted) error {
	ctx, cancel := context.WithTimeout(ctx, repairTime)
	defer cancel()
	if problem := ns.problem.Load(); problem != nil {
		return problem
	}
	if ns.chain.settling() {
		return fail(CodeRegistryUnavailable, nil, "an earlier write to namespace %s has not settled; try again in %d s", ns.name, int(settle/time.Second))
	}
	head := ns.state.Load()
	if err := ns.derive(ctx, head, seen.Revision.Number, work); err != nil {
		return readFailed(err, "the history of namespace %s", ns.name)
	}
	for i, w := range work {
		if i%tagSlice == 0 || w.isLatest() {
			if err := ns.chain.claim.check(ctx); err != nil {
				if errors.Is(err, errSuperseded) {
					return errSupersededBy(err)
				}
				return fail(CodeRegistryUnavailable, err, "the writer claim cannot be read; try again later")
			}
		}
		if err := ns.repairTag(ctx, head, w); err != nil {
			return err
		}
	}
	return nil
}

// repairTag puts one tag, if it may.
func (ns *namespace) repairTag(ctx context.Context, head *state, w *wanted) error {
	r := &w.result
	if r.Digest == "" {
		return nil
	}
	named, err := resolve(ctx, ns.chain.reg, w.repo, w.tag)
	lost := errors.Is(err, registry.ErrNotFound)
	switch {
	case err == nil && named == r.Digest:
		r.Result, r.Detail = TagRight, ""
		return nil
	case err != nil && !lost:
		return readFailed(err, "%s of %s", w.tag, w.repo)
	case !lost && !w.isLatest():
		r.Detail = fmt.Sprintf("it names %s, and what was written once is not overwritten", named)
		return nil
	case w.number > 0 && head.checkpoint != nil && w.number <= head.checkpoint.Number:
		r.Detail = "the revision is thinned"
		return nil
	}
	a, err := get(ctx, ns.chain.reg, w.repo, r.Digest.String())
	switch {
	case errors.Is(err, registry.ErrNotFound), errors.Is(err, registry.ErrCorrupt):
		r.Detail = fmt.Sprintf("%s is not in the registry, or damaged", r.Digest)
		return nil
	case err != nil:
		return readFailed(err, "%s of %s", r.Digest, w.repo)
	}
	if err := commitTag(ctx, ns.chain.reg, registry.Tag{Repository: w.repo, Name: w.tag, Manifest: a.Manifest}); err != nil {
		if errors.Is(err, errSuperseded) {
			return errSupersededBy(err)
		}
		if !registry.Settled(err) {
			// It can land late, over what a commit gives the tag: that has to wait.
			ns.chain.settledAt = time.Now().Add(settle)
			return fail(CodeOutcomeUnknown, err, "the registry has not confirmed that %s of %s was put; repeating it is safe", w.tag, w.repo)
		}
		return fail(CodeRegistryUnavailable, err, "the registry did not take %s of %s; repeating it is safe", w.tag, w.repo)
	}
	r.Result, r.Detail = TagRepaired, ""
	ns.l.o.Log.Info("tag repaired", "namespace", ns.name, "repository", w.repo, "tag", w.tag, "was", named, "is", r.Digest)
	return nil
}
