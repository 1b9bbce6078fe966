package embedded

import (
	"context"
	"errors"
	"fmt"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// batchBytes is the size from which a batch is applied before it is complete,
// to bound the memory that one Put takes.
const batchBytes = 4 << 20

// Put implements registry.Registry. Artifacts are checked before anything is
// stored: an ErrRefused or ErrTooLarge of a name, a digest or a manifest's
// form changes nothing. Each artifact becomes visible at once; a manifest
// whose blobs are neither in the push nor in the repository is ErrRefused.
func (s *Store) Put(ctx context.Context, pushes ...registry.Push) error {
	contents := make([]content, len(pushes))
	bytes := 0
	for i, p := range pushes {
		var err error
		if contents[i], err = checkPush(p); err != nil {
			return fmt.Errorf("put %s@%s: %w", p.Repository, p.Artifact.Manifest.Digest, err)
		}
		bytes += len(p.Artifact.Manifest.Data)
		for _, b := range p.Artifact.Blobs {
			bytes += len(b.Data)
		}
	}
	if err := s.acceptPut(ctx, int64(bytes), pushes); err != nil {
		return fmt.Errorf("put %d artifacts: %w", len(pushes), err)
	}
	err := s.write(ctx, func() error {
		w := s.newWriter(ctx)
		defer w.close()
		for i, p := range pushes {
			for _, b := range p.Artifact.Blobs {
				if err := w.addBlob(p.Repository, b); err != nil {
					return err
				}
			}
			if err := w.addManifest(p.Repository, p.Artifact.Manifest, contents[i]); err != nil {
				return err
			}
			if w.batch.Len() >= batchBytes {
				if err := w.flush(); err != nil {
					return err
				}
			}
		}
		return w.flush()
	})
	if err != nil {
		return fmt.Errorf("put %d artifacts: %w", len(pushes), err)
	}
	return nil
}

// acceptPut returns ErrNoSpace if there is no room for a Put. What a start has
// to write, and what is there already, is accepted on a full disk too.
func (s *Store) acceptPut(ctx context.Context, bytes int64, pushes []registry.Push) error {
	refused := s.space.accept(bytes * writeFactor)
	if refused == nil {
		return nil
	}
	for _, p := range pushes {
		if p.Repository == s.options.Essential {
			continue
		}
		if _, err := s.Resolve(ctx, p.Repository, p.Artifact.Manifest.Digest.String()); err != nil {
			return refused
		}
	}
	return s.space.acceptSmall()
}

func checkPush(p registry.Push) (content, error) {
	if err := checkRepository(p.Repository); err != nil {
		return content{}, err
	}
	for _, b := range p.Artifact.Blobs {
		if len(b.Data) > registry.MaxBlobBytes {
			return content{}, fmt.Errorf("%w: blob %s has %d bytes, at most %d are allowed", registry.ErrTooLarge, b.Digest, len(b.Data), registry.MaxBlobBytes)
		}
		if b.Verify() == nil {
			continue // which takes all algorithms that are taken here
		}
		if err := verify(b.Digest, b.Data); err != nil {
			return content{}, fmt.Errorf("blob: %w", err)
		}
	}
	m := p.Artifact.Manifest
	c, err := parseManifest(m.MediaType, m.Data)
	if err != nil {
		return content{}, err
	}
	if err := verify(m.Digest, m.Data); err != nil {
		return content{}, fmt.Errorf("manifest: %w", err)
	}
	return c, nil
}

// putManifest stores a manifest and its tags at once, durably.
func (s *Store) putManifest(ctx context.Context, repo string, m registry.Manifest, c content, tags []string) error {
	return s.storeSynced(ctx, len(m.Data), func(w *writer) error {
		if err := w.addManifest(repo, m, c); err != nil {
			return err
		}
		for _, tag := range tags {
			if err := w.moveTag(repo, tag, m.Digest); err != nil {
				return err
			}
		}
		return nil
	})
}

// mount makes a blob of one repository a blob of another, durably. It reports
// false if the first does not have it. Without a first one, it only finds what
// the second has already: a digest alone does not open other repositories.
func (s *Store) mount(ctx context.Context, from, to string, d digest.Digest) (bool, error) {
	mounted := false
	if from == "" {
		from = to
	}
	err := s.storeSynced(ctx, 0, func(w *writer) error {
		size, there, err := w.link(from, d)
		if err != nil || !there {
			return err
		}
		mounted = true
		return errors.Join(w.noteUpload(d), w.addLink(to, d, size))
	})
	return mounted && err == nil, err
}
