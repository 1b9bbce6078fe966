package embedded

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"gitops-squared.io/gsq/internal/registry"
)

// storedChunkBytes is what a chunk takes in a table, at a guess.
const storedChunkBytes = 512

// chunks deletes the chunks of which no blob consists.
func (c *collection) chunks() error {
	expected, err := c.expected(kindChunk, storedChunkBytes)
	if err != nil {
		return err
	}
	m, view := c.mark(expected)
	defer view.Close()
	if err := c.scan(view, kindBlob, func(it *pebble.Iterator) error { return markChunks(m, it) }); err != nil {
		return err
	}
	doomed := sliced{each: func(keys [][]byte) error { return c.deleteChunks(m, keys) }}
	err = c.scan(view, kindChunk, func(it *pebble.Iterator) error {
		if m.has(it.Key()) {
			return nil
		}
		return doomed.add(it.Key())
	})
	if err != nil {
		return err
	}
	return doomed.rest()
}

// markChunks marks the chunks of a blob.
func markChunks(m *marks, it *pebble.Iterator) error {
	value, err := it.ValueAndErr()
	if err != nil {
		return readError(err)
	}
	if _, err := contentBytes(value); err != nil {
		return fmt.Errorf("blob %x: %w", it.Key(), err)
	}
	if value[0] != blobChunks {
		return nil
	}
	if _, err = eachChunk(value, func(sum chunkSum) error {
		m.add(chunkKey(sum))
		return nil
	}); err != nil {
		return fmt.Errorf("blob %x: %w", it.Key(), err)
	}
	return nil
}

func (c *collection) deleteChunks(m *marks, keys [][]byte) error {
	var freed registry.Freed
	err := c.slice(func(batch *pebble.Batch) error {
		for _, key := range keys {
			if m.has(key) {
				continue
			}
			value, err := get(c.s.db, key)
			if err != nil {
				return err
			}
			if value == nil {
				continue
			}
			if len(key) != len(chunkKey(chunkSum{})) {
				return fmt.Errorf("%w (the key %x is none of a chunk)", registry.ErrCorrupt, key)
			}
			if err := batch.Delete(key, nil); err != nil {
				return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
			}
			// Writers, who believe it, wait for this slice.
			c.s.recent.remove(chunkSum(key[1:]))
			freed.Chunks++
			freed.Bytes += int64(len(value))
		}
		return nil
	})
	if err == nil {
		c.freed.Chunks += freed.Chunks
		c.freed.Bytes += freed.Bytes
	}
	return err
}
