package embedded

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// errDigestMismatch says that a blob is not the one that was announced.
var errDigestMismatch = errors.New("the digest is not that of the content")

// spool receives a blob of unknown size: in memory while it is small, else in
// a temporary file. It is not safe for concurrent use.
type spool struct {
	s         *Store
	algorithm digest.Algorithm // that sum computes
	sum       hash.Hash
	memory    []byte
	file      vfs.File // nil while the blob is in memory
	path      string
	size      int64
}

func (s *Store) newSpool(algorithm digest.Algorithm) *spool {
	return &spool{s: s, algorithm: algorithm, sum: algorithm.Hash()}
}

// Write appends. After an error the spool can only be discarded. Like a
// vfs.File it may change p.
func (p *spool) Write(b []byte) (int, error) {
	p.sum.Write(b) // never fails
	if p.file == nil && len(p.memory)+len(b) > inlineBytes {
		err := p.s.read(context.Background(), func() (err error) {
			p.file, p.path, err = p.s.createTemporary()
			return err
		})
		if err != nil {
			return 0, err
		}
		if _, err := p.file.Write(p.memory); err != nil {
			return 0, fileError(err)
		}
		p.memory = nil
	}
	p.size += int64(len(b))
	if p.file == nil {
		p.memory = append(p.memory, b...)
		return len(b), nil
	}
	if err := p.s.space.accept(int64(len(b))); err != nil {
		return 0, err
	}
	if n, err := p.file.Write(b); err != nil {
		return n, fileError(err)
	}
	return len(b), nil
}

// discard gives up what was received. It may be called after store.
func (p *spool) discard() {
	p.memory = nil
	if p.file != nil {
		p.file.Close()
		p.file = nil
	}
	if p.path != "" {
		p.s.discard(p.path)
	}
}

// store makes the content a blob of the repository, durably. If its digest is
// another, the error is errDigestMismatch.
func (p *spool) store(ctx context.Context, repo string, d digest.Digest) error {
	actual, err := p.digest(ctx, d.Algorithm())
	if err != nil {
		return err
	}
	if actual != d {
		return fmt.Errorf("%w: %s was announced, %s was received", errDigestMismatch, d, actual)
	}
	if p.file == nil {
		data := p.memory // storing may outlive ctx, and discard come before it ends
		return p.s.storeSynced(ctx, len(data), func(w *writer) error {
			return errors.Join(w.noteUpload(d), w.addBlob(repo, registry.Blob{Digest: d, Data: data}))
		})
	}
	err = errors.Join(p.s.syncBlob(p.file), p.file.Close())
	p.file = nil
	if err != nil {
		return fmt.Errorf("write blob: %w", fileError(err))
	}
	return p.s.storeSynced(ctx, 0, func(w *writer) error {
		return errors.Join(w.noteUpload(d), w.addFile(repo, d, p.path, p.size))
	})
}

// digest computes the content's digest, which takes another pass if it is not
// the kind that was expected.
func (p *spool) digest(ctx context.Context, algorithm digest.Algorithm) (digest.Digest, error) {
	if algorithm == p.algorithm {
		return digest.NewDigest(algorithm, p.sum), nil
	}
	if p.file == nil {
		return algorithm.FromBytes(p.memory), nil
	}
	f, err := p.s.fs.Open(p.path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
	}
	sum := algorithm.Hash()
	_, err = io.Copy(sum, contextReader{ctx, f})
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("%w: read upload: %w", registry.ErrUnavailable, err)
	}
	return digest.NewDigest(algorithm, sum), nil
}

// contextReader fails when its context has ended.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
