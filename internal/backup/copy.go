package backup

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"gitops-squared.io/gsq/internal/registry"
)

// Target is where a copy goes: NewFolder, NewTar and NewRegistry make them. The
// names of repositories are without the prefix. has, put and note are called
// concurrently, begin before all of them, finish after.
type Target interface {
	begin(ctx context.Context) error

	// kept is what an earlier run has copied; nil if that cannot be read.
	kept() Source

	// heads is where the last finished run that can be read has cut the chains.
	heads() []Cut

	// has returns an artifact's manifest, and true, if all of it is there.
	has(ctx context.Context, at place) (registry.Manifest, bool)

	// put stores an artifact, and returns how many bytes that took.
	put(ctx context.Context, repo string, a registry.Artifact) (int64, error)

	// finish names what was copied and makes it durable. The copy is complete
	// when it returns nil.
	finish(ctx context.Context, p *plan, n names, d Description) error
}

// names is what the repositories of a copy hold, by repository.
type names map[string]contents

// contents of a repository.
type contents struct {
	tags     map[string]ocispec.Descriptor
	untagged []ocispec.Descriptor // manifests without a tag, sorted by digest
}

// Bounds of a copy in progress.
const (
	copiesAtOnce = 32
	bytesAtOnce  = 256 << 20
	maxDepth     = 8 // of referrers of referrers, and of indexes in indexes
)

// copier copies what a plan names.
type copier struct {
	r         reader
	to        Target
	keepGoing bool
	whole     bool // every namespace must be
	progress  *Progress
	bytes     *semaphore.Weighted

	mu       sync.Mutex
	done     map[place]ocispec.Descriptor        // that is in the copy
	more     map[string]map[string]digest.Digest // tags that no record names, by repository
	surveyed []Fault
	faults   []Fault
	missing  []place // what the faults of copying are about
	removed  int64   // what retention has removed
}

func newCopier(r reader, to Target, keepGoing bool, progress *Progress) *copier {
	return &copier{r: r, to: to, keepGoing: keepGoing, progress: progress, bytes: semaphore.NewWeighted(bytesAtOnce)}
}

// copyAll surveys the source and copies it. What is missing in a live source
// may have been removed by retention meanwhile: then a new survey does not name
// it any more.
func (c *copier) copyAll(ctx context.Context, at time.Time, pins *Description) (*plan, error) {
	p, err := c.survey(ctx, at, pins)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		err := c.run(ctx, p)
		if len(c.missing) == 0 || attempt == attempts || pins != nil {
			return p, err
		}
		now, again := c.survey(ctx, at, pins)
		if again != nil {
			return p, errors.Join(err, again)
		}
		if !slices.ContainsFunc(c.missing, func(at place) bool { return now.found[at] == nil || now.found[at].optional }) {
			return p, err // it is still named: that is a damage
		}
		p = now
	}
}

