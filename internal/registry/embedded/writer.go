package embedded

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// writer collects blobs and manifests into one batch. It holds Store.blobs
// shared from its making until close.
type writer struct {
	s     *Store
	ctx   context.Context
	batch *pebble.Batch
	files map[digest.Digest]string // temporary files of large blobs to be adopted

	// What the batch has not applied yet, or is known to be there.
	known map[digest.Digest]bool // blobs
	links map[link]int64         // the sizes of blobs
	made  map[link]bool          // manifests

	chunks map[chunkSum]bool

	marks *marks // of the collection under way, or nil

	tagging bool // Store.tags is held shared, too
}

type link struct {
	repo   string
	digest digest.Digest
}

func (s *Store) newWriter(ctx context.Context) *writer {
	s.blobs.RLock()
	return &writer{
		s: s, ctx: ctx, batch: s.db.NewBatch(),
		files: map[digest.Digest]string{},
		known: map[digest.Digest]bool{},
		links: map[link]int64{},
		made:  map[link]bool{},

		chunks: map[chunkSum]bool{},

		marks: s.marks.Load(),
	}
}

func (w *writer) close() {
	if w.tagging {
		w.s.tags.RUnlock()
	}
	w.mark()
	w.s.blobs.RUnlock()
	for _, path := range w.files {
		w.s.discard(path)
	}
}

// mark keeps the links that the writer made or relied on from the collection
// under way.
func (w *writer) mark() {
	if w.marks == nil {
		return
	}
	for l := range w.links {
		w.marks.add(linkKey(l.repo, l.digest))
	}
}

// keepChunk does the same for a chunk of a blob that the writer makes.
func (w *writer) keepChunk(sum chunkSum) {
	if w.marks != nil {
		w.marks.add(chunkKey(sum))
	}
}

// flush applies the batch unsynced and begins another.
func (w *writer) flush() error {
	if err := w.adopt(); err != nil {
		return err
	}
	if w.batch.Empty() {
		return nil
	}
	if err := w.s.apply(w.batch); err != nil {
		return err
	}
	w.s.recent.add(w.chunks)
	w.batch = w.s.db.NewBatch()
	return nil
}

// storeSynced stores what fill adds, so many bytes, and returns when it is
// durable.
func (s *Store) storeSynced(ctx context.Context, bytes int, fill func(w *writer) error) error {
	if err := s.space.accept(int64(bytes) * writeFactor); err != nil {
		return err
	}
	return s.write(ctx, func() error {
		wait, err := s.applyFilled(ctx, fill)
		if err != nil {
			return err
		}
		return wait()
	})
}

func (s *Store) applyFilled(ctx context.Context, fill func(w *writer) error) (wait func() error, err error) {
	w := s.newWriter(ctx)
	defer w.close()
	if err := fill(w); err != nil {
		return nil, err
	}
	if err := w.adopt(); err != nil {
		return nil, err
	}
	if wait, err = s.applySynced(w.batch); err == nil {
		s.recent.add(w.chunks)
	}
	return wait, err
}

// adopt must precede the batch's application, so that no key names a file
// that is not durable.
func (w *writer) adopt() error {
	if len(w.files) == 0 {
		return nil
	}
	if err := w.s.adopt(w.files); err != nil {
		return err
	}
	clear(w.files)
	return nil
}

// blindBytes is the size up to which writing a blob again costs less than
// looking whether it is there.
const blindBytes = 4 << 10

func (w *writer) addBlob(repo string, b registry.Blob) error {
	known := w.known[b.Digest]
	if !known && len(b.Data) > blindBytes {
		var err error
		if known, err = w.s.stored(b.Digest); err != nil {
			return err
		}
	}
	if !known {
		var value []byte
		if chunks := chunksOf(b.Data); chunks != nil {
			var err error
			if value, err = w.addChunks(chunks); err != nil {
				return err
			}
		} else if len(b.Data) <= inlineBytes {
			value = inlineValue(b.Data)
		} else {
			path, err := w.s.writeTemporary(w.ctx, b.Data)
			if err != nil {
				return err
			}
			w.files[b.Digest] = path
			value = fileValue(int64(len(b.Data)))
		}
		if err := w.batch.Set(blobKey(b.Digest), value, nil); err != nil {
			return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
		}
	}
	w.known[b.Digest] = true
	return w.addLink(repo, b.Digest, int64(len(b.Data)))
}

// addFile adds a blob that lies in a synced temporary file, unless it is
// stored already. The file is the writer's from then on.
func (w *writer) addFile(repo string, d digest.Digest, path string, size int64) error {
	stored, err := w.s.stored(d)
	if err != nil {
		return err
	}
	if stored {
		w.s.discard(path)
		return w.addLink(repo, d, size)
	}
	w.files[d] = path
	if err := w.batch.Set(blobKey(d), fileValue(size), nil); err != nil {
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	return w.addLink(repo, d, size)
}

// addLink does not look whether the link is there: to write it again costs less.
func (w *writer) addLink(repo string, d digest.Digest, size int64) error {
	if _, there := w.links[link{repo, d}]; there {
		return nil
	}
	if err := w.batch.Set(linkKey(repo, d), linkValue(size), nil); err != nil {
		return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	w.links[link{repo, d}] = size
	return nil
}

// link returns the size of a blob of the repository, stored or in the batch.
func (w *writer) link(repo string, d digest.Digest) (int64, bool, error) {
	if size, there := w.links[link{repo, d}]; there {
		return size, true, nil
	}
	size, there, err := linked(w.s.db, repo, d)
	if err == nil && there {
		w.links[link{repo, d}] = size
	}
	return size, there, err
}

// moveTag makes a tag name a manifest that the batch holds.
func (w *writer) moveTag(repo, tag string, to digest.Digest) error {
	if !w.tagging {
		w.s.tags.RLock()
		w.tagging = true
	}
	return w.s.moveTag(w.batch, repo, tag, to)
}
