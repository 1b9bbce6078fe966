package backup

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"gitops-squared.io/gsq/internal/registry"
)

// Tar is a Target: the tree that a Folder has, as a tar. It is written from its
// beginning to its end, so nothing of an earlier run is used.
type Tar struct {
	prefix string

	mu      sync.Mutex
	out     *tar.Writer
	written map[string]bool
}

// NewTar returns a tar that is written to w. It is complete when Run has
// succeeded; whoever opened w makes it durable.
func NewTar(w io.Writer, prefix string) *Tar {
	return &Tar{prefix: prefix, out: tar.NewWriter(w), written: map[string]bool{}}
}

func (t *Tar) begin(context.Context) error { return nil }

func (t *Tar) kept() Source { return nil }

func (t *Tar) heads() []Cut { return nil }

func (t *Tar) has(context.Context, place) (registry.Manifest, bool) {
	return registry.Manifest{}, false
}

func (t *Tar) put(_ context.Context, repo string, a registry.Artifact) (int64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var bytes int64
	for _, b := range append(slices.Clone(a.Blobs), registry.Blob{Digest: a.Manifest.Digest, Data: a.Manifest.Data}) {
		n, err := t.write(t.prefix+repo+"/"+blobPath(b.Digest), b.Data)
		if bytes += n; err != nil {
			return bytes, err
		}
	}
	return bytes, nil
}

// write adds a file, once. The caller holds mu.
func (t *Tar) write(name string, data []byte) (int64, error) {
	if t.written[name] {
		return 0, nil
	}
	t.written[name] = true
	if err := t.out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600, Size: int64(len(data))}); err != nil {
		return 0, err
	}
	if _, err := t.out.Write(data); err != nil {
		return 0, err
	}
	return int64(len(data)), nil
}

func (t *Tar) finish(_ context.Context, _ *plan, n names, d Description) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, repo := range slices.Sorted(maps.Keys(n)) {
		data, err := encodeIndex(n[repo])
		if err != nil {
			return err
		}
		d.Repositories[t.prefix+repo] = registry.NewBlob("", data).Digest
		if _, err := t.write(t.prefix+repo+"/"+layoutFile, []byte(layoutMark)); err != nil {
			return err
		}
		if _, err := t.write(t.prefix+repo+"/"+indexFile, data); err != nil {
			return err
		}
	}
	data, err := d.encode()
	if err != nil {
		return err
	}
	if _, err := t.write(descriptionFile, data); err != nil {
		return err
	}
	if err := t.out.Close(); err != nil {
		return fmt.Errorf("ending the tar: %w", err)
	}
	return nil
}
