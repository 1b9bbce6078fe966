package fsck

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// reader reads a registry: so many requests at once, each with a time-out, and
// repeated while the registry does not answer. Its errors are about content
// (registry.ErrNotFound, ErrCorrupt, ErrTooLarge), or they end the check.
type reader struct {
	registry registry.Registry
	slots    chan struct{}
	timeout  time.Duration
	pauses   []time.Duration // before each repetition

	bytes, requests atomic.Int64
}

// isContent reports whether an error says something about what is stored.
func isContent(err error) bool {
	return errors.Is(err, registry.ErrNotFound) || errors.Is(err, registry.ErrCorrupt) || errors.Is(err, registry.ErrTooLarge)
}

// ask makes one request. Content that is damaged is read once more: it may have
// been spoilt on its way.
func (r *reader) ask(ctx context.Context, what string, request func(ctx context.Context) error) error {
	damaged := false
	for attempt := 0; ; attempt++ {
		err := r.once(ctx, request)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, registry.ErrCorrupt) && !damaged:
			damaged = true
			continue
		case isContent(err):
			return err
		case errors.Is(err, registry.ErrRefused), attempt >= len(r.pauses):
			return fmt.Errorf("%s: %w", what, err)
		}
		timer := time.NewTimer(r.pauses[attempt])
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
}

func (r *reader) once(ctx context.Context, request func(ctx context.Context) error) error {
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.slots }()
	r.requests.Add(1)
	limited, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	err := request(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: no answer within %s", registry.ErrUnavailable, r.timeout)
	}
	return err
}

// manifest reads what a tag or a digest names; every byte is hashed.
func (r *reader) manifest(ctx context.Context, repo, reference string) (m registry.Manifest, err error) {
	err = r.ask(ctx, "reading "+repo+" "+reference, func(ctx context.Context) (err error) {
		m, err = r.registry.Manifest(ctx, repo, reference)
		return err
	})
	r.bytes.Add(int64(len(m.Data)))
	return m, err
}

// blob reads a blob; every byte is hashed.
func (r *reader) blob(ctx context.Context, repo string, d ocispec.Descriptor) (b registry.Blob, err error) {
	err = r.ask(ctx, "reading "+repo+" "+d.Digest.String(), func(ctx context.Context) (err error) {
		b, err = r.registry.Blob(ctx, repo, d)
		return err
	})
	r.bytes.Add(int64(len(b.Data)))
	return b, err
}

// artifact reads a manifest with all of its blobs.
func (r *reader) artifact(ctx context.Context, repo, reference string) (a registry.Artifact, err error) {
	if a.Manifest, err = r.manifest(ctx, repo, reference); err != nil {
		return a, err
	}
	content, err := a.Manifest.Content()
	if err != nil {
		return a, fmt.Errorf("%w: %v", registry.ErrCorrupt, err)
	}
	for _, d := range content.Blobs {
		b, err := r.blob(ctx, repo, d)
		if err != nil {
			return a, err
		}
		a.Blobs = append(a.Blobs, b)
	}
	return a, nil
}

// tagPage is how many tags are asked for at once.
const tagPage = 1000

// tags calls visit with every tag of a repository, in order.
func (r *reader) tags(ctx context.Context, repo string, visit func(tag string)) error {
	for last := ""; ; {
		var page []string
		err := r.ask(ctx, "listing the tags of "+repo, func(ctx context.Context) (err error) {
			page, err = r.registry.Tags(ctx, repo, last, tagPage)
			return err
		})
		if err != nil {
			if isContent(err) { // the answer cannot be read
				err = fmt.Errorf("listing the tags of %s: %w: %v", repo, registry.ErrUnavailable, err)
			}
			return err
		}
		for _, tag := range page {
			visit(tag)
			last = tag
		}
		if len(page) < tagPage {
			return nil
		}
	}
}
