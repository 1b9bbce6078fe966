package backup

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// survey finds out what a copy has to hold. Deployment records are listed
// first, then system is cut, then the catalogs: so everything that one of them
// names is in what is cut after it.
type survey struct {
	r        reader
	at       time.Time // zero: now
	pins     *Description
	plan     *plan
	progress *Progress
	fault    func(repo, reference string, problem error) error // returns nil to go on
	whole    bool                                              // every namespace must be

	mu      sync.Mutex
	running map[place]bool // catalogs that a cluster ran last
}

// namespacesAtOnce bounds the chains that are read at once.
const namespacesAtOnce = 8

func (s *survey) run(ctx context.Context) error {
	sys := systemChain(s.r)
	early, err := s.cut(ctx, sys, "")
	if err != nil {
		return err
	}
	if early.head == nil {
		return s.nothing(sys)
	}
	content, err := s.system(ctx, sys, *early.head)
	if err != nil {
		return err
	}
	if err := s.clusters(ctx, content); err != nil {
		return err
	}
	found := early
	if s.pins == nil && s.at.IsZero() {
		if found, err = s.cut(ctx, sys, ""); err != nil {
			return err
		}
		if content, err = s.system(ctx, sys, *found.head); err != nil {
			return err
		}
	}
	v := s.visitor(sys)
	v.revision = func(v revision) error {
		return s.addRevision(sys, v, v.number() == found.head.number())
	}
	if err := sys.walk(ctx, *found.head, 0, v, s.progress); err != nil {
		return err
	}
	s.cutAt(Cut{"", found.head.number(), found.head.Manifest.Digest, found.head.stamp.Time()})
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(namespacesAtOnce)
	for name, ns := range content.Namespaces {
		group.Go(func() error {
			err := s.namespace(within, name, ns)
			if err == nil || s.whole || within.Err() != nil {
				return err
			}
			return s.fault(artifact.Layout{}.Catalog(name), artifact.Latest, err)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	slices.SortFunc(s.plan.cuts, func(a, b Cut) int { return cmp.Compare(a.Namespace, b.Namespace) })
	return nil
}

func (s *survey) nothing(sys chain) error {
	if s.at.IsZero() {
		return fmt.Errorf("%w: %s%s does not exist", ErrNothing, s.r.prefix, sys.repo)
	}
	return fmt.Errorf("%w: %s%s did not exist at %s", ErrNothing, s.r.prefix, sys.repo, intent.FormatTime(s.at))
}

// ending is where a chain is cut, and what was thinned of it by now.
type ending struct {
	head    *revision // nil: it does not exist, or did not at that moment
	thinned int64
}

// cut finds the head of a chain: that of the description, if there is one, and
// of those the last one at the moment, if one is asked for.
func (s *survey) cut(ctx context.Context, c chain, namespace string) (ending, error) {
	var head revision
	found := true
	var err error
	if s.pins != nil {
		var at Cut
		if at, found = s.pins.cut(namespace); found {
			head, err = c.pinned(ctx, at)
		}
	} else {
		head, found, err = c.head(ctx)
	}
	if err != nil || !found {
		return ending{}, err
	}
	var end ending
	if ref := head.Record.Checkpoint; ref != nil {
		end.thinned = ref.Number
	}
	if !s.at.IsZero() {
		if head, found, err = c.before(ctx, head, s.at); err != nil || !found {
			return end, err
		}
	}
	end.head = &head
	return end, nil
}

func (s *survey) cutAt(c Cut) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan.cuts = append(s.plan.cuts, c)
}

// layer reads the content of a head.
func (s *survey) layer(ctx context.Context, c chain, head revision) ([]byte, error) {
	content, err := head.Manifest.Content()
	if err != nil {
		return nil, c.damaged("%v", err)
	}
	b, err := s.r.blob(ctx, c.repo, content.Blobs[1])
	if err != nil {
		return nil, fmt.Errorf("the content of revision %d of %s: %w", head.number(), c.repo, lost(err))
	}
	return b.Data, nil
}

func (s *survey) system(ctx context.Context, sys chain, head revision) (artifact.System, error) {
	data, err := s.layer(ctx, sys, head)
	if err != nil {
		return artifact.System{}, err
	}
	content, err := artifact.ParseSystem(data)
	if err != nil {
		return artifact.System{}, sys.damaged("revision %d: %v", head.number(), err)
	}
	return content, nil
}

// visitor returns what is the same for all chains.
func (s *survey) visitor(c chain) visitor {
	return visitor{
		thinned: func(revision) error { return nil },
		checkpoint: func(number int64, d digest.Digest) error {
			return s.plan.add(item{place: place{c.repo, d}}, artifact.CheckpointTag(number))
		},
		fault: s.fault,
		first: func(parent digest.Digest) error { return c.damaged("its first revision has the parent %s", parent) },
	}
}

// addRevision plans the copy of a revision that has its layer.
func (s *survey) addRevision(c chain, v revision, head bool) error {
	tags := []string{artifact.RevisionTag(v.number())}
	if head {
		tags = append(tags, artifact.Latest)
	}
	return s.plan.add(item{place: place{c.repo, v.Manifest.Digest}, manifest: v.Manifest, config: v.config}, tags...)
}

// namespace surveys a catalog, and the resources that its records name.
func (s *survey) namespace(ctx context.Context, name string, ns artifact.SystemNamespace) error {
	c := catalogChain(s.r, name)
	end, err := s.cut(ctx, c, name)
	if err != nil {
		return err
	}
	if end.head == nil {
		if ns.State == artifact.StateCreating { // its first revision may not be there yet
			return nil
		}
		return c.damaged("system says that the namespace is %s, but it has no revision", ns.State)
	}
	head := *end.head
	fold := newFold(name)
	v := s.visitor(c)
	v.revision = func(v revision) error {
		if err := fold.add(v, true); err != nil {
			return c.damaged("revision %d: %v", v.number(), err)
		}
		return s.addRevision(c, v, v.number() == head.number())
	}
	v.thinned = func(v revision) error {
		if err := fold.add(v, false); err != nil {
			return c.damaged("revision %d: %v", v.number(), err)
		}
		if at := (place{c.repo, v.Manifest.Digest}); s.running[at] {
			return s.plan.add(item{place: at, optional: true}, artifact.RevisionTag(v.number()))
		}
		return nil
	}
	v.first = func(parent digest.Digest) error { // a take-over's
		return s.plan.add(item{place: place{c.repo, parent}, optional: head.Record.Checkpoint != nil}, artifact.RevisionTag(0))
	}
	if err := c.walk(ctx, head, end.thinned, v, s.progress); err != nil {
		return err
	}
	if err := s.compare(ctx, c, name, head, fold); err != nil {
		return err
	}
	if err := fold.plan(s.plan); err != nil {
		return err
	}
	s.cutAt(Cut{name, head.number(), head.Manifest.Digest, head.stamp.Time()})
	return nil
}

// compare holds the catalog of the head against what the records lead to.
func (s *survey) compare(ctx context.Context, c chain, namespace string, head revision, fold *fold) error {
	data, err := s.layer(ctx, c, head)
	if err != nil {
		return err
	}
	entries, err := catalog.Unpack(namespace, data)
	if err != nil {
		return c.damaged("the catalog of revision %d: %v", head.number(), err)
	}
	live := map[string]digest.Digest{}
	for _, e := range entries {
		r, a, err := artifact.ResourceOf(e.YAML)
		if err != nil || r.Ref != (intent.Ref{Namespace: namespace, Name: e.Name}) {
			return c.damaged("the catalog of revision %d: the file of %s holds another resource (%v)", head.number(), e.Name, err)
		}
		live[e.Name] = a.Manifest.Digest
	}
	if fold.broken {
		return nil // records are missing, and were named
	}
	for name, r := range fold.resources {
		if d, ok := live[name]; ok != r.live || ok && d != r.latest.Digest {
			return c.damaged("the catalog of revision %d does not hold %s as its records say", head.number(), name)
		}
		delete(live, name)
	}
	for name := range live {
		return c.damaged("the catalog of revision %d holds %s, which no record names", head.number(), name)
	}
	return nil
}

// clusters plans the copy of the deployment records, and notes what each
// cluster ran last.
func (s *survey) clusters(ctx context.Context, content artifact.System) error {
	s.running = map[place]bool{}
	for name := range content.Clusters {
		if err := s.cluster(ctx, name); err != nil {
			return fmt.Errorf("cluster %s: %w", name, err)
		}
	}
	return nil
}

func (s *survey) cluster(ctx context.Context, name string) error {
	repo := artifact.Layout{}.Cluster(name)
	var stamps []intent.Version
	err := s.r.tags(ctx, repo, "d", func(tag string) bool {
		if stamp, err := artifact.ParseDeploymentTag(tag); err == nil && (s.at.IsZero() || !stamp.Time().After(s.at)) {
			stamps = append(stamps, stamp)
		}
		return tag < "e"
	})
	if err != nil {
		return err
	}
	if len(stamps) == 0 {
		return nil
	}
	newest := slices.Max(stamps)
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, stamp := range stamps {
		group.Go(func() error {
			tag := artifact.DeploymentTag(stamp)
			m, d, err := s.deployment(within, repo, name, tag, stamp)
			if err != nil {
				return s.fault(repo, tag, fmt.Errorf("%s of %s: %w", tag, repo, err))
			}
			if stamp == newest {
				for namespace, r := range d.Running {
					s.running[place{artifact.Layout{}.Catalog(namespace), r.Digest}] = true
				}
			}
			return s.plan.add(item{place: place{repo, m.Digest}, manifest: m}, tag)
		})
	}
	return group.Wait()
}

// deployment reads a deployment record.
func (s *survey) deployment(ctx context.Context, repo, cluster, tag string, stamp intent.Version) (registry.Manifest, artifact.Deployment, error) {
	m, err := s.r.tagged(ctx, repo, tag)
	if err != nil {
		return m, artifact.Deployment{}, lost(err)
	}
	a, err := s.r.artifact(ctx, repo, m)
	if err != nil {
		return m, artifact.Deployment{}, lost(err)
	}
	d, err := artifact.UnpackDeployment(a)
	if err != nil {
		return m, d, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if at, err := d.Stamp(); err != nil || at != stamp || d.Cluster != cluster {
		return m, d, fmt.Errorf("%w: it is the record of %s of cluster %s", ErrDamaged, d.Time, d.Cluster)
	}
	return m, d, nil
}
