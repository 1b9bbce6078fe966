package embedded

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// files removes the files of blobs that the database does not name, or holds
// itself: of those that the step before deleted, and what a crash left. Names that
// are no digest's are not of this registry's making, and stay.
func (c *collection) files() error {
	for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		names, err := c.s.fs.List(c.s.fs.PathJoin(c.s.folder, blobsName, algorithm.String()))
		if err != nil {
			return readError(err)
		}
		for _, name := range names {
			d := digest.NewDigestFromEncoded(algorithm, name)
			if checkDigest(d) != nil {
				continue
			}
			if err := c.interrupted(); err != nil {
				return err
			}
			named, err := c.s.isFile(d)
			if err != nil {
				return err
			}
			if named {
				continue
			}
			if err := c.removeFile(d); err != nil {
				return fmt.Errorf("the file of blob %s: %w", d, err)
			}
		}
	}
	return nil
}

// isFile reports whether the database says that a blob is a file.
func (s *Store) isFile(d digest.Digest) (bool, error) {
	value, err := get(s.db, blobKey(d))
	if err != nil || value == nil {
		return false, err
	}
	_, err = contentBytes(value)
	return err == nil && value[0] == blobFile, err
}

// removeFile takes a file out of its place while no writer is at work, who
// could be about to name it, and only then removes it: that takes a while if it
// is large.
func (c *collection) removeFile(d digest.Digest) error {
	path := c.s.fs.PathJoin(c.s.folder, uploadsName, rand.Text())
	taken := false
	err := c.alone(func(*pebble.Batch) error {
		named, err := c.s.isFile(d)
		if err != nil || named {
			return err
		}
		if err := c.s.fs.Rename(c.s.blobPath(d), path); err != nil {
			return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
		}
		taken = true
		return nil
	})
	if err != nil || !taken {
		return err
	}
	return c.remove(path)
}

// remove removes a file and counts it.
func (c *collection) remove(path string) error {
	info, err := c.s.fs.Stat(path)
	if err == nil {
		err = c.s.fs.Remove(path)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil // whoever used it has removed it
	}
	if err != nil {
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	c.freed.Files++
	c.freed.Bytes += info.Size()
	return nil
}

// temporaries removes the files among the uploads that nobody uses any more:
// those that could not be removed when they should.
func (c *collection) temporaries() error {
	folder := c.s.fs.PathJoin(c.s.folder, uploadsName)
	names, err := c.s.fs.List(folder)
	if err != nil {
		return readError(err)
	}
	for _, name := range names {
		path := c.s.fs.PathJoin(folder, name)
		// Who makes a file notes it first, and no name comes twice.
		if _, used := c.s.temporary.Load(path); used {
			continue
		}
		if err := errors.Join(c.interrupted(), c.remove(path)); err != nil {
			return err
		}
	}
	return nil
}
