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

// Commit implements registry.Registry: one synced write, which by the order of
// the write-ahead log covers everything stored before it. Concurrent commits
// share syncs. A manifest that is not in the repository is ErrRefused.
func (s *Store) Commit(ctx context.Context, t registry.Tag) error {
	if err := checkTags(t); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := s.space.acceptSmall(); err != nil {
		return fmt.Errorf("commit %s:%s: %w", t.Repository, t.Name, err)
	}
	err := s.write(ctx, func() error {
		wait, err := s.applyTags(s.db.NewBatch(), true, t)
		if err != nil {
			return err
		}
		return wait()
	})
	if err != nil {
		return fmt.Errorf("commit %s:%s: %w", t.Repository, t.Name, err)
	}
	return nil
}

// Tag implements registry.Registry. It moves all the tags at once, or none. A
// manifest that is not in its repository is ErrRefused.
func (s *Store) Tag(ctx context.Context, tags ...registry.Tag) error {
	if err := checkTags(tags...); err != nil {
		return fmt.Errorf("tag: %w", err)
	}
	err := s.write(ctx, func() error {
		_, err := s.applyTags(s.db.NewBatch(), false, tags...)
		return err
	})
	if err != nil {
		return fmt.Errorf("put %d tags: %w", len(tags), err)
	}
	return nil
}

func checkTags(tags ...registry.Tag) error {
	for _, t := range tags {
		if err := errors.Join(checkRepository(t.Repository), checkTag(t.Name), checkDigest(t.Manifest.Digest)); err != nil {
			return err
		}
	}
	return nil
}

// applyTags adds moves of tags to a batch and applies it. If it is to be
// synced, wait must be called, without a lock; else wait is nil.
func (s *Store) applyTags(batch *pebble.Batch, synced bool, tags ...registry.Tag) (wait func() error, err error) {
	s.tags.RLock()
	defer s.tags.RUnlock()
	for _, t := range tags {
		there, err := has(s.db, manifestKey(t.Repository, t.Manifest.Digest))
		if err != nil {
			return nil, err
		}
		if !there {
			return nil, fmt.Errorf("%w: manifest %s is not in repository %s", registry.ErrRefused, t.Manifest.Digest, t.Repository)
		}
		if err := s.moveTag(batch, t.Repository, t.Name, t.Manifest.Digest); err != nil {
			return nil, err
		}
	}
	if synced {
		return s.applySynced(batch)
	}
	return nil, s.apply(batch)
}

// moveTag sets a tag and the pointer from its digest back to it. A concurrent
// move of the same tag may leave a pointer behind that is not true any more,
// never remove one that is: each batch that takes a pointer away also moves
// the tag. So readers of pointers look at the tag.
func (s *Store) moveTag(batch *pebble.Batch, repo, tag string, to digest.Digest) error {
	from, err := get(s.db, tagKey(repo, tag))
	if err != nil {
		return err
	}
	encoded := appendDigest(nil, to)
	if from != nil && !bytes.Equal(from, encoded) {
		old, err := decodeDigest(from)
		if err != nil {
			return fmt.Errorf("%w: tag %s:%s: %w", registry.ErrCorrupt, repo, tag, err)
		}
		if err := batch.Delete(pointerKey(repo, old, tag), nil); err != nil {
			return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
		}
	}
	// Pointers need no value; get's callers rely on there being one.
	err = errors.Join(batch.Set(tagKey(repo, tag), encoded, nil), batch.Set(pointerKey(repo, to, tag), []byte{1}, nil))
	if err != nil {
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	return nil
}

// Tags implements registry.Registry. It reads only what it returns.
func (s *Store) Tags(ctx context.Context, repo, last string, n int) ([]string, error) {
	var tags []string
	err := s.read(ctx, func() error {
		if err := checkRepository(repo); err != nil {
			return err
		}
		prefix := repoKey(kindTag, repo)
		from := prefix
		if last != "" {
			from = append(tagKey(repo, last), 0) // the least key after it
		}
		it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: from, UpperBound: after(prefix)})
		if err != nil {
			return readError(err)
		}
		for valid := it.First(); valid && len(tags) < n; valid = it.Next() {
			tags = append(tags, string(it.Key()[len(prefix):]))
		}
		if err := errors.Join(it.Error(), it.Close()); err != nil {
			return readError(err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("tags of %s: %w", repo, err)
	}
	return tags, nil
}
