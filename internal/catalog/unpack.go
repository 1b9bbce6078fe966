package catalog

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"

	"gitops-squared.io/gsq/internal/intent"
)

// ErrTooLarge says that an archive unpacks to more than MaxBytes.
var ErrTooLarge = errors.New("archive too large")

// Unpack reads an archive that Pack wrote for the namespace, and nothing else:
// its tar must be, byte for byte, the one that Pack writes of the entries.
// Only the compression may be another one. The entries come sorted by name.
func Unpack(namespace string, archive []byte) ([]Entry, error) {
	if !intent.IsLabel(namespace) {
		return nil, fmt.Errorf("catalog of %q: that is not the name of a namespace", namespace)
	}
	files, canonical := readCanonical(archive)
	sum := sha256.New()
	if !canonical {
		var err error
		if files, err = read(archive, sum); err != nil {
			return nil, fmt.Errorf("catalog of %s: %w", namespace, err)
		}
	}
	if len(files) == 0 || files[len(files)-1].Name != kustomizationName {
		return nil, fmt.Errorf("catalog of %s: it does not end with %s", namespace, kustomizationName)
	}
	last := files[len(files)-1]
	entries := make([]Entry, 0, len(files)-1)
	for i, f := range files[:len(files)-1] {
		name, ok := strings.CutPrefix(f.Name, Folder+"/"+namespace+"-")
		if ok {
			name, ok = strings.CutSuffix(name, ".yaml")
		}
		if !ok || !intent.IsLabel(name) {
			return nil, fmt.Errorf("catalog of %s: unexpected file %q", namespace, f.Name)
		}
		if i > 0 && name <= entries[i-1].Name {
			return nil, fmt.Errorf("catalog of %s: %q is out of order", namespace, f.Name)
		}
		if len(f.Data) == 0 {
			return nil, fmt.Errorf("catalog of %s: %q is empty", namespace, f.Name)
		}
		entries = append(entries, Entry{Name: name, YAML: f.Data})
	}
	if !bytes.Equal(last.Data, kustomization(namespace, entries)) {
		return nil, fmt.Errorf("catalog of %s: its kustomization does not list exactly its files", namespace)
	}
	if canonical {
		return entries, nil
	}
	again := sha256.New()
	if err := writeTar(again, namespace, entries); err != nil {
		return nil, fmt.Errorf("catalog of %s: %w", namespace, err)
	}
	if !bytes.Equal(again.Sum(nil), sum.Sum(nil)) {
		return nil, fmt.Errorf("catalog of %s: its files are right, its tar is not: a folder, a header or padding that this program does not write", namespace)
	}
	return entries, nil
}

// File is a regular file of an archive.
type File struct {
	Name string
	Data []byte
}

// Files reads any gzip-compressed tar of regular files and folders; folders
// are left out. Names are as they stand in the archive. Links and special
// files are errors, and so are bytes after the compressed data and content of
// more than MaxBytes: ErrTooLarge.
func Files(archive []byte) ([]File, error) { return read(archive, io.Discard) }

// read is Files; it also writes the uncompressed archive to tee. For the
// content of files it allocates MaxBytes at most, whatever the headers say.
func read(archive []byte, tee io.Writer) ([]File, error) {
	in := bytes.NewReader(archive)
	zr, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	defer zr.Close()
	limited := &io.LimitedReader{R: zr, N: MaxBytes + 1}
	all := io.TeeReader(limited, tee)
	tr := tar.NewReader(all)
	var files []File
	left := int64(MaxBytes)
	for {
		h, err := tr.Next()
		if limited.N <= 0 {
			return nil, fmt.Errorf("archive: more than %d bytes: %w", MaxBytes, ErrTooLarge)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("archive: %w", err)
		}
		switch h.Typeflag {
		case tar.TypeDir:
			continue
		case tar.TypeReg:
		default:
			return nil, fmt.Errorf("archive: %q is neither a file nor a folder", h.Name)
		}
		// The limit on the input does not see the holes of a sparse file.
		if left -= h.Size; left < 0 {
			return nil, fmt.Errorf("archive: %q: more than %d bytes: %w", h.Name, MaxBytes, ErrTooLarge)
		}
		data := make([]byte, h.Size)
		_, err = io.ReadFull(tr, data)
		if limited.N <= 0 {
			return nil, fmt.Errorf("archive: more than %d bytes: %w", MaxBytes, ErrTooLarge)
		}
		if err != nil {
			return nil, fmt.Errorf("archive: %q: %w", h.Name, err)
		}
		files = append(files, File{Name: h.Name, Data: data})
	}
	// What follows the end of the tar belongs to the gzip stream's checksum.
	if _, err := io.Copy(io.Discard, all); err != nil {
		return nil, fmt.Errorf("archive: %w", err)
	}
	if limited.N <= 0 {
		return nil, fmt.Errorf("archive: more than %d bytes: %w", MaxBytes, ErrTooLarge)
	}
	return files, nil
}
