package embedded

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// blobs deletes the blobs that no repository has, from the database only. It
// returns when that is durable: then their files may go.
func (c *collection) blobs() error {
	view := c.s.db.NewSnapshot()
	defer view.Close()
	links, err := view.NewIter(&pebble.IterOptions{LowerBound: []byte{kindLink}, UpperBound: []byte{kindLink + 1}})
	if err != nil {
		return readError(err)
	}
	doomed := sliced{each: c.deleteBlobs}
	there := links.First()
	// Both come in the order of the digests.
	err = c.scan(view, kindBlob, func(it *pebble.Iterator) error {
		digest := it.Key()[1:]
		if _, err := decodeDigest(digest); err != nil {
			return fmt.Errorf("%w: %w", registry.ErrCorrupt, err)
		}
		if there && bytes.Compare(links.Key()[1:], digest) < 0 {
			return lacksBlob(links.Key())
		}
		if !there || !bytes.HasPrefix(links.Key()[1:], digest) {
			return doomed.add(it.Key())
		}
		for there && bytes.HasPrefix(links.Key()[1:], digest) {
			there = links.Next()
		}
		return nil
	})
	if err == nil && there {
		err = lacksBlob(links.Key())
	}
	if reading := errors.Join(links.Error(), links.Close()); reading != nil {
		err = errors.Join(err, readError(reading))
	}
	if err == nil {
		err = doomed.rest()
	}
	if err != nil {
		return err
	}
	wait, err := c.s.applySynced(c.s.db.NewBatch())
	if err != nil {
		return err
	}
	return wait()
}

// lacksBlob is the error of a link to a blob that is not there.
func lacksBlob(link []byte) error {
	d, err := linkDigest(link)
	if err == nil {
		err = fmt.Errorf("%w: repositories have the blob %s, which is missing", registry.ErrCorrupt, d)
	}
	return err
}

func (c *collection) deleteBlobs(keys [][]byte) error {
	var freed registry.Freed
	err := c.slice(func(batch *pebble.Batch) error {
		for _, key := range keys {
			d, err := decodeDigest(key[1:])
			if err != nil {
				return fmt.Errorf("%w: %w", registry.ErrCorrupt, err)
			}
			needed, err := c.s.hasLink(d)
			if err != nil {
				return err
			}
			if needed {
				continue
			}
			value, err := get(c.s.db, key)
			if err != nil {
				return err
			}
			if value == nil {
				continue // deleted meanwhile
			}
			size, err := contentBytes(value)
			if err != nil {
				return fmt.Errorf("blob %s: %w", d, err)
			}
			if err := batch.Delete(key, nil); err != nil {
				return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
			}
			freed.Blobs++
			freed.Bytes += size
		}
		return nil
	})
	if err == nil {
		c.freed.Blobs += freed.Blobs
		c.freed.Bytes += freed.Bytes
	}
	return err
}

// contentBytes returns how much of a blob lies in its value itself.
func contentBytes(value []byte) (int64, error) {
	switch {
	case len(value) == 0:
	case value[0] == blobInline:
		return int64(len(value) - 1), nil
	case value[0] == blobChunks || value[0] == blobFile:
		return 0, nil
	}
	return 0, fmt.Errorf("%w: its entry cannot be read", registry.ErrCorrupt)
}

// hasLink reports whether any repository has a blob.
func (s *Store) hasLink(d digest.Digest) (bool, error) {
	prefix := linkPrefix(d)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return false, readError(err)
	}
	is := it.First()
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return false, readError(err)
	}
	return is, nil
}
