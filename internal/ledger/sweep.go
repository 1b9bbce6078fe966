package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// doomed is a manifest that a collection found out of reach. It is judged again
// at the moment when it is deleted.
type doomed struct {
	repo      string
	digest    digest.Digest
	revision  int64           // its number; 0 if it is a version of a resource
	deleted   string          // the resource, if it is a version of one that is deleted
	referrers []digest.Digest // what is about it, and goes before it
	bytes     int64           // of it and of what it names, its referrers included
}

// A slice of deletions is so short that no writer notices: it ends early when
// one waits, or when it has taken long enough. Then the collection pauses for as
// long as the slice took.
const (
	sliceMost     = 32
	sliceTime     = 200 * time.Millisecond
	deleteAtOnce  = 8
	runningStale  = 10 * time.Second // after which what clusters run is read again
	maxReferrers  = 1000             // of one manifest; one that has more stays
	referrerDepth = 4                // of referrers of referrers
)

var errPolicyChanged = fail(CodePreconditionFailed, nil, "the namespace's retention was changed meanwhile; the next collection goes by the new one")

// sweep deletes what is still out of reach, in slices; in a dry run, it counts.
func (r *collection) sweep(ctx context.Context, m *mark, list []doomed) error {
	if len(list) == 0 {
		return nil
	}
	if r.dryRun {
		for _, d := range list {
			r.count(d)
		}
		return nil
	}
	if err := r.probe(ctx); err != nil {
		return err
	}
	for len(list) > 0 {
		if err := r.refresh(ctx, m); err != nil {
			return err
		}
		var n int
		var err error
		began := time.Now()
		if stopped := r.ns.between(ctx, func(ctx context.Context) { n, err = r.slice(ctx, m, list) }); stopped != nil {
			return stopped
		}
		if err != nil && !errors.Is(err, errSettling) {
			return err
		}
		list = list[n:]
		pause := time.Since(began)
		if n == 0 {
			pause = watchSettling
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
	return nil
}

// count notes a deletion.
func (r *collection) count(d doomed) {
	r.note(func(c *Collection) {
		r.deleted = true
		c.Bytes += d.bytes
		c.Referrers += len(d.referrers)
		if d.revision > 0 {
			c.Revisions++
		} else {
			c.Versions++
		}
	})
}

// refresh reads again what clusters run, if that is some time ago.
func (r *collection) refresh(ctx context.Context, m *mark) error {
	if time.Since(r.running.read) < runningStale {
		return nil
	}
	now, err := r.l.runningRevisions(ctx, r.ns.name)
	if err != nil {
		return err
	}
	for d := range now.digests {
		if r.running.digests[d] {
			continue
		}
		s, err := r.catalog(ctx, d)
		if err != nil {
			return err
		}
		m.keep(s)
	}
	r.running = now
	return nil
}

// slice deletes the first few of a list and returns how many are done with.
// Only the worker may call it.
func (r *collection) slice(ctx context.Context, m *mark, list []doomed) (int, error) {
	ns := r.ns
	if problem := ns.problem.Load(); problem != nil {
		return 0, problem
	}
	if ns.chain.settling() {
		return 0, errSettling
	}
	if r.l.effective(r.l.system.content.Load().Namespaces[ns.name].Retention) != r.policy {
		return 0, errPolicyChanged
	}
	claim := newStanding(ns.chain.claim)
	if err := claim.check(ctx); err != nil {
		return 0, err
	}
	began := time.Now() // a look at the claim that takes long leaves time for deletions
	head := ns.state.Load()
	present := make(map[digest.Digest]bool, len(head.Entries))
	for _, e := range head.Entries {
		present[e.Digest] = true
	}
	done := 0
	for done < min(len(list), sliceMost) && time.Since(began) < sliceTime {
		if here, _ := ns.waiting(); here > 0 && done > 0 || ns.closing() {
			break
		}
		few := list[done:min(done+deleteAtOnce, len(list))]
		errs := make([]error, len(few))
		_ = each(ctx, len(few), func(ctx context.Context, i int) error {
			if r.outOfReach(few[i], m, head, present) {
				errs[i] = r.delete(ctx, few[i], claim)
			}
			return nil // what is under way is not broken off because another failed
		})
		var failed error
		for i, err := range errs {
			if err != nil && !registry.Settled(err) {
				// It can still be carried out, and must not hit what was put
				// there again.
				ns.bar(few[i].digest)
			}
			failed = errors.Join(failed, err)
		}
		if failed != nil {
			return done, failed
		}
		done += len(few)
	}
	return done, nil
}

// outOfReach judges a manifest by the state of this moment. The worker calls
// it, so nothing is committed meanwhile.
func (r *collection) outOfReach(d doomed, m *mark, head *state, present map[digest.Digest]bool) bool {
	if d.revision > 0 {
		return head.checkpoint != nil && d.revision <= head.checkpoint.Number && d.revision < head.Revision.Number-1 && !r.running.digests[d.digest]
	}
	if d.deleted != "" && head.Find(d.deleted) != nil {
		return false // it is there again, and another rule counts
	}
	return !present[d.digest] && !m.kept[d.digest] && !r.reused.has(d.digest) && !r.ns.awaits(d.digest)
}

// awaits reports whether a request in the queue is about to bring a version
// back.
func (ns *namespace) awaits(d digest.Digest) bool {
	ns.mu.Lock()
	defer ns.mu.Unlock()
	for _, p := range ns.queue {
		if !p.answered.Load() && p.bringsBack(d) {
			return true
		}
	}
	return false
}

// bringsBack reports whether a rollback would make a version the present one.
func (r Request) bringsBack(d digest.Digest) bool {
	for _, c := range r.Changes {
		if c.earlier != nil && c.earlier.Digest == d {
			return true
		}
	}
	if r.past != nil {
		for _, e := range r.past.Entries {
			if e.Digest == d {
				return true
			}
		}
	}
	return false
}

// delete deletes a manifest, what is about it first: once it is gone, nothing
// would lead there. One that is not there is not counted.
func (r *collection) delete(ctx context.Context, d doomed, claim *standing) error {
	for _, about := range d.referrers {
		if err := claim.check(ctx); err != nil {
			return err
		}
		if err := remove(ctx, r.ns.chain.reg, d.repo, about); err != nil && !errors.Is(err, registry.ErrNotFound) {
			return fmt.Errorf("deleting %s of %s: %w", about, d.repo, err)
		}
	}
	if err := claim.check(ctx); err != nil {
		return err
	}
	err := remove(ctx, r.ns.chain.reg, d.repo, d.digest)
	if errors.Is(err, registry.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deleting %s of %s: %w", d.digest, d.repo, err)
	}
	r.count(d)
	return nil
}

// bar keeps a digest from being put again until a deletion that was not
// answered has been carried out or never will be.
func (ns *namespace) bar(d digest.Digest) {
	if ns.barred == nil {
		ns.barred = map[digest.Digest]time.Time{}
	}
	ns.barred[d] = time.Now().Add(settle)
}

// checkBarred refuses outcomes that would put a barred digest.
func (ns *namespace) checkBarred(outcomes []Outcome) error {
	for d, until := range ns.barred {
		if !time.Now().Before(until) {
			delete(ns.barred, d)
		}
	}
	if len(ns.barred) == 0 {
		return nil
	}
	for _, o := range outcomes {
		if until, ok := ns.barred[o.Digest]; ok && o.Operation != Unchanged {
			return fail(CodeRegistryUnavailable, nil, "version %s of %s was being deleted, and the registry has not said whether it is; nothing changed, try again in %d s", o.Version, o.Name, int(time.Until(until).Seconds())+1)
		}
	}
	return nil
}

// examine completes what is known of a doomed manifest: its size and its
// referrers. found is false if it is not there, or has to stay because a tag
// names it, or something about it, that the ledger did not put.
func (r *collection) examine(ctx context.Context, repo, tag string, foreign *foreignTags) (d doomed, m registry.Manifest, found bool, err error) {
	m, err = manifest(ctx, r.l.o.Registry, repo, tag)
	if errors.Is(err, registry.ErrNotFound) {
		return d, m, false, nil
	}
	if err != nil {
		return d, m, false, fmt.Errorf("reading %s of %s: %w", tag, repo, err)
	}
	d = doomed{repo: repo, digest: m.Digest, bytes: sizeOf(m)}
	if foreign.kept[m.Digest] {
		return d, m, false, nil
	}
	about, size, err := r.about(ctx, repo, m.Digest, foreign, referrerDepth)
	if err != nil {
		return d, m, false, err
	}
	if len(about) > maxReferrers {
		r.l.o.Log.Warn("a manifest with so many referrers is not deleted", "repository", repo, "manifest", m.Digest, "referrers", len(about))
		return d, m, false, nil
	}
	d.referrers, d.bytes = about, d.bytes+size
	return d, m, true, nil
}

// about returns what refers to a manifest, the outermost first, and how large
// it is: by its subject, or by the tag sha256-<digest>… that signers without
// referrers use. What a foreign tag names is left out.
func (r *collection) about(ctx context.Context, repo string, subject digest.Digest, foreign *foreignTags, depth int) ([]digest.Digest, int64, error) {
	found, err := referrers(ctx, r.l.o.Registry, repo, subject)
	if err != nil {
		return nil, 0, fmt.Errorf("reading the referrers of %s of %s: %w", subject, repo, err)
	}
	var named []digest.Digest
	for _, f := range found {
		named = append(named, f.Digest)
	}
	named = append(named, foreign.abouts[subject]...)
	var all []digest.Digest
	var size int64
	for _, d := range named {
		if foreign.kept[d] || depth == 0 || len(all) > maxReferrers {
			continue
		}
		m, err := manifest(ctx, r.l.o.Registry, repo, d.String())
		if errors.Is(err, registry.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, 0, fmt.Errorf("reading %s of %s: %w", d, repo, err)
		}
		inner, innerSize, err := r.about(ctx, repo, d, foreign, depth-1)
		if err != nil {
			return nil, 0, err
		}
		all = append(append(all, inner...), d)
		size += sizeOf(m) + innerSize
	}
	return all, size, nil
}

func sizeOf(m registry.Manifest) int64 {
	size := int64(len(m.Data))
	if content, err := m.Content(); err == nil {
		for _, b := range content.Blobs {
			size += b.Size
		}
	}
	return size
}
