package backup

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"gitops-squared.io/gsq/internal/registry"
)

// unfinishedFile is in a folder from a run's first change to its end, and
// afterwards if it was interrupted.
const unfinishedFile = "backup.unfinished"

// tempSuffix ends the names of files that are not whole yet.
const tempSuffix = ".tmp"

// folder is a tree of layouts in a folder of a file system. It follows no link
// in it. (os.Root, which also holds when links are made meanwhile, opens each
// part of a path again: that took most of the time of a backup.)
type folder struct {
	base string
	dirs sync.Map // folders in it that are no links, by name

	// Of tests: called before each change, and instead of each sync; may be nil.
	step   func(operation, name string) error
	settle func() error
}

// path returns where a file is, whose folder must be no link.
func (f *folder) path(name string) (string, error) {
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("%w: %q leads elsewhere", registry.ErrCorrupt, name)
	}
	if err := f.checkDir(path.Dir(name)); err != nil {
		return "", err
	}
	return filepath.Join(f.base, name), nil
}

func (f *folder) checkDir(dir string) error {
	if dir == "." {
		return nil
	}
	if _, ok := f.dirs.Load(dir); ok {
		return nil
	}
	if err := f.checkDir(path.Dir(dir)); err != nil {
		return err
	}
	info, err := os.Lstat(filepath.Join(f.base, dir))
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %s is not a folder", registry.ErrCorrupt, dir)
	}
	f.dirs.Store(dir, true)
	return nil
}

// makeDir makes a folder, and those that it is in.
func (f *folder) makeDir(dir string) error {
	if dir == "." {
		return nil
	}
	if _, ok := f.dirs.Load(dir); ok {
		return nil
	}
	if err := f.makeDir(path.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(f.base, dir), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return f.checkDir(dir)
}

// read implements files. Links are refused.
func (f *folder) read(name string, limit int64) ([]byte, error) {
	at, err := f.path(name)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(at, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%w: %s is a link", registry.ErrCorrupt, name)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", registry.ErrCorrupt, name)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%w: %s has %d bytes, at most %d are expected", registry.ErrTooLarge, name, info.Size(), limit)
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(file, data); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", registry.ErrCorrupt, name, err)
	}
	return data, nil
}

// size returns a regular file's size, or -1.
func (f *folder) size(name string) int64 {
	at, err := f.path(name)
	if err != nil {
		return -1
	}
	info, err := os.Lstat(at)
	if err != nil || !info.Mode().IsRegular() {
		return -1
	}
	return info.Size()
}

func (f *folder) layouts(suffix string) ([]string, error) {
	var found []string
	err := fs.WalkDir(os.DirFS(f.base), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == "blobs" {
			return fs.SkipDir
		}
		if repo, ok := strings.CutSuffix(name, "/"+layoutFile); ok && strings.HasSuffix("/"+repo, suffix) {
			found = append(found, repo)
		}
		return nil
	})
	return found, err
}

// Close implements files.
func (f *folder) Close() error { return nil }

func (f *folder) change(operation, name string) error {
	if f.step == nil {
		return nil
	}
	return f.step(operation, name)
}

// write makes a file that has all of its content, or does not exist.
func (f *folder) write(name string, data []byte) error {
	if err := f.writeTemp(name, data); err != nil {
		return err
	}
	return f.rename(name)
}

// create makes a file, unless it is there: fs.ErrExist. Interrupted, a part of it
// is left, which the digest in its name betrays.
func (f *folder) create(name string, data []byte) error {
	return f.fill(name, "", os.O_EXCL, data)
}

func (f *folder) writeTemp(name string, data []byte) error {
	return f.fill(name, tempSuffix, os.O_TRUNC, data)
}

func (f *folder) fill(name, suffix string, how int, data []byte) error {
	if err := f.change("write", name); err != nil {
		return err
	}
	if err := f.makeDir(path.Dir(name)); err != nil {
		return err
	}
	at, err := f.path(name)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(at+suffix, os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW|how, 0o600)
	if err != nil {
		return err
	}
	if f.step != nil {
		half := len(data) / 2
		_, err = file.Write(data[:half])
		data = data[half:]
		err = errors.Join(err, f.change("half", name))
	}
	if err == nil {
		_, err = file.Write(data)
	}
	if err == nil {
		err = flush(file)
	}
	return errors.Join(err, file.Close())
}

