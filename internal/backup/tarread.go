package backup

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"gitops-squared.io/gsq/internal/registry"
)

// archive is a tree of layouts in a tar, which is read in place.
type archive struct {
	from  io.ReadSeeker
	at    io.ReaderAt
	close func() error
	files map[string]extent
}

type extent struct{ offset, size int64 }

// maxArchiveFiles bounds the files of a tar.
const maxArchiveFiles = 50_000_000

// blobName matches the last part of the path of a blob.
var blobName = regexp.MustCompile(`^(.+)/blobs/(sha256/[0-9a-f]{64}|sha512/[0-9a-f]{128})$`)

// readArchive lists what is in a tar. Whatever is neither a file of a layout
// nor a folder is refused, by its name: links, names with a way out, names that
// occur twice.
func readArchive(from io.ReadSeeker, at io.ReaderAt, close func() error) (*archive, error) {
	a := &archive{from: from, at: at, close: close, files: map[string]extent{}}
	in := tar.NewReader(from)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return a, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: the tar cannot be read: %w", ErrDamaged, err)
		}
		name := strings.TrimPrefix(h.Name, "./")
		switch {
		case h.Typeflag == tar.TypeXGlobalHeader:
			continue
		case h.Typeflag == tar.TypeDir:
			if clean := strings.TrimSuffix(name, "/"); clean != "" && path.Clean("/"+clean) != "/"+clean {
				return nil, fmt.Errorf("%w: the tar has the folder %q, whose name leads elsewhere", ErrDamaged, h.Name)
			}
			continue
		case h.Typeflag != tar.TypeReg:
			return nil, fmt.Errorf("%w: the tar has %q, which is no regular file", ErrDamaged, h.Name)
		case !isArchived(name):
			return nil, fmt.Errorf("%w: the tar has the file %q, which no backup has", ErrDamaged, h.Name)
		case len(a.files) == maxArchiveFiles:
			return nil, fmt.Errorf("%w: the tar has more than %d files", ErrDamaged, maxArchiveFiles)
		}
		if _, ok := a.files[name]; ok {
			return nil, fmt.Errorf("%w: the tar has %q twice", ErrDamaged, h.Name)
		}
		offset, err := from.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		a.files[name] = extent{offset, h.Size}
	}
}

// isArchived reports whether a backup may have a file of that name.
func isArchived(name string) bool {
	if name == descriptionFile || name == unfinishedFile {
		return true
	}
	repo, file := path.Split(name)
	repo = strings.TrimSuffix(repo, "/")
	if file == indexFile || file == layoutFile {
		return isRepository(repo)
	}
	m := blobName.FindStringSubmatch(name)
	return m != nil && isRepository(m[1])
}

func (a *archive) read(name string, limit int64) ([]byte, error) {
	e, ok := a.files[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	if e.size > limit {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d are expected", registry.ErrTooLarge, name, e.size, limit)
	}
	data := make([]byte, e.size)
	if _, err := io.ReadFull(io.NewSectionReader(a.at, e.offset, e.size), data); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", registry.ErrCorrupt, name, err)
	}
	return data, nil
}

func (a *archive) layouts(suffix string) ([]string, error) {
	var found []string
	for name := range a.files {
		if repo, ok := strings.CutSuffix(name, "/"+layoutFile); ok && strings.HasSuffix("/"+repo, suffix) {
			found = append(found, repo)
		}
	}
	slices.Sort(found)
	return found, nil
}

func (a *archive) Close() error { return a.close() }
