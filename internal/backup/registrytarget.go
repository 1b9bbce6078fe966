package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// Registry is a Target: another registry, with the same repositories and tags
// under a prefix. system's latest is put last.
type Registry struct {
	to     registry.Registry
	prefix string
	verify bool
	log    *slog.Logger

	// check is called before tags are moved, and between slices of them.
	check func(context.Context) error
	// manifest returns one that was put.
	manifest func(ctx context.Context, repo string, d digest.Digest) (registry.Manifest, error)
}

// NewRegistry returns the repositories of a registry under a prefix. With
// verify, what an earlier run has copied is read and hashed again; else it is
// enough that the registry has its manifest.
func NewRegistry(to registry.Registry, prefix string, verify bool, log *slog.Logger) *Registry {
	if log == nil {
		log = slog.Default()
	}
	t := &Registry{to: to, prefix: prefix, verify: verify, log: log}
	t.check, t.manifest = func(context.Context) error { return nil }, t.read
	return t
}

// begin refuses a prefix that a ledger has claimed: its registry is none to
// put copies into.
func (t *Registry) begin(ctx context.Context) error {
	repo := artifact.Layout{Prefix: t.prefix}.Writer()
	_, err := repeat(ctx, t.log, func() (ocispec.Descriptor, error) { return t.to.Resolve(ctx, repo, artifact.Latest) })
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("reading %s: %w", repo, err)
	}
	return fmt.Errorf("%w: a server writes, or has written, to %s; choose another prefix for the copy", ErrOther, t.prefix)
}

func (t *Registry) kept() Source { return nil }

func (t *Registry) heads() []Cut { return nil }

func (t *Registry) has(ctx context.Context, at place) (registry.Manifest, bool) {
	if t.verify {
		a, err := t.to.Get(ctx, t.prefix+at.repo, at.digest.String())
		return a.Manifest, err == nil
	}
	m, err := t.to.Manifest(ctx, t.prefix+at.repo, at.digest.String())
	return m, err == nil
}

func (t *Registry) put(ctx context.Context, repo string, a registry.Artifact) (int64, error) {
	_, err := repeat(ctx, t.log, func() (struct{}, error) {
		return struct{}{}, t.to.Put(ctx, registry.Push{Repository: t.prefix + repo, Artifact: a})
	})
	bytes := int64(len(a.Manifest.Data))
	for _, b := range a.Blobs {
		bytes += int64(len(b.Data))
	}
	return bytes, err
}

// tagSlice is how many tags are moved between two checks.
const tagSlice = 64

// finish puts the tags: those that are written once, then the resources'
// latest, then the catalogs', then system's.
func (t *Registry) finish(ctx context.Context, _ *plan, n names, _ Description) error {
	type move struct {
		repo, tag string
		to        ocispec.Descriptor
	}
	system := artifact.Layout{}.System()
	untagged, err := t.untagged(ctx, n)
	if err != nil {
		return err
	}
	var phases [3][]move
	for _, repo := range slices.Sorted(maps.Keys(n)) {
		for _, tag := range slices.Sorted(maps.Keys(n[repo].tags)) {
			phase := 0
			switch {
			case tag == artifact.Latest && repo == system:
				continue
			case tag == artifact.Latest && strings.HasPrefix(repo, "/resources/"):
				phase = 1
			case tag == artifact.Latest:
				phase = 2
			}
			phases[phase] = append(phases[phase], move{repo, tag, n[repo].tags[tag]})
		}
	}
	for _, moves := range phases {
		for slice := range slices.Chunk(moves, tagSlice) {
			if err := t.check(ctx); err != nil {
				return err
			}
			group, within := errgroup.WithContext(ctx)
			group.SetLimit(parallel)
			for _, m := range slice {
				group.Go(func() error { return t.tag(within, m.repo, m.tag, m.to.Digest, untagged[m.repo]) })
			}
			if err := group.Wait(); err != nil {
				return err
			}
		}
	}
	if err := t.check(ctx); err != nil {
		return err
	}
	return t.commit(ctx, system, n[system].tags[artifact.Latest].Digest)
}

// named returns what a tag names, or "".
func (t *Registry) named(ctx context.Context, repo, tag string) (digest.Digest, error) {
	d, err := repeat(ctx, t.log, func() (ocispec.Descriptor, error) { return t.to.Resolve(ctx, t.prefix+repo, tag) })
	if errors.Is(err, registry.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading %s of %s%s: %w", tag, t.prefix, repo, err)
	}
	return d.Digest, nil
}

// untagged returns the repositories that have no tag yet: there, nothing has to
// be asked before a tag is put.
func (t *Registry) untagged(ctx context.Context, n names) (map[string]bool, error) {
	var mu sync.Mutex
	found := map[string]bool{}
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for repo := range n {
		group.Go(func() error {
			tags, err := repeat(within, t.log, func() ([]string, error) { return t.to.Tags(within, t.prefix+repo, "", 1) })
			if err != nil {
				return fmt.Errorf("tags of %s%s: %w", t.prefix, repo, err)
			}
			mu.Lock()
			defer mu.Unlock()
			found[repo] = len(tags) == 0
			return nil
		})
	}
	return found, group.Wait()
}

// tag makes a tag name a manifest that was put. What is written once is never
// moved.
func (t *Registry) tag(ctx context.Context, repo, tag string, d digest.Digest, untagged bool) error {
	var now digest.Digest
	var err error
	if !untagged {
		now, err = t.named(ctx, repo, tag)
	}
	if err != nil || now == d {
		return err
	}
	if now != "" && tag != artifact.Latest && ownTag.MatchString(tag) {
		return fmt.Errorf("%w: %s%s:%s is %s there, and %s here", ErrOther, t.prefix, repo, tag, now, d)
	}
	m, err := t.manifest(ctx, repo, d)
	if err != nil {
		return err
	}
	_, err = repeat(ctx, t.log, func() (struct{}, error) {
		return struct{}{}, t.to.Tag(ctx, registry.Tag{Repository: t.prefix + repo, Name: tag, Manifest: m})
	})
	if err != nil {
		return fmt.Errorf("tagging %s of %s%s: %w", tag, t.prefix, repo, err)
	}
	return nil
}

func (t *Registry) read(ctx context.Context, repo string, d digest.Digest) (registry.Manifest, error) {
	m, err := repeat(ctx, t.log, func() (registry.Manifest, error) { return t.to.Manifest(ctx, t.prefix+repo, d.String()) })
	if err != nil {
		return m, fmt.Errorf("reading %s of %s%s, which was put there: %w", d, t.prefix, repo, err)
	}
	return m, nil
}

// commit puts a latest so that it, and everything before it, is durable.
func (t *Registry) commit(ctx context.Context, repo string, d digest.Digest) error {
	m, err := t.manifest(ctx, repo, d)
	if err != nil {
		return err
	}
	_, err = repeat(ctx, t.log, func() (struct{}, error) {
		return struct{}{}, t.to.Commit(ctx, registry.Tag{Repository: t.prefix + repo, Name: artifact.Latest, Manifest: m})
	})
	if err != nil {
		return fmt.Errorf("putting latest of %s%s: %w", t.prefix, repo, err)
	}
	return nil
}
