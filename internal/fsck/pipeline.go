package fsck

import (
	"context"
	"fmt"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

const (
	ahead = 32 // revisions of a chain that are read ahead
	// maxManifest is far above what a revision's manifest has.
	maxManifest = 64 << 10
)

// item is a revision as it was read, before anything is said of it. Its errors
// are about content.
type item struct {
	number int64

	manifest    registry.Manifest
	manifestErr error

	blobs     []ocispec.Descriptor // that the manifest names; exactly two, or none
	record    registry.Blob
	recordErr error
	deep      bool // the layer was read, too
	layer     registry.Blob
	layerErr  error

	held int64 // of the memory for blobs
}

// read reads revisions by their tags, from one down to another, several ahead,
// and visits them in that order.
func (c *chain) read(ctx context.Context, from, to int64, visit func(ctx context.Context, it *item) error) error {
	group, ctx := errgroup.WithContext(ctx)
	manifests, complete := make(chan chan *item, ahead), make(chan chan *item, ahead)
	// Each revision has a place, which is handed on before it is filled: so they
	// stay in order.
	pass := func(places chan<- chan *item, fill func() (*item, error)) error {
		place := make(chan *item, 1)
		select {
		case places <- place:
		case <-ctx.Done():
			return ctx.Err()
		}
		group.Go(func() error {
			it, err := fill()
			if err == nil {
				place <- it
			}
			return err
		})
		return nil
	}
	each := func(places <-chan chan *item, do func(*item) error) error {
		for place := range places {
			select {
			case it := <-place:
				if err := do(it); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}
	group.Go(func() error {
		defer close(manifests)
		for n := from; n >= to; n-- {
			if err := pass(manifests, func() (*item, error) { return c.readManifest(ctx, n, artifact.RevisionTag(n)) }); err != nil {
				return err
			}
		}
		return nil
	})
	group.Go(func() error {
		defer close(complete)
		return each(manifests, func(it *item) error {
			// In order, so that who is visited next never waits for memory that
			// those after it hold.
			it.held = it.size()
			if err := c.memory.Acquire(ctx, it.held); err != nil {
				return err
			}
			return pass(complete, func() (*item, error) { return it, c.readBlobs(ctx, it) })
		})
	})
	group.Go(func() error {
		return each(complete, func(it *item) error {
			err := visit(ctx, it)
			c.memory.Release(it.held)
			return err
		})
	})
	return group.Wait()
}

// readManifest reads a revision's manifest by its tag or digest.
func (c *chain) readManifest(ctx context.Context, number int64, reference string) (*item, error) {
	it := &item{number: number}
	it.manifest, it.manifestErr = c.reader.manifest(ctx, c.repo, reference)
	if it.manifestErr != nil {
		if !isContent(it.manifestErr) {
			return nil, it.manifestErr
		}
		return it, nil
	}
	if n := len(it.manifest.Data); n > maxManifest {
		it.manifest.Data = nil
		it.recordErr = fmt.Errorf("%w: its manifest has %d bytes, at most %d are expected", registry.ErrTooLarge, n, maxManifest)
		return it, nil
	}
	content, err := it.manifest.Content()
	switch {
	case err != nil:
		it.recordErr = err
	case len(content.Blobs) != 2:
		it.recordErr = fmt.Errorf("its manifest names %d blobs, not two", len(content.Blobs))
	case content.Blobs[0].MediaType != c.configType || content.Blobs[1].MediaType != c.layerType:
		it.recordErr = fmt.Errorf("its config and layer are %s and %s, not %s and %s", content.Blobs[0].MediaType, content.Blobs[1].MediaType, c.configType, c.layerType)
	case content.Blobs[0].Size > artifact.MaxRecordBytes:
		it.recordErr = fmt.Errorf("%w: its record has %d bytes, at most %d are allowed", registry.ErrTooLarge, content.Blobs[0].Size, artifact.MaxRecordBytes)
	default:
		it.blobs = content.Blobs
		// All the rest depends on what the system catalog says.
		it.deep = c.scope == artifact.ScopeSystem || content.Annotations[ocispec.AnnotationCreated] >= c.since
	}
	return it, nil
}

// size is what the revision's blobs take.
func (it *item) size() int64 {
	if it.blobs == nil {
		return 0
	}
	n := it.blobs[0].Size
	if it.deep {
		n += min(it.blobs[1].Size, registry.MaxBlobBytes)
	}
	return n
}

// readBlobs reads the record, and the layer if it is read in depth.
func (c *chain) readBlobs(ctx context.Context, it *item) error {
	if it.blobs == nil {
		return nil
	}
	// One after the other: other revisions are read at the same time.
	it.record, it.recordErr = c.reader.blob(ctx, c.repo, it.blobs[0])
	if it.recordErr != nil && !isContent(it.recordErr) {
		return it.recordErr
	}
	if it.deep {
		it.layer, it.layerErr = c.reader.blob(ctx, c.repo, it.blobs[1])
		if it.layerErr != nil && !isContent(it.layerErr) {
			return it.layerErr
		}
	}
	return nil
}

// fetch reads a revision by its digest.
func (c *chain) fetch(ctx context.Context, number int64, reference string) (*item, error) {
	it, err := c.readManifest(ctx, number, reference)
	if err == nil {
		err = c.readBlobs(ctx, it)
	}
	return it, err
}

// revision is one that was read and is what its manifest says.
type revision struct {
	artifact.Thinned
	number  int64
	thinned bool // it comes from a checkpoint
	deep    bool // its layer has to be right
	layer   *registry.Blob
	content ocispec.Descriptor // of the layer
}

// unpack checks the formats of what was read. The error is about content; what
// ErrCorrupt and ErrTooLarge are in it may be read again.
func (it *item) unpack() (*revision, error) {
	if it.recordErr != nil {
		return nil, it.recordErr
	}
	rev := &revision{number: it.number, deep: it.deep, content: it.blobs[1]}
	if it.deep && it.layerErr == nil {
		whole, err := artifact.Unpack(it.record.MediaType, it.layer.MediaType, registry.Artifact{Manifest: it.manifest, Blobs: []registry.Blob{it.record, it.layer}})
		if err != nil {
			return nil, err
		}
		rev.Thinned = artifact.Thinned{Manifest: it.manifest, Record: whole.Record}
		rev.layer = &it.layer
		return rev, nil
	}
	var err error
	rev.Thinned, err = artifact.NewThinned(it.manifest, it.record.Data)
	return rev, err
}
