package embedded

import (
	"bytes"

	"github.com/cockroachdb/pebble/v2"
)

// What is deleted from the database takes room until the tables that hold it
// are merged with those that hold the deletions. The database does that some
// day. Here it is done where at least an eighth of the entries are deletions: so what is
// written again is at most some times what is freed, however often a collection
// runs, and also when one before ended early.
const compactPart = 8

// compactBytes is how much of the lowest level is merged at a time: it takes that
// much of the disk until the merged tables are removed.
const compactBytes = 64 << 20

// compact gives the room of what was deleted back, unless the disk is too full
// for that: then the database does it when there is room.
func (c *collection) compact() error {
	if !c.s.space.spare(int64(c.s.options.memTableBytes)) {
		c.tooFull()
		return nil
	}
	if err := c.flush(); err != nil {
		return err
	}
	if err := c.compactKinds(); !isFull(err) {
		return err
	}
	c.tooFull()
	return nil
}

func (c *collection) tooFull() {
	c.s.log.Warn("embedded registry: the disk is too full to merge tables, so some room comes back later")
}

func (c *collection) compactKinds() error {
	for _, kind := range []byte{kindBlob, kindChunk, kindLink, kindManifest, kindPointer, kindReferrer, kindTag, kindUpload} {
		from, to := []byte{kind}, []byte{kind + 1}
		levels, err := c.s.db.SSTables(pebble.WithProperties(), pebble.WithKeyRangeFilter(from, to))
		if err != nil {
			return readError(err)
		}
		if !worthCompacting(levels) {
			continue
		}
		for _, end := range append(cuts(levels[len(levels)-1], from, to), to) {
			if err := c.compactPiece(from, end); err != nil {
				return err
			}
			from = end
		}
	}
	return nil
}

// flush has the database write what it has in memory to tables.
func (c *collection) flush() error {
	flushed, err := c.s.db.AsyncFlush()
	if err != nil {
		return readError(err)
	}
	select {
	case <-flushed:
		return nil
	case <-c.ctx.Done(): // on a full disk, it may take for ever
		return c.interrupted()
	}
}

func worthCompacting(levels [][]pebble.SSTableInfo) bool {
	var entries, deletions uint64
	for _, level := range levels {
		for _, t := range level {
			entries += t.Properties.NumEntries
			deletions += t.Properties.NumDeletions
		}
	}
	return deletions > 0 && deletions*compactPart >= entries
}

// cuts returns where to cut between from and to, so that each piece has some
// compactBytes of the tables.
func cuts(tables []pebble.SSTableInfo, from, to []byte) (at [][]byte) {
	size := uint64(0)
	for _, t := range tables {
		begin := t.Smallest.UserKey
		if size >= compactBytes && bytes.Compare(begin, from) > 0 && bytes.Compare(begin, to) < 0 {
			at = append(at, bytes.Clone(begin))
			size = 0
		}
		size += t.Size
	}
	return at
}

func (c *collection) compactPiece(from, to []byte) error {
	if err := c.interrupted(); err != nil {
		return err
	}
	err := c.s.db.Compact(c.ctx, from, to, false)
	if err == nil {
		return nil
	}
	if ended := c.interrupted(); ended != nil {
		return ended
	}
	return readError(err)
}
