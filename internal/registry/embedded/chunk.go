package embedded

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"gitops-squared.io/gsq/internal/registry"
)

// A catalog is stored with every revision of a namespace, and differs little
// from the one before. Its layer consists of gzip members, most of which are
// the same as before. So such a blob is stored in chunks that begin where
// members begin, each under its digest, once: a revision takes the room, and the
// time to sync it, of what changed. Members are cut apart by what they hold, so the
// same ones give the same chunks whatever surrounds them.

const (
	// chunkMembers is how many members a chunk has on average.
	chunkMembers = 4

	// maxChunked is the size up to which a blob is stored in chunks, and is put
	// together in memory when it is read.
	maxChunked = 4 << 20
)

// gzipHeader begins the members that are written without name and time
// (RFC 1952, section 2.3). Bytes that look like one by chance are as good a
// place to cut.
const gzipHeader = "\x1f\x8b\x08\x00\x00\x00\x00\x00"

// chunksOf cuts data where gzip members begin. It returns nil for what is better
// stored as a whole: without two chunks, or with one over inlineBytes.
func chunksOf(data []byte) [][]byte {
	if len(data) > maxChunked || !bytes.HasPrefix(data, []byte(gzipHeader)) {
		return nil
	}
	var chunks [][]byte
	begin := 0
	for at := len(gzipHeader); ; at += len(gzipHeader) {
		next := bytes.Index(data[at:], []byte(gzipHeader))
		if next < 0 {
			break
		}
		at += next
		// The member before ends with the CRC-32 of its content, and its length.
		if data[at-8]%chunkMembers == 0 {
			chunks = append(chunks, data[begin:at])
			begin = at
		}
	}
	chunks = append(chunks, data[begin:])
	for _, c := range chunks {
		if len(c) > inlineBytes {
			return nil
		}
	}
	if len(chunks) < 2 {
		return nil
	}
	return chunks
}

type chunkSum [sha256.Size]byte

func chunkKey(sum chunkSum) []byte {
	return append(append(make([]byte, 0, 1+len(sum)), kindChunk), sum[:]...)
}

// addChunks adds the chunks that are not stored yet, and returns the value of
// the blob that they are.
func (w *writer) addChunks(chunks [][]byte) ([]byte, error) {
	value := make([]byte, 9, 9+len(chunks)*sha256.Size)
	value[0] = blobChunks
	size := 0
	for _, c := range chunks {
		sum := chunkSum(sha256.Sum256(c))
		value = append(value, sum[:]...)
		size += len(c)
		w.keepChunk(sum)
		if w.chunks[sum] || w.s.recent.has(sum) {
			continue
		}
		there, err := has(w.s.db, chunkKey(sum))
		if err != nil {
			return nil, err
		}
		if !there {
			if err := w.batch.Set(chunkKey(sum), c, nil); err != nil {
				return nil, fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
			}
		}
		w.chunks[sum] = true
	}
	binary.BigEndian.PutUint64(value[1:], uint64(size))
	return value, nil
}

// eachChunk calls do for the chunks of a blob's value, until it returns an
// error, and returns the blob's size.
func eachChunk(value []byte, do func(chunkSum) error) (int64, error) {
	if len(value) < 9 || (len(value)-9)%sha256.Size != 0 {
		return 0, fmt.Errorf("%w: the chunks of a blob cannot be read", registry.ErrCorrupt)
	}
	size, err := decodeSize(value[1:9])
	if err != nil {
		return 0, err
	}
	for rest := value[9:]; len(rest) > 0; rest = rest[sha256.Size:] {
		if err := do(chunkSum(rest)); err != nil {
			return 0, err
		}
	}
	return size, nil
}

// joinChunks returns the blob that consists of chunks. ErrCorrupt if one is
// missing, or if together they have another size.
func joinChunks(db pebble.Reader, value []byte) ([]byte, error) {
	var data []byte
	size, err := eachChunk(value, func(sum chunkSum) error {
		c, closer, err := db.Get(chunkKey(sum))
		if errors.Is(err, pebble.ErrNotFound) {
			return fmt.Errorf("%w: chunk %x of a blob is missing", registry.ErrCorrupt, sum)
		}
		if err != nil {
			return readError(err)
		}
		data = append(data, c...)
		if err := closer.Close(); err != nil {
			return readError(err)
		}
		if len(data) > maxChunked {
			return fmt.Errorf("%w: a blob in chunks has more than %d bytes", registry.ErrCorrupt, maxChunked)
		}
		return nil
	})
	if err == nil && size != int64(len(data)) {
		err = fmt.Errorf("%w: the chunks of a blob have %d bytes, not %d", registry.ErrCorrupt, len(data), size)
	}
	return data, err
}

// haveChunks reports whether all chunks of a blob's value are there.
func haveChunks(db pebble.Reader, value []byte) (bool, error) {
	all := true
	_, err := eachChunk(value, func(sum chunkSum) error {
		there, err := has(db, chunkKey(sum))
		all = all && there
		return err
	})
	return all, err
}