// survey makes a plan. What is wrong is looked at twice, because retention may
// be at work in a live source.
func (c *copier) survey(ctx context.Context, at time.Time, pins *Description) (*plan, error) {
	for try := 1; ; try++ {
		var faults []Fault
		s := &survey{r: c.r, at: at, pins: pins, plan: newPlan(), progress: c.progress, whole: c.whole}
		s.fault = func(repo, reference string, problem error) error {
			if !c.keepGoing || !errors.Is(problem, ErrDamaged) {
				return fmt.Errorf("%s%s:%s: %w", c.r.prefix, repo, reference, problem)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			faults = append(faults, Fault{c.r.prefix + repo, reference, problem.Error()})
			return nil
		}
		err := s.run(ctx)
		c.surveyed = faults
		if try == 2 || len(faults) == 0 && !errors.Is(err, ErrDamaged) {
			return s.plan, err
		}
	}
}

// fault notes what could not be copied. It returns an error if that ends the
// copy.
func (c *copier) fault(at place, reference string, problem error) error {
	if !errors.Is(problem, ErrDamaged) {
		return problem
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	reference = cmp.Or(reference, at.digest.String())
	c.faults = append(c.faults, Fault{c.r.prefix + at.repo, reference, problem.Error()})
	c.missing = append(c.missing, at)
	if c.keepGoing {
		return nil
	}
	return fmt.Errorf("%s%s:%s: %w", c.r.prefix, at.repo, reference, problem)
}

// run copies everything that the plan names, with what refers to it.
func (c *copier) run(ctx context.Context, p *plan) error {
	c.done, c.more = map[place]ocispec.Descriptor{}, map[string]map[string]digest.Digest{}
	c.faults, c.missing, c.removed = nil, nil, 0
	c.progress.total.Store(int64(len(p.items)))
	c.progress.done.Store(0)
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(copiesAtOnce)
	for _, i := range p.items {
		group.Go(func() error {
			defer c.progress.done.Add(1)
			return c.item(within, p, i)
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	group, within = errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for repo := range p.tags {
		group.Go(func() error { return c.signatures(within, repo) })
	}
	return group.Wait()
}

func (c *copier) item(ctx context.Context, p *plan, i *item) error {
	err := c.one(ctx, i.place, 0, func() (registry.Manifest, error) {
		if i.manifest.Digest != "" {
			return i.manifest, nil
		}
		if i.tag == "" {
			return c.r.manifest(ctx, i.repo, i.digest)
		}
		m, err := c.r.tagged(ctx, i.repo, i.tag)
		if err == nil && m.Digest != i.digest {
			err = fmt.Errorf("%w: %s names %s, its record says %s", ErrDamaged, i.tag, m.Digest, i.digest)
		}
		return m, err
	}, i.config)
	if i.optional && errors.Is(err, registry.ErrNotFound) {
		p.drop(i.place)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.removed++
		return nil
	}
	if err != nil {
		return c.fault(i.place, i.tag, lost(err))
	}
	return nil
}

// one copies an artifact that read returns, unless it is there, and then what
// refers to it. config may have been read before.
func (c *copier) one(ctx context.Context, at place, depth int, read func() (registry.Manifest, error), config registry.Blob) error {
	m, there := c.to.has(ctx, at)
	if !there {
		var err error
		if m, err = read(); err != nil {
			return err
		}
	}
	children, err := childrenOf(m)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	for _, child := range children {
		if err := c.extra(ctx, place{at.repo, child.Digest}, depth+1); err != nil {
			return err
		}
	}
	if !there {
		if err := c.transfer(ctx, at.repo, m, config); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.done[at] = ocispec.Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: int64(len(m.Data))}
	c.mu.Unlock()
	referrers, err := c.r.referrers(ctx, at.repo, at.digest)
	if err != nil {
		return fmt.Errorf("what refers to %s: %w", at.digest, err)
	}
	for _, d := range referrers {
		// A fault of its own: what it refers to is in the copy.
		if err := c.extra(ctx, place{at.repo, d.Digest}, depth+1); err != nil {
			if err := c.fault(place{at.repo, d.Digest}, "", lost(err)); err != nil {
				return err
			}
		}
	}
	return nil
}

// extra copies an artifact that no record names.
func (c *copier) extra(ctx context.Context, at place, depth int) error {
	c.mu.Lock()
	_, done := c.done[at]
	c.mu.Unlock()
	if done {
		return nil
	}
	if depth > maxDepth {
		return fmt.Errorf("%w: %s refers to others %d times over", ErrDamaged, at.digest, depth)
	}
	return c.one(ctx, at, depth, func() (registry.Manifest, error) { return c.r.manifest(ctx, at.repo, at.digest) }, registry.Blob{})
}

// transfer reads an artifact's blobs and puts it into the target.
func (c *copier) transfer(ctx context.Context, repo string, m registry.Manifest, config registry.Blob) error {
	content, err := m.Content()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	var size int64
	for _, d := range content.Blobs {
		size += min(d.Size, registry.MaxBlobBytes)
	}
	size = min(size, bytesAtOnce)
	if err := c.bytes.Acquire(ctx, size); err != nil {
		return err
	}
	defer c.bytes.Release(size)
	a := registry.Artifact{Manifest: m}
	for n, d := range content.Blobs {
		b := config
		if n > 0 || config.Digest != d.Digest {
			if b, err = c.r.blob(ctx, repo, d); err != nil {
				return lost(err)
			}
		}
		a.Blobs = append(a.Blobs, b)
	}
	written, err := c.to.put(ctx, repo, a)
	if err != nil {
		return fmt.Errorf("writing %s: %w", m.Digest, err)
	}
	c.progress.bytes.Add(written)
	c.progress.copied.Add(1)
	return nil
}

// childrenOf returns the manifests that an index names.
func childrenOf(m registry.Manifest) ([]ocispec.Descriptor, error) {
	var index struct {
		Manifests []ocispec.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(m.Data, &index); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", m.Digest, err)
	}
	for _, d := range index.Manifests {
		if err := d.Digest.Validate(); err != nil {
			return nil, fmt.Errorf("manifest %s names %q: %w", m.Digest, d.Digest, err)
		}
	}
	return index.Manifests, nil
}

// signatureTag matches what cosign puts beside an artifact where it does not
// use referrers.
var signatureTag = regexp.MustCompile(`^sha256-([0-9a-f]{64})\.(sig|att|sbom)$`)

// signatures copies what cosign's tags name of a repository's artifacts.
func (c *copier) signatures(ctx context.Context, repo string) error {
	var tags []string
	err := c.r.tags(ctx, repo, "sha256-", func(tag string) bool {
		if m := signatureTag.FindStringSubmatch(tag); m != nil {
			c.mu.Lock()
			_, ok := c.done[place{repo, digest.Digest("sha256:" + m[1])}]
			c.mu.Unlock()
			if ok {
				tags = append(tags, tag)
			}
		}
		return tag < "sha257"
	})
	if err != nil {
		return fmt.Errorf("tags of %s: %w", repo, err)
	}
	for _, tag := range tags {
		m, err := repeat(ctx, c.r.log, func() (registry.Manifest, error) { return c.r.source.Manifest(ctx, c.r.prefix+repo, tag) })
		if err == nil {
			err = c.one(ctx, place{repo, m.Digest}, 1, func() (registry.Manifest, error) { return m, nil }, registry.Blob{})
		}
		if err != nil {
			if err := c.fault(place{repo, m.Digest}, tag, lost(err)); err != nil {
				return err
			}
			continue
		}
		c.mu.Lock()
		if c.more[repo] == nil {
			c.more[repo] = map[string]digest.Digest{}
		}
		c.more[repo][tag] = m.Digest
		c.mu.Unlock()
	}
	return nil
}

// names returns what the copy's repositories hold.
func (c *copier) names(p *plan) names {
	n := names{}
	tagged := map[place]bool{}
	for repo := range p.tags {
		of := contents{tags: map[string]ocispec.Descriptor{}}
		for _, tags := range []map[string]digest.Digest{p.tags[repo], c.more[repo]} {
			for tag, d := range tags {
				if found, ok := c.done[place{repo, d}]; ok {
					of.tags[tag] = found
					tagged[place{repo, d}] = true
				}
			}
		}
		n[repo] = of
	}
	for at, d := range c.done {
		if !tagged[at] {
			of := n[at.repo]
			of.untagged = append(of.untagged, d)
			n[at.repo] = of
		}
	}
	for _, of := range n {
		slices.SortFunc(of.untagged, func(a, b ocispec.Descriptor) int { return cmp.Compare(a.Digest, b.Digest) })
	}
	return n
}

func (c *copier) report(p *plan, began, ended time.Time) Report {
	_, _, _, copied, bytes := c.progress.Now()
	r := Report{
		Artifacts: int64(len(c.done)), Copied: copied, Bytes: bytes, Removed: c.removed,
		Took: ended.Sub(began), Faults: slices.Concat(c.surveyed, c.faults),
	}
	if p != nil {
		r.Cuts = p.cuts
	}
	return r
}
