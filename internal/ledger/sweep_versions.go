package ledger

import (
	"context"
	"slices"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
)

// resourcesAtOnce is how many resources' tags are held at a time.
const resourcesAtOnce = 16

// old are the versions of one resource that may go.
type old struct {
	name     string
	deleted  bool             // the resource
	versions []intent.Version // in their order
	foreign  *foreignTags
	rest     bool // the resource has others, too
}

// sweepVersions deletes versions of resources that no kept revision has.
func (r *collection) sweepVersions(ctx context.Context, m *mark) error {
	leftovers := map[string]bool{}
	for names := range slices.Chunk(m.sorted(), resourcesAtOnce) {
		found := make([]old, len(names))
		err := each(ctx, len(names), func(ctx context.Context, i int) (err error) {
			found[i], err = r.oldVersions(ctx, m, names[i])
			return err
		})
		if err != nil {
			return err
		}
		for _, o := range found {
			stays, err := r.sweepResource(ctx, m, o)
			if err != nil {
				return err
			}
			if o.deleted && (stays || o.rest) {
				leftovers[o.name] = true
			}
		}
	}
	if !r.dryRun {
		r.ns.leftovers.set(leftovers, m.upTo)
	}
	return nil
}

// oldVersions reads which versions a resource has, and returns those that the
// policy and the mark by their time do not keep.
func (r *collection) oldVersions(ctx context.Context, m *mark, name string) (old, error) {
	o := old{name: name, deleted: r.ns.state.Load().Find(name) == nil}
	repo := r.l.layout.Resource(intent.Ref{Namespace: r.ns.name, Name: name})
	var versions []intent.Version
	var others []string
	err := r.tags(ctx, repo, func(tag string) error {
		if v, err := intent.ParseVersion(tag); err == nil {
			versions = append(versions, v)
		} else if tag != artifact.Latest && len(others) <= maxForeignTags {
			others = append(others, tag)
		}
		return nil
	})
	if err != nil || len(versions) == 0 {
		return o, err
	}
	slices.Sort(versions)
	keep := r.policy.Revisions
	last := versions[len(versions)-1]
	if o.deleted && r.isOlder(last, r.policy.TombstonesSeconds) {
		keep = 0
	}
	for i, v := range versions[:max(0, int64(len(versions))-keep)] {
		replaced := v // a tombstone counts from the deletion
		if i+1 < len(versions) {
			replaced = versions[i+1]
		}
		if v < m.oldest && r.isOlder(replaced, r.policy.Seconds) {
			o.versions = append(o.versions, v)
		}
	}
	o.rest = len(o.versions) < len(versions)
	if len(o.versions) == 0 {
		return o, nil
	}
	if !o.deleted {
		others = append(others, artifact.Latest) // wherever it points
	}
	o.foreign, err = r.readForeign(ctx, repo, others)
	return o, err
}

// isOlder reports whether a version is so many seconds old, and old enough for
// anything to be deleted.
func (r *collection) isOlder(v intent.Version, seconds int64) bool {
	return r.l.o.Now().Sub(v.Time()) >= max(time.Duration(seconds)*time.Second, youngest)
}

// sweepResource deletes versions of a resource, oldest first, so that an
// interruption leaves the newest. stays is true if any of them stays.
func (r *collection) sweepResource(ctx context.Context, m *mark, o old) (stays bool, err error) {
	repo := r.l.layout.Resource(intent.Ref{Namespace: r.ns.name, Name: o.name})
	for few := range slices.Chunk(o.versions, examineMost) {
		found := make([]*doomed, len(few))
		err := each(ctx, len(few), func(ctx context.Context, i int) error {
			d, _, ok, err := r.examine(ctx, repo, few[i].String(), o.foreign)
			if err != nil || !ok {
				return err
			}
			if o.deleted {
				d.deleted = o.name
			}
			found[i] = &d
			return nil
		})
		if err != nil {
			return true, err
		}
		var list []doomed
		for _, d := range found {
			if d != nil && !m.kept[d.digest] {
				list = append(list, *d)
			} else {
				stays = true
			}
		}
		// A deleted resource's tombstone goes when all else is gone: until then
		// latest names it.
		last := len(list)
		if o.deleted && last > 1 {
			last--
		}
		for _, part := range [][]doomed{list[:last], list[last:]} {
			if err := r.sweep(ctx, m, part); err != nil {
				return true, err
			}
		}
	}
	return stays, nil
}