func (f *folder) rename(name string) error {
	if err := f.change("rename", name); err != nil {
		return err
	}
	at, err := f.path(name)
	if err != nil {
		return err
	}
	return os.Rename(at+tempSuffix, at)
}

// sync makes everything durable that was written so far.
func (f *folder) sync() error {
	if err := f.change("sync", "."); err != nil {
		return err
	}
	if f.settle != nil {
		return f.settle()
	}
	dir, err := os.Open(f.base)
	if err != nil {
		return err
	}
	return errors.Join(syncAll(dir), dir.Close())
}

// Folder is a Target: a folder with a layout for each repository, named as the
// repository. A second run into it copies only what is new, and takes nothing
// away.
type Folder struct {
	path   string
	prefix string
	verify bool

	folder   folder
	lock     *os.File
	before   *Description // of the last finished run; nil if there is none
	finished bool         // the last run
	copied   *layouts
	marking  sync.Once
	marked   error
	seed     maphash.Seed
	stripes  [256]sync.Mutex
}

// NewFolder returns the folder at path, which is made if it does not exist. It
// must be empty or hold a backup of the same prefix. With verify, what an
// earlier run has copied is read and hashed again; else it is enough that it is
// there and has the right size.
func NewFolder(path, prefix string, verify bool) *Folder {
	return &Folder{path: path, prefix: prefix, verify: verify, seed: maphash.MakeSeed()}
}

func (f *Folder) begin(context.Context) error {
	if err := os.MkdirAll(f.path, 0o700); err != nil {
		return err
	}
	f.folder.base = f.path
	if err := f.open(); err != nil {
		return errors.Join(err, f.Close())
	}
	return nil
}

func (f *Folder) open() error {
	var err error
	if f.lock, err = lockFolder(&f.folder); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	entries, err := os.ReadDir(f.path)
	if err != nil {
		return err
	}
	described, unfinished, begun := false, false, false
	for _, e := range entries {
		described = described || e.Name() == descriptionFile
		unfinished = unfinished || e.Name() == unfinishedFile
		begun = begun || e.Name() == unfinishedFile+tempSuffix
	}
	if len(entries) > 0 && !described && !unfinished && !begun {
		return fmt.Errorf("%w: %s is not empty and no backup; choose another folder", ErrOther, f.path)
	}
	if described {
		data, err := f.folder.read(descriptionFile, maxDescriptionBytes)
		if err == nil {
			f.before, err = parseDescription(data)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		if f.before.Prefix != f.prefix {
			return fmt.Errorf("%w: %s is the backup of the prefix %s", ErrOther, f.path, f.before.Prefix)
		}
	}
	f.finished = described && !unfinished
	f.copied = newLayouts(&f.folder, f.prefix, nil)
	return nil
}

// lockFolder keeps a second backup out while one is written.
func lockFolder(f *folder) (*os.File, error) {
	lock, err := os.Open(f.base)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another backup is being written there (%w)", err), lock.Close())
	}
	return lock, nil
}

// mark notes that the folder is changed from now on.
func (f *Folder) mark() error {
	f.marking.Do(func() { f.marked = f.folder.write(unfinishedFile, nil) })
	return f.marked
}

// Close releases the folder.
func (f *Folder) Close() error {
	if f.lock == nil {
		return nil
	}
	err := f.lock.Close()
	f.lock = nil
	return err
}

func (f *Folder) kept() Source { return f.copied }

func (f *Folder) heads() []Cut {
	if f.before == nil {
		return nil
	}
	system, _ := f.before.cut("")
	cuts := []Cut{system}
	for name := range f.before.Namespaces {
		cut, _ := f.before.cut(name)
		cuts = append(cuts, cut)
	}
	return cuts
}

// trusted reports whether a finished run vouches for what is in a repository.
func (f *Folder) trusted(l *layout) bool {
	return !f.verify && f.finished && l.digest != "" && f.before.Repositories[l.name] == l.digest
}

