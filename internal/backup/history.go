package backup

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sync/errgroup"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// checkHistory returns ErrOther if the source has another history than what an
// earlier run has kept: then what is kept is no part of it, and would look like
// a damage. Whatever cannot be read here is left to the survey.
func checkHistory(ctx context.Context, source reader, kept Source, heads []Cut) error {
	if kept == nil {
		return nil
	}
	// The first run may not have described what it kept.
	if m, err := kept.Manifest(ctx, artifact.Layout{}.System(), artifact.RevisionTag(1)); err == nil {
		heads = append(heads, Cut{Number: 1, Digest: m.Digest})
	}
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, cut := range heads {
		group.Go(func() error {
			c := systemChain(source)
			if cut.Namespace != "" {
				c = catalogChain(source, cut.Namespace)
			}
			return c.continues(within, kept, cut)
		})
	}
	return group.Wait()
}

// continues returns ErrOther if the chain has another revision than the kept
// one at the number of an earlier cut, or at its own head if that is older.
func (c chain) continues(ctx context.Context, kept Source, cut Cut) error {
	m, err := c.r.tagged(ctx, c.repo, artifact.RevisionTag(cut.Number))
	if err == nil && m.Digest != cut.Digest {
		// A tag that names no such revision is a damage.
		if v, err := c.open(ctx, m); err == nil && v.number() == cut.Number {
			return c.other(v, cut.Digest)
		}
		return nil
	}
	if errors.Is(err, registry.ErrNotFound) {
		head, found, err := c.head(ctx)
		if err != nil || !found || head.number() > cut.Number {
			return nil
		}
		m, err := kept.Manifest(ctx, c.repo, artifact.RevisionTag(head.number()))
		if err == nil && m.Digest != head.Manifest.Digest {
			return c.other(head, m.Digest)
		}
	}
	return nil
}

func (c chain) other(v revision, kept digest.Digest) error {
	return fmt.Errorf("%w: the backup of another history: r%d of %s%s is %s there, and %s in the source; choose another place", ErrOther, v.number(), c.r.prefix, c.repo, kept, v.Manifest.Digest)
}
