package backup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// reader reads a source by the names of repositories without their prefix
// ("/system"), and repeats what was not answered. What is immutable and was
// kept by an earlier run is read from there.
type reader struct {
	source Source
	prefix string
	kept   Source // may be nil; its repositories' names are without the prefix
	live   bool   // tags are read from the source alone
	log    *slog.Logger
}

func newReader(source Source, prefix string, kept Source, log *slog.Logger) reader {
	if log == nil {
		log = slog.Default()
	}
	return reader{source: source, prefix: prefix, kept: kept, log: log}
}

// tagged returns the manifest that a tag names.
func (r reader) tagged(ctx context.Context, repo, tag string) (registry.Manifest, error) {
	if r.kept != nil && tag != artifact.Latest && !r.live {
		if m, err := r.kept.Manifest(ctx, repo, tag); err == nil {
			return m, nil
		}
	}
	return repeat(ctx, r.log, func() (registry.Manifest, error) { return r.source.Manifest(ctx, r.prefix+repo, tag) })
}

// manifest returns a manifest by its digest.
func (r reader) manifest(ctx context.Context, repo string, d digest.Digest) (registry.Manifest, error) {
	m, err := r.tagged(ctx, repo, d.String())
	if err == nil && m.Digest != d {
		return registry.Manifest{}, fmt.Errorf("%s: asked for %s, got %s: %w", repo, d, m.Digest, registry.ErrCorrupt)
	}
	return m, err
}

func (r reader) blob(ctx context.Context, repo string, d ocispec.Descriptor) (registry.Blob, error) {
	if r.kept != nil {
		if b, err := r.kept.Blob(ctx, repo, d); err == nil {
			return b, nil
		}
	}
	return repeat(ctx, r.log, func() (registry.Blob, error) { return r.source.Blob(ctx, r.prefix+repo, d) })
}

// artifact returns an artifact with its blobs.
func (r reader) artifact(ctx context.Context, repo string, m registry.Manifest) (registry.Artifact, error) {
	content, err := m.Content()
	if err != nil {
		return registry.Artifact{}, fmt.Errorf("%w: %w", registry.ErrCorrupt, err)
	}
	a := registry.Artifact{Manifest: m}
	for _, d := range content.Blobs {
		b, err := r.blob(ctx, repo, d)
		if err != nil {
			return registry.Artifact{}, err
		}
		a.Blobs = append(a.Blobs, b)
	}
	return a, nil
}

// tags calls do for each tag that sorts after last, until do returns false.
func (r reader) tags(ctx context.Context, repo, last string, do func(tag string) bool) error {
	const page = 1000
	for {
		tags, err := repeat(ctx, r.log, func() ([]string, error) { return r.source.Tags(ctx, r.prefix+repo, last, page) })
		if err != nil {
			return err
		}
		for _, tag := range tags {
			if !do(tag) {
				return nil
			}
			last = tag
		}
		if len(tags) < page {
			return nil
		}
	}
}

func (r reader) referrers(ctx context.Context, repo string, subject digest.Digest) ([]ocispec.Descriptor, error) {
	return repeat(ctx, r.log, func() ([]ocispec.Descriptor, error) {
		return r.source.Referrers(ctx, r.prefix+repo, subject, "")
	})
}

// How often a request is made that is not answered, and the first pause; each
// next one is twice as long. Together they outlast a registry's restart.
const (
	tries      = 7
	firstPause = 100 * time.Millisecond
)

// repeat makes a request again if it was not answered, or with other bytes than
// its digest promised: once more, as a proxy may have done that.
func repeat[T any](ctx context.Context, log *slog.Logger, request func() (T, error)) (T, error) {
	pause := firstPause
	for try := 1; ; try++ {
		v, err := request()
		again := errors.Is(err, registry.ErrUnavailable) || errors.Is(err, registry.ErrUnreachable) || errors.Is(err, registry.ErrCorrupt) && try == 1
		if err == nil || !again || try == tries || ctx.Err() != nil {
			return v, err
		}
		log.Debug("repeating a request", "error", err)
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return v, err
		case <-t.C:
		}
		pause *= 2
	}
}
