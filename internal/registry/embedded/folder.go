package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/opencontainers/go-digest"
)

// Names within a data folder. docs/embedded-registry.md describes them.
const (
	lockFile     = "lock"
	creatingFile = "creating"
	formatFile   = "format"
	markerFile   = "initialised"
	databaseName = "db"
	blobsName    = "blobs"
	uploadsName  = "uploads"

	restoringFile = "restoring"

	newestLogFile = "newest-log"
)

// formatVersion is the version of the layout, of files and keys alike. It
// changes whenever an older gsq would misread a newer store.
const formatVersion = 1

// ErrDamaged says that a data folder holds a store that cannot be read
// completely. It is never taken for an empty one.
var ErrDamaged = errors.New("the data folder is damaged; restore it from a backup")

// readFormat returns the version that the format file names, or 0 if there is
// no such file.
func readFormat(fs vfs.FS, folder string) (int, error) {
	data, err := readSmallFile(fs, fs.PathJoin(folder, formatFile))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if errors.Is(err, syscall.EISDIR) {
		err = damagedIf(true, "%q is a folder", formatFile)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", folder, err)
	}
	version, err := strconv.Atoi(strings.TrimSuffix(string(data), "\n"))
	if err != nil || version < 1 {
		return 0, fmt.Errorf("%s: %w (the file %q holds no version)", folder, ErrDamaged, formatFile)
	}
	if version != formatVersion {
		return 0, fmt.Errorf("%s was written by another version of gsq: its format is %d, this gsq reads format %d; use the gsq that wrote it, or migrate", folder, version, formatVersion)
	}
	return version, nil
}

// writeSynced makes a small file whose content and name survive a crash. A
// crash before it returns leaves either no file or the whole one.
func writeSynced(fs vfs.FS, folder, name string, data []byte) error {
	temporary := fs.PathJoin(folder, name+".new")
	f, err := fs.Create(temporary, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(temporary, fs.PathJoin(folder, name)); err != nil {
		return err
	}
	return syncFolder(fs, folder)
}

// syncFolder makes the names in a folder durable.
func syncFolder(fs vfs.FS, folder string) error {
	d, err := fs.OpenDir(folder)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// makeFolder makes the data folder and makes its name durable, and the names
// of the folders above it that did not exist.
func makeFolder(fs vfs.FS, folder string) error {
	top := folder
	for {
		there, err := exists(fs, top)
		if err != nil {
			return err
		}
		if there || top == fs.PathDir(top) {
			break
		}
		top = fs.PathDir(top)
	}
	if err := fs.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for path := folder; path != top; {
		path = fs.PathDir(path)
		if err := syncFolder(fs, path); err != nil {
			return err
		}
	}
	return nil
}

// makeParts makes the folders within a data folder.
func makeParts(fs vfs.FS, folder string) error {
	blobs := fs.PathJoin(folder, blobsName)
	for _, path := range []string{
		fs.PathJoin(folder, databaseName),
		fs.PathJoin(folder, uploadsName),
		fs.PathJoin(blobs, digest.SHA256.String()),
		fs.PathJoin(blobs, digest.SHA512.String()),
	} {
		if err := fs.MkdirAll(path, 0o700); err != nil {
			return err
		}
	}
	return errors.Join(syncFolder(fs, blobs), syncFolder(fs, folder))
}

// prepare makes an empty store's folders. It returns ErrDamaged if a folder
// without a format file holds data, unless the file "creating" says that the
// making of a store was interrupted there: then it begins again.
func prepare(fs vfs.FS, folder string) error {
	interrupted, err := exists(fs, fs.PathJoin(folder, creatingFile))
	if err != nil {
		return err
	}
	for _, name := range []string{markerFile, databaseName, blobsName} {
		is, err := exists(fs, fs.PathJoin(folder, name))
		if err != nil {
			return err
		}
		if is && (!interrupted || name == markerFile) {
			return damagedIf(true, "it has %q but no file %q", name, formatFile)
		}
	}
	if err := writeSynced(fs, folder, creatingFile, nil); err != nil {
		return err
	}
	// The database's own making is not atomic; one that was interrupted may
	// not open. Nothing was ever stored in it.
	if err := fs.RemoveAll(fs.PathJoin(folder, databaseName)); err != nil {
		return err
	}
	return makeParts(fs, folder)
}

// removeCreating removes what prepare wrote, once the store is complete.
func removeCreating(fs vfs.FS, folder string) error {
	err := fs.Remove(fs.PathJoin(folder, creatingFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func damagedIf(is bool, format string, args ...any) error {
	if !is {
		return nil
	}
	return fmt.Errorf("%w (%s)", ErrDamaged, fmt.Sprintf(format, args...))
}

// checkParts returns ErrDamaged if a folder is missing that holds data, or is
// none.
func checkParts(fs vfs.FS, folder string) error {
	for _, name := range []string{databaseName, fs.PathJoin(blobsName, digest.SHA256.String()), fs.PathJoin(blobsName, digest.SHA512.String())} {
		info, err := fs.Stat(fs.PathJoin(folder, name))
		switch {
		case errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
			return damagedIf(true, "its folder %q is missing", name)
		case err != nil:
			return err
		case !info.IsDir():
			return damagedIf(true, "%q is not a folder", name)
		}
	}
	return nil
}

// clearUploads removes what unfinished uploads left behind.
func clearUploads(fs vfs.FS, folder string) error {
	path := fs.PathJoin(folder, uploadsName)
	if err := fs.MkdirAll(path, 0o700); err != nil {
		return err
	}
	names, err := fs.List(path)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := fs.Remove(fs.PathJoin(path, name)); err != nil {
			return err
		}
	}
	return nil
}

func exists(fs vfs.FS, path string) (bool, error) {
	_, err := fs.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func readSmallFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, 4096))
	return data, errors.Join(err, f.Close())
}

// Initialised reports whether MarkInitialised was ever called on this data
// folder: then a missing artifact is a loss, not an empty registry.
func (s *Store) Initialised() (bool, error) {
	is, err := exists(s.fs, s.fs.PathJoin(s.folder, markerFile))
	if err != nil {
		return false, fmt.Errorf("%s: marker file: %w", s.folder, err)
	}
	return is, nil
}

// MarkInitialised notes durably that the registry holds data from now on. It
// may be called again.
func (s *Store) MarkInitialised() error {
	if is, err := s.Initialised(); err != nil || is {
		return err
	}
	if err := writeSynced(s.fs, s.folder, markerFile, nil); err != nil {
		return fmt.Errorf("%s: marker file: %w", s.folder, err)
	}
	return nil
}
