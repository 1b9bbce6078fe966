package embedded

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// storedLinkBytes is the least that a link takes in a table.
const storedLinkBytes = 40

// links deletes the links that no manifest of their repository needs.
func (c *collection) links() error {
	expected, err := c.expected(kindLink, storedLinkBytes)
	if err != nil {
		return err
	}
	m, view := c.mark(expected)
	defer view.Close()
	if err := c.scan(view, kindManifest, func(it *pebble.Iterator) error { return markNamed(m, it) }); err != nil {
		return err
	}
	doomed := sliced{each: func(keys [][]byte) error { return c.deleteLinks(m, keys) }}
	err = c.scan(view, kindLink, func(it *pebble.Iterator) error {
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

// markNamed marks the links that a manifest needs.
func markNamed(m *marks, it *pebble.Iterator) error {
	repo, err := repoOf(it.Key())
	if err != nil {
		return fmt.Errorf("%w: %w", registry.ErrCorrupt, err)
	}
	d, err := decodeDigest(it.Key()[len(repoKey(kindManifest, repo)):])
	if err != nil {
		return fmt.Errorf("%w: %w", registry.ErrCorrupt, err)
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return readError(err)
	}
	stored, err := decodeManifest(d, value)
	if err != nil {
		return err
	}
	// Bytes that changed may name something else.
	err = verify(d, stored.Data)
	var named content
	if err == nil {
		named, err = parseManifest(stored.MediaType, stored.Data)
	}
	if err != nil {
		return fmt.Errorf("%w: manifest %s of repository %s: %v", registry.ErrCorrupt, d, repo, err)
	}
	for _, b := range named.blobs {
		m.add(linkKey(repo, b.Digest))
	}
	for _, b := range named.manifests { // some of which may be blobs
		m.add(linkKey(repo, b.Digest))
	}
	return nil
}

func (c *collection) deleteLinks(m *marks, keys [][]byte) error {
	fresh := 0
	err := c.slice(func(batch *pebble.Batch) error {
		for _, key := range keys {
			if m.has(key) {
				continue
			}
			d, err := linkDigest(key)
			if err != nil {
				return err
			}
			is, err := c.s.isFresh(d, c.grace)
			if err != nil {
				return err
			}
			if is {
				fresh++
				continue
			}
			if err := batch.Delete(key, nil); err != nil {
				return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
			}
		}
		return nil
	})
	c.freed.Fresh += fresh
	return err
}

// linkDigest returns the blob that a link is to.
func linkDigest(key []byte) (digest.Digest, error) {
	length := 1 + 32
	if len(key) > 1 && key[1] == codeSHA512 {
		length = 1 + 64
	}
	d, err := decodeDigest(key[1:min(1+length, len(key))])
	if err != nil {
		return "", fmt.Errorf("%w: %w", registry.ErrCorrupt, err)
	}
	return d, nil
}
