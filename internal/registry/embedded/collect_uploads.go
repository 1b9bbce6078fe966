package embedded

import (
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"gitops-squared.io/gsq/internal/registry"
)

// uploads deletes the notes of uploads that are older than the grace.
func (c *collection) uploads() error {
	doomed := sliced{each: c.deleteUploads}
	err := c.scan(c.s.db, kindUpload, func(it *pebble.Iterator) error {
		value, err := it.ValueAndErr()
		if err != nil {
			return readError(err)
		}
		t, err := decodeUpload(value)
		if err != nil || c.inGrace(t) {
			return err
		}
		return doomed.add(it.Key())
	})
	if err != nil {
		return err
	}
	return doomed.rest()
}

// inGrace reports whether a time is one of the grace. One that has not come yet is
// none.
func (c *collection) inGrace(t time.Time) bool {
	age := time.Since(t)
	return age >= 0 && age < c.grace
}

func (c *collection) deleteUploads(keys [][]byte) error {
	return c.slice(func(batch *pebble.Batch) error {
		for _, key := range keys {
			value, err := get(c.s.db, key)
			if err != nil {
				return err
			}
			if value == nil {
				continue
			}
			t, err := decodeUpload(value)
			if err != nil {
				return err
			}
			switch now := time.Now(); {
			case c.inGrace(t): // uploaded again
			case t.After(now) && c.grace > 0: // the clock was wrong; its age begins now
				err = batch.Set(key, uploadValue(now), nil)
			default:
				err = batch.Delete(key, nil)
			}
			if err != nil {
				return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
			}
		}
		return nil
	})
}
