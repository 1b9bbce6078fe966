package fsck

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// verify reads a version's artifact by its tag, and notes what is wrong. It
// does not wait for that.
func (r *resources) verify(c *chain, revision int64, name string, want ref) {
	if !intent.IsLabel(name) {
		return
	}
	r.spawn(func(ctx context.Context) error {
		c.counts.versions.Add(1)
		f, err := r.version(ctx, c, revision, name, want)
		if err != nil || f == nil {
			return err
		}
		return c.doubt(*f, func(ctx context.Context) (bool, error) {
			f, err := r.version(ctx, c, revision, name, want)
			return f != nil, err
		})
	})
}

// version reads a version's artifact. It returns nil if nothing is wrong.
func (r *resources) version(ctx context.Context, c *chain, revision int64, name string, want ref) (*Finding, error) {
	repo, tag := r.repo(c, name), want.version.String()
	f := &Finding{Namespace: c.namespace, Repository: repo, Tag: tag, Digest: want.digest, Revision: revision, Resource: name}
	m, err := c.reader.manifest(ctx, repo, tag)
	found := m.Digest
	switch {
	case errors.Is(err, registry.ErrNotFound):
		found = ""
	case err != nil && isContent(err):
		found = unreadable
	case err != nil:
		return nil, err
	}
	if found != want.digest {
		m, err = c.reader.manifest(ctx, repo, want.digest.String())
		switch {
		case errors.Is(err, registry.ErrNotFound):
			f.Code = VersionMissing
			f.Detail = fmt.Sprintf("The version %s of %s, which revision %d names, is not in the registry", want, name, revision)
			if found != "" && found != unreadable {
				f.Detail += fmt.Sprintf("; its tag names %s", found)
			}
			f.Detail += "."
			return f, nil
		case err != nil && isContent(err):
			f.Code, f.Detail = VersionDamaged, fmt.Sprintf("The version %s of %s cannot be read: %v.", want, name, err)
			return f, nil
		case err != nil:
			return nil, err
		}
	}
	switch why, err := r.damage(ctx, c, repo, name, want, m); {
	case err != nil:
		return nil, err
	case why != "":
		f.Code, f.Detail = VersionDamaged, fmt.Sprintf("The version %s of %s %s.", want, name, why)
		return f, nil
	}
	switch found {
	case want.digest:
		return nil, nil
	case "":
		f.Code, f.Detail = VersionTagMissing, fmt.Sprintf("The tag %s is not there; it should name %s, as revision %d says.", tag, want.digest, revision)
		c.repairable(f, Repair{Resource: name, Tag: tag, Digest: want.digest})
	default:
		f.Code, f.Detail = VersionTagMoved, fmt.Sprintf("The tag %s names %s; it should name %s, as revision %d says.", tag, found, want.digest, revision)
	}
	return f, nil
}

// damage says why what lies under a version's digest is not its artifact, or
// nothing.
func (r *resources) damage(ctx context.Context, c *chain, repo, name string, want ref, m registry.Manifest) (string, error) {
	content, err := m.Content()
	if err != nil || len(content.Blobs) != 2 {
		return fmt.Sprintf("is no resource's artifact (%d blobs, %v)", len(content.Blobs), err), nil
	}
	var layer registry.Blob
	for i, d := range content.Blobs {
		if i == 0 && d.Digest == ocispec.DescriptorEmptyJSON.Digest && r.hasConfig(name) {
			continue // all versions share it
		}
		b, err := c.reader.blob(ctx, repo, d)
		if err != nil {
			if isContent(err) {
				return fmt.Sprintf("cannot be read: %v", err), nil
			}
			return "", err
		}
		layer = b
	}
	if d, err := artifactOf(intent.Ref{Namespace: r.namespace, Name: name}, want.version, layer.Data); err != nil || d != want.digest {
		return fmt.Sprintf("is not the artifact that its manifest gives (%s, %v)", d, err), nil
	}
	return "", nil
}

// hasConfig reports whether a resource's config was read, and notes that it is.
func (r *resources) hasConfig(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	had := r.config[name]
	r.config[name] = true
	return had
}

// artifactOf is the digest of the artifact of a version whose layer is this.
func artifactOf(is intent.Ref, v intent.Version, layer []byte) (digest.Digest, error) {
	if bytes.HasPrefix(layer, []byte("deleted: ")) { // no resource's manifest begins so
		tombstone, err := artifact.Tombstone(is, v)
		if err == nil && !bytes.Equal(tombstone.Blobs[1].Data, layer) {
			err = intent.ErrNotCanonical
		}
		return tombstone.Manifest.Digest, err
	}
	parsed, a, err := artifact.ResourceOf(layer)
	if err != nil {
		return "", err
	}
	if parsed.Ref != is || parsed.Version != v {
		return "", fmt.Errorf("it is %s of %s", parsed.Version, parsed.Ref)
	}
	return a.Manifest.Digest, nil
}