func (f *Folder) has(_ context.Context, at place) (registry.Manifest, bool) {
	l, err := f.copied.repository(at.repo)
	if l == nil {
		return registry.Manifest{}, false
	}
	trusted := err == nil && f.trusted(l)
	m, err := l.byDigest(at.digest)
	if err != nil {
		return registry.Manifest{}, false
	}
	content, err := m.Content()
	if err != nil {
		return registry.Manifest{}, false
	}
	for _, d := range content.Blobs {
		if f.folder.size(l.path(d.Digest)) != d.Size {
			return registry.Manifest{}, false
		}
		if _, listed := l.entries[at.digest]; trusted && listed {
			continue
		}
		if _, err := l.blob(d.Digest, max(d.Size, 1)); err != nil {
			return registry.Manifest{}, false
		}
	}
	return m, true
}

func (f *Folder) put(_ context.Context, repo string, a registry.Artifact) (int64, error) {
	var written int64
	store := func(d ocispec.Descriptor, data []byte) error {
		name := f.prefix + repo + "/" + blobPath(d.Digest)
		lock := &f.stripes[maphash.String(f.seed, name)%uint64(len(f.stripes))]
		lock.Lock()
		defer lock.Unlock()
		if err := f.mark(); err != nil {
			return err
		}
		err := f.folder.create(name, data)
		if errors.Is(err, fs.ErrExist) {
			if there, err := f.folder.read(name, int64(len(data))); err == nil && registry.Verify(d.Digest, there) == nil {
				return nil
			}
			err = f.folder.write(name, data)
		}
		if err == nil {
			written += int64(len(data))
		}
		return err
	}
	for _, b := range a.Blobs {
		if err := store(b.Descriptor(), b.Data); err != nil {
			return written, err
		}
	}
	m := a.Manifest
	return written, store(ocispec.Descriptor{Digest: m.Digest}, m.Data)
}

// finish writes the indexes, and when all that they name is durable, the
// description.
func (f *Folder) finish(_ context.Context, _ *plan, n names, d Description) error {
	if err := f.folder.sync(); err != nil {
		return err
	}
	if f.before != nil {
		for name, index := range f.before.Repositories {
			d.Repositories[name] = index
		}
	}
	var changed []string
	for repo, c := range n {
		name, data, same, err := f.index(repo, c)
		if err != nil {
			return err
		}
		d.Repositories[f.prefix+repo] = registry.NewBlob("", data).Digest
		if same {
			continue
		}
		if err := f.mark(); err != nil {
			return err
		}
		if f.folder.size(f.prefix+repo+"/"+layoutFile) < 0 {
			if err := f.folder.write(f.prefix+repo+"/"+layoutFile, []byte(layoutMark)); err != nil {
				return err
			}
		}
		if err := f.folder.writeTemp(name, data); err != nil {
			return err
		}
		changed = append(changed, name)
	}
	if err := f.folder.sync(); err != nil {
		return err
	}
	for _, name := range changed {
		if err := f.folder.rename(name); err != nil {
			return err
		}
	}
	data, err := d.encode()
	if err != nil {
		return err
	}
	if err := f.folder.writeTemp(descriptionFile, data); err != nil {
		return err
	}
	if err := f.folder.sync(); err != nil {
		return err
	}
	if err := f.folder.rename(descriptionFile); err != nil {
		return err
	}
	if err := f.folder.sync(); err != nil {
		return err
	}
	if f.folder.size(unfinishedFile) < 0 {
		return nil
	}
	if err := f.folder.change("remove", unfinishedFile); err != nil {
		return err
	}
	return errors.Join(os.Remove(filepath.Join(f.path, unfinishedFile)), f.folder.sync())
}

// index returns the new index of a repository: what the last run has left is
// kept. same says that the file is there already.
func (f *Folder) index(repo string, c contents) (name string, data []byte, same bool, err error) {
	name = f.prefix + repo + "/" + indexFile
	l, err := f.copied.repository(repo)
	if l == nil {
		return "", nil, false, err
	}
	if err == nil {
		if c, err = merge(c, l, f.prefix+repo); err != nil {
			return "", nil, false, err
		}
	}
	data, err = encodeIndex(c)
	return name, data, err == nil && l.failed == nil && registry.NewBlob("", data).Digest == l.digest, err
}
