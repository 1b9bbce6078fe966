package embedded

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// inlineBytes is the size up to which a blob, or a chunk of one, lies in the
// database.
const inlineBytes = 64 << 10

// Where a blob lies: the first byte of its value.
const (
	blobInline = 'i' // the blob follows
	blobChunks = 'c' // its size follows, and the sums of its chunks
	blobFile   = 'f' // its size follows; the blob is a file
)

// blobPath is the file of a large blob.
func (s *Store) blobPath(d digest.Digest) string {
	return s.fs.PathJoin(s.folder, blobsName, d.Algorithm().String(), d.Encoded())
}

func inlineValue(data []byte) []byte {
	return append(append(make([]byte, 0, 1+len(data)), blobInline), data...)
}

func fileValue(size int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{blobFile}, uint64(size))
}

func linkValue(size int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(size))
}

func decodeSize(b []byte) (int64, error) {
	if len(b) != 8 || b[0] > 0x7f {
		return 0, fmt.Errorf("%w: the size of a blob cannot be read", registry.ErrCorrupt)
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

// linked returns the size of a blob that a repository has; false if it does
// not have it.
func linked(db pebble.Reader, repo string, d digest.Digest) (int64, bool, error) {
	value, err := get(db, linkKey(repo, d))
	if err != nil || value == nil {
		return 0, false, err
	}
	size, err := decodeSize(value)
	return size, err == nil, err
}

// stored reports whether a blob is there, whichever repositories have it. A
// large blob whose file is missing or has another size is not: then it can be
// pushed again.
func (s *Store) stored(d digest.Digest) (bool, error) {
	value, err := get(s.db, blobKey(d))
	if err != nil || value == nil {
		return false, err
	}
	switch value[0] {
	case blobInline:
		return true, nil
	case blobChunks:
		all, err := haveChunks(s.db, value)
		if !all {
			s.recent.forget()
		}
		return all, err
	}
	size, err := decodeSize(value[1:])
	if err != nil {
		return false, err
	}
	info, err := s.fs.Stat(s.blobPath(d))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, readError(err)
	}
	return info.Size() == size, nil
}

// blob is an open blob. Close it.
type blob struct {
	io.ReadSeeker
	io.Closer
	size int64
}

// openBlob opens a blob, whichever repositories have it. ErrCorrupt if it, or
// its file, is missing.
func (s *Store) openBlob(d digest.Digest) (blob, error) {
	value, err := get(s.db, blobKey(d))
	if err != nil {
		return blob{}, err
	}
	if value == nil {
		return blob{}, fmt.Errorf("%w: blob %s is missing", registry.ErrCorrupt, d)
	}
	if value[0] == blobInline || value[0] == blobChunks {
		data := value[1:]
		if value[0] == blobChunks {
			if data, err = joinChunks(s.db, value); err != nil {
				return blob{}, fmt.Errorf("blob %s: %w", d, err)
			}
		}
		r := bytes.NewReader(data)
		return blob{ReadSeeker: r, Closer: io.NopCloser(r), size: r.Size()}, nil
	}
	size, err := decodeSize(value[1:])
	if err != nil {
		return blob{}, err
	}
	f, err := s.fs.Open(s.blobPath(d))
	if errors.Is(err, os.ErrNotExist) {
		return blob{}, fmt.Errorf("%w: the file of blob %s is missing", registry.ErrCorrupt, d)
	}
	if err != nil {
		return blob{}, readError(err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() != size {
		err = fmt.Errorf("%w: the file of blob %s has %d bytes, not %d", registry.ErrCorrupt, d, info.Size(), size)
	}
	if err != nil {
		return blob{}, errors.Join(err, f.Close())
	}
	return blob{ReadSeeker: io.NewSectionReader(f, 0, size), Closer: f, size: size}, nil
}

// openBlobOf opens a blob of a repository: ErrNotFound if it does not have it.
func (s *Store) openBlobOf(repo string, d digest.Digest) (blob, error) {
	lacks := func() error {
		_, there, err := linked(s.db, repo, d)
		if err == nil && !there {
			err = fmt.Errorf("%w: repository %s has no blob %s", registry.ErrNotFound, repo, d)
		}
		return err
	}
	if err := lacks(); err != nil {
		return blob{}, err
	}
	b, err := s.openBlob(d)
	if errors.Is(err, registry.ErrCorrupt) {
		if gone := lacks(); gone != nil { // it was collected in between
			err = gone
		}
	}
	return b, err
}

// confirm opens a blob of a repository for a client who will rely on it.
func (s *Store) confirm(repo string, d digest.Digest) (blob, error) {
	// So that a collection either comes first, or sees the note.
	s.blobs.RLock()
	defer s.blobs.RUnlock()
	b, err := s.openBlobOf(repo, d)
	if err == nil {
		s.confirmed.note(d)
	}
	return b, err
}

// readBlob returns a whole blob, verified. ErrTooLarge beyond MaxBlobBytes.
func (s *Store) readBlob(d digest.Digest) ([]byte, error) {
	b, err := s.openBlob(d)
	if err != nil {
		return nil, err
	}
	if b.size > registry.MaxBlobBytes {
		return nil, errors.Join(fmt.Errorf("%w: blob %s has %d bytes, at most %d can be read at once", registry.ErrTooLarge, d, b.size, registry.MaxBlobBytes), b.Close())
	}
	data := make([]byte, b.size)
	_, err = io.ReadFull(b, data)
	if err = errors.Join(err, b.Close()); err != nil {
		return nil, readError(err)
	}
	if actual := d.Algorithm().FromBytes(data); actual != d {
		return nil, fmt.Errorf("%w: the bytes stored as blob %s have the digest %s", registry.ErrCorrupt, d, actual)
	}
	return data, nil
}

// createTemporary makes a file among the uploads. The next Open removes it if
// it is still there. Names are never used twice: an upload that ends late must
// not remove the file of another.
func (s *Store) createTemporary() (vfs.File, string, error) {
	path := s.fs.PathJoin(s.folder, uploadsName, rand.Text())
	s.temporary.Store(path, true)
	f, err := s.fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		s.temporary.Delete(path)
		return nil, "", fileError(err)
	}
	return f, path, nil
}

// writeTemporary writes content to a temporary file and syncs it.
func (s *Store) writeTemporary(ctx context.Context, data []byte) (path string, err error) {
	f, path, err := s.createTemporary()
	if err != nil {
		return "", err
	}
	// In pieces, because ctx may end, and from a copy, because vfs.File may
	// change what it is given.
	piece := make([]byte, min(len(data), 1<<20))
	for len(data) > 0 && err == nil {
		if err = ctx.Err(); err == nil {
			n := copy(piece, data)
			_, err = f.Write(piece[:n])
			data = data[n:]
		}
	}
	if err == nil {
		err = s.syncBlob(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		s.discard(path)
		return "", fmt.Errorf("write blob: %w", fileError(err))
	}
	return path, nil
}

// syncBlob makes a blob's file durable, unless writes do not wait for that.
func (s *Store) syncBlob(f vfs.File) error {
	if !s.waits() {
		return nil
	}
	return f.Sync()
}

// discard removes a temporary file. What stays is removed by the next collection,
// or the next Open.
func (s *Store) discard(path string) {
	defer s.temporary.Delete(path)
	if err := s.fs.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.log.Warn("embedded registry: an unfinished upload's file cannot be removed yet", "path", path, "error", err.Error())
	}
}

// adopt gives synced temporary files their blobs' names and makes the names
// durable. The caller holds blobs shared and then writes the blobs' keys.
func (s *Store) adopt(files map[digest.Digest]string) error {
	algorithms := map[digest.Algorithm]bool{}
	for d, path := range files {
		if err := s.fs.Rename(path, s.blobPath(d)); err != nil {
			return fmt.Errorf("store blob: %w", fileError(err))
		}
		s.temporary.Delete(path)
		algorithms[d.Algorithm()] = true
	}
	if !s.waits() {
		return nil
	}
	for algorithm := range algorithms {
		if err := syncFolder(s.fs, s.fs.PathJoin(s.folder, blobsName, algorithm.String())); err != nil {
			// A second try could succeed without having made the names durable.
			s.fail(fmt.Errorf("sync the folder of the blobs: %w", err))
			return fmt.Errorf("%w: store blob: %w", registry.ErrUnavailable, err)
		}
	}
	return nil
}
