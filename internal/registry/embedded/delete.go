package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// Delete implements registry.Registry: the manifest, the tags that point to it
// and its entry among its subject's referrers go in one synced batch. Its
// blobs stay until a collection.
func (s *Store) Delete(ctx context.Context, repo string, manifest digest.Digest) error {
	if err := errors.Join(checkRepository(repo), checkDigest(manifest), s.space.acceptSmall()); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	err := s.write(ctx, func() error {
		wait, err := s.applyDelete(s.db.NewBatch(), repo, manifest)
		if err != nil {
			return err
		}
		return wait()
	})
	if err != nil {
		return fmt.Errorf("delete %s@%s: %w", repo, manifest, err)
	}
	return nil
}

func (s *Store) applyDelete(batch *pebble.Batch, repo string, d digest.Digest) (wait func() error, err error) {
	s.tags.Lock()
	defer s.tags.Unlock()
	m, err := s.manifestByDigest(s.db, repo, d)
	if err != nil {
		return nil, err
	}
	c, err := parseManifest(m.MediaType, m.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: manifest: %v", registry.ErrCorrupt, err)
	}
	if c.subject != nil {
		err = batch.Delete(referrerKey(repo, c.subject.Digest, d), nil)
	}
	err = errors.Join(err, batch.Delete(manifestKey(repo, d), nil), s.deletePointers(batch, repo, d))
	if err != nil {
		return nil, err
	}
	return s.applySynced(batch)
}

// deletePointers deletes the pointers of a digest, and the tags that still
// name it.
func (s *Store) deletePointers(batch *pebble.Batch, repo string, d digest.Digest) error {
	prefix := pointerPrefix(repo, d)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return readError(err)
	}
	encoded := appendDigest(nil, d)
	for valid := it.First(); valid && err == nil; valid = it.Next() {
		tag := string(it.Key()[len(prefix):])
		var named []byte
		if named, err = get(s.db, tagKey(repo, tag)); err == nil && bytes.Equal(named, encoded) {
			err = batch.Delete(tagKey(repo, tag), nil)
		}
		err = errors.Join(err, batch.Delete(it.Key(), nil))
	}
	return errors.Join(err, it.Error(), it.Close())
}

// deleteTag deletes one tag, synced. ErrNotFound if it is not there.
func (s *Store) deleteTag(ctx context.Context, repo, tag string) error {
	if err := s.space.acceptSmall(); err != nil {
		return err
	}
	return s.write(ctx, func() error {
		wait, err := s.applyDeleteTag(s.db.NewBatch(), repo, tag)
		if err != nil {
			return err
		}
		return wait()
	})
}

func (s *Store) applyDeleteTag(batch *pebble.Batch, repo, tag string) (wait func() error, err error) {
	s.tags.RLock()
	defer s.tags.RUnlock()
	value, err := get(s.db, tagKey(repo, tag))
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, fmt.Errorf("%w: repository %s has no tag %s", registry.ErrNotFound, repo, tag)
	}
	d, err := decodeDigest(value)
	if err != nil {
		return nil, fmt.Errorf("%w: tag %s:%s: %w", registry.ErrCorrupt, repo, tag, err)
	}
	if err := errors.Join(batch.Delete(tagKey(repo, tag), nil), batch.Delete(pointerKey(repo, d, tag), nil)); err != nil {
		return nil, err
	}
	return s.applySynced(batch)
}

// deleteBlob takes a blob away from a repository, synced, and removes it when
// no other repository has it. ErrNotFound if the repository does not have it.
// Manifests that name it stay, and then lack it.
// It is not refused on a full disk, because it makes room.
func (s *Store) deleteBlob(ctx context.Context, repo string, d digest.Digest) error {
	return s.write(ctx, func() error {
		// Held until the file is gone: in between, nobody may find the file
		// and name it, nor put it back only to see it removed.
		s.blobs.Lock()
		defer s.blobs.Unlock()
		_, there, err := linked(s.db, repo, d)
		if err != nil {
			return err
		}
		if !there {
			return fmt.Errorf("%w: repository %s has no blob %s", registry.ErrNotFound, repo, d)
		}
		last, err := s.onlyLink(repo, d)
		if err != nil {
			return err
		}
		batch := s.db.NewBatch()
		err = batch.Delete(linkKey(repo, d), nil)
		if last {
			err = errors.Join(err, batch.Delete(blobKey(d), nil))
		}
		if err != nil {
			return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
		}
		// The file goes after its key is durably gone: a crash in between
		// leaves a file that nothing names, not a name without a file.
		wait, err := s.applySynced(batch)
		if err != nil {
			return err
		}
		if err := wait(); err != nil {
			return err
		}
		if last {
			s.discard(s.blobPath(d))
		}
		return nil
	})
}

// onlyLink reports whether no other repository has a blob that repo has.
func (s *Store) onlyLink(repo string, d digest.Digest) (bool, error) {
	prefix := linkPrefix(d)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return false, readError(err)
	}
	only := true
	for valid := it.First(); valid && only; valid = it.Next() {
		only = string(it.Key()[len(prefix):]) == repo
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return false, readError(err)
	}
	return only, nil
}
