package fsck

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
)

// resources is what the records of a namespace say of every resource that they
// ever named, to be compared with the resources' repositories.
type resources struct {
	namespace string
	byName    map[string]*resource
	wait      func() error                                // for the checks of artifacts under way; nothing is spawned after it
	spawn     func(check func(ctx context.Context) error) // waits until one can be begun

	mu     sync.Mutex
	config map[string]bool // resources whose (empty) config was read
}

// resource is one of them.
type resource struct {
	newest  ref // of the newest record that names it
	at      int64
	thinned bool         // …which is kept in a checkpoint
	unsure  bool         // a revision that is missing may have named it later
	excused bool         // a record of it is wrong, which was reported
	named   []mark       // every version that a record names
	back    map[ref]bool // versions that rollbacks brought back, and that were read for these
	later   []ref        // by records above the head that was checked up to
}

// mark is a version that a record names.
type mark struct {
	version intent.Version
	duty    duty
}

// duty says what has to be there of a version.
type duty uint8

const (
	optional duty = iota // its record is thinned
	tagged               // artifact and tag; not read in depth
	verified             // …and they were read when its record was
)

// artifactsAtOnce bounds the artifacts of a namespace that are read at once.
const artifactsAtOnce = 16

func newResources(ctx context.Context, namespace string) *resources {
	group, ctx := errgroup.WithContext(ctx)
	checks := make(chan func(context.Context) error)
	for range artifactsAtOnce {
		group.Go(func() error {
			for check := range checks {
				if err := check(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return &resources{
		namespace: namespace, byName: map[string]*resource{}, config: map[string]bool{},
		wait: sync.OnceValue(func() error {
			close(checks)
			return group.Wait()
		}),
		spawn: func(check func(context.Context) error) {
			select {
			case checks <- check:
			case <-ctx.Done(): // wait tells why
			}
		},
	}
}

// see notes that a revision names a version. Revisions come newest first.
func (r *resources) see(name string, named ref, rev *revision, afterGap bool) {
	one := r.one(name)
	if one.at == 0 {
		one.newest, one.at, one.thinned = named, rev.number, rev.thinned
		one.unsure = one.unsure || afterGap
	}
	d := tagged
	if rev.thinned {
		d = optional
	} else if rev.deep {
		d = verified
	}
	one.named = append(one.named, mark{named.version, d})
}

// again reports whether a version was read for a newer revision, which brought it
// back. Only the digests of such versions are held for that.
func (r *resources) again(name string, named ref, operation string) bool {
	one := r.one(name)
	if one.back[named] {
		return true
	}
	if operation == opRollback {
		if one.back == nil {
			one.back = map[ref]bool{}
		}
		one.back[named] = true
	}
	return false
}

// keep notes that a revision that is not thinned has a version.
func (r *resources) keep(name string, has ref) {
	one := r.one(name)
	one.named = append(one.named, mark{has.version, tagged})
}

// excuse notes that a record of a resource is wrong, which was reported: what
// follows from that is not reported again.
func (r *resources) excuse(name string) {
	one := r.one(name)
	one.unsure, one.excused = one.unsure || one.at == 0, true
}

func (r *resources) one(name string) *resource {
	one := r.byName[name]
	if one == nil {
		one = &resource{}
		r.byName[name] = one
	}
	return one
}

// newer notes what a record above the head names.
func (r *resources) newer(name string, named ref) {
	if one := r.byName[name]; one != nil {
		one.later = append(one.later, named)
	}
}

func (r *resources) repo(c *chain, name string) string {
	return c.layout.Resource(intent.Ref{Namespace: r.namespace, Name: name})
}

// check compares the repositories' tags with what the records name.
func (r *resources) check(ctx context.Context, c *chain) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(artifactsAtOnce)
	for _, name := range slices.Sorted(maps.Keys(r.byName)) {
		if !intent.IsLabel(name) {
			continue // no repository can have the name; its change was reported
		}
		group.Go(func() error { return r.checkTags(ctx, c, name, r.byName[name]) })
	}
	return group.Wait()
}

func (r *resources) checkTags(ctx context.Context, c *chain, name string, one *resource) error {
	repo := r.repo(c, name)
	duties := one.duties()
	var old intent.Version // versions of the proof of concept are before it
	if c.takenOver && c.child != nil {
		old, _ = c.child.Record.Stamp()
	}
	var unknown []Finding
	note := func(code Code, tag, format string, args ...any) {
		if len(unknown) < maxOthers {
			unknown = append(unknown, Finding{Code: code, Namespace: c.namespace, Repository: repo, Tag: tag, Resource: name, Detail: fmt.Sprintf(format, args...)})
		}
	}
	there := make(map[intent.Version]bool, len(duties))
	err := c.reader.tags(ctx, repo, func(tag string) {
		v, err := intent.ParseVersion(tag)
		_, known := duties[v]
		switch {
		case err == nil && known:
			there[v] = true
		case err == nil && (v < old || !c.complete || one.excused):
			// It is older than the history, or what may have named it is missing.
		case err == nil:
			note(VersionUnknown, tag, "There is a version %s of %s, which no commit record names.", tag, name)
		case tag != artifact.Latest && !ofReferrers.MatchString(tag):
			note(UnknownTag, tag, "There is a tag %q, which the ledger does not put.", tag)
		}
	})
	if err != nil {
		return err
	}
	for _, f := range unknown {
		if err := r.doubtUnknown(c, one, f); err != nil {
			return err
		}
	}
	for v, d := range duties {
		switch {
		case there[v] || d == verified:
		case d == tagged:
			if err := r.doubtMissing(c, name, one, v); err != nil {
				return err
			}
		case v != one.newest.version:
			c.counts.thinnedVersions.Add(1)
		}
	}
	return r.checkLatest(ctx, c, name, one)
}

// duties returns the strongest duty of each version.
func (one *resource) duties() map[intent.Version]duty {
	duties := make(map[intent.Version]duty, len(one.named))
	for _, m := range one.named {
		duties[m.version] = max(duties[m.version], m.duty)
	}
	return duties
}

func (r *resources) doubtUnknown(c *chain, one *resource, f Finding) error {
	return c.doubt(f, func(ctx context.Context) (bool, error) {
		now, err := c.named(ctx, f.Repository, f.Tag)
		if err != nil || now == "" {
			return false, err
		}
		v, _ := intent.ParseVersion(f.Tag)
		return !slices.ContainsFunc(one.later, func(l ref) bool { return l.version == v }), nil
	})
}

// doubtMissing notes a version whose tag is not listed, though its record is
// not thinned. Which manifest it should name is not held any more.
func (r *resources) doubtMissing(c *chain, name string, one *resource, v intent.Version) error {
	f := Finding{Code: VersionMissing, Namespace: c.namespace, Repository: r.repo(c, name), Tag: v.String(), Resource: name,
		Detail: fmt.Sprintf("The version %s of %s, which a commit record names, has no tag.", v, name)}
	return c.doubt(f, func(ctx context.Context) (bool, error) {
		if c.fresh.checkpoint > c.head.checkpoint {
			return false, nil // it may have been thinned meanwhile
		}
		now, err := c.named(ctx, f.Repository, f.Tag)
		return now == "", err
	})
}

// checkLatest compares a resource's latest with the newest record, and verifies
// a present version that no record in depth has named.
func (r *resources) checkLatest(ctx context.Context, c *chain, name string, one *resource) error {
	if one.unsure {
		return nil
	}
	repo := r.repo(c, name)
	tombstone, err := artifact.Tombstone(intent.Ref{Namespace: r.namespace, Name: name}, one.newest.version)
	if err != nil {
		return err
	}
	live := tombstone.Manifest.Digest != one.newest.digest
	now, err := c.named(ctx, repo, artifact.Latest)
	if err != nil {
		return err
	}
	if one.thinned && !live && now == "" {
		c.counts.thinnedVersions.Add(1)
		return nil // nothing is left of it
	}
	if one.thinned && live && c.head.time >= c.since { // it is in use, so it stays
		if err := r.verifyThinned(ctx, c, name, one); err != nil {
			return err
		}
	}
	if now == one.newest.digest {
		return nil
	}
	f := Finding{Code: ResourceLatestWrong, Namespace: c.namespace, Repository: repo, Tag: artifact.Latest, Digest: one.newest.digest, Revision: one.at, Resource: name,
		Detail: fmt.Sprintf("latest names %s; the newest commit record of %s, revision %d, gives it %s.", now, name, one.at, one.newest)}
	if now == "" {
		f.Code = ResourceLatestMissing
		f.Detail = fmt.Sprintf("There is no latest; the newest commit record of %s, revision %d, gives it %s.", name, one.at, one.newest)
	}
	c.repairable(&f, Repair{Resource: name, Tag: artifact.Latest, Digest: one.newest.digest})
	return c.suspect(suspect{finding: f, chain: c, still: func(ctx context.Context) (bool, error) {
		now, err := c.named(ctx, repo, artifact.Latest)
		if err != nil || now == one.newest.digest {
			return false, err
		}
		// What was put there is in the history, if it was committed.
		if err := c.refresh(ctx); err != nil {
			return false, err
		}
		return !slices.ContainsFunc(one.later, func(l ref) bool { return l.digest == now }), nil
	}})
}

// verifyThinned verifies the present version of a resource whose record is
// thinned.
func (r *resources) verifyThinned(ctx context.Context, c *chain, name string, one *resource) error {
	c.counts.versions.Add(1)
	f, err := r.version(ctx, c, one.at, name, one.newest)
	if err != nil || f == nil {
		return err
	}
	return c.suspect(suspect{finding: *f, chain: c, still: func(ctx context.Context) (bool, error) {
		if len(one.later) > 0 {
			return false, nil // it is not the present one any more
		}
		f, err := r.version(ctx, c, one.at, name, one.newest)
		return f != nil, err
	}})
}
