package manifest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Stdin is the path that means standard input.
const Stdin = "-"

// Limits of what one command reads.
const (
	MaxFileBytes  = 1 << 20 // of one file, the API's limit of a request
	MaxTotalBytes = 16 << 20
	MaxFiles      = 4096
	maxFolders    = 32 // levels below the folder that was named
)

// Files says what to read.
type Files struct {
	Paths     []string  // files, folders, or Stdin
	Recursive bool      // read the folders inside folders, too
	Stdin     io.Reader // what Stdin means
}

// Read reads all declarations. Of a folder it takes the files named *.yaml,
// *.yml and *.json in the order of their names, except hidden ones (a leading
// dot). Links to files are followed; links to folders inside a folder are an
// error, so that nothing is missed in silence and no walk goes round in
// circles. A name that is declared twice in one namespace is an error, too;
// that is for Split to find, because only the caller knows the default
// namespace. The error of bad content is Invalid, with the faults of all files.
func Read(f Files) ([]Declaration, error) {
	w := &walk{recursive: f.Recursive}
	for _, path := range f.Paths {
		if err := w.add(path); err != nil {
			return nil, err
		}
	}
	var all []Declaration
	var faults Invalid
	total := 0
	for _, path := range w.files {
		data, err := read(path, f.Stdin)
		if err != nil {
			return nil, err
		}
		if total += len(data); total > MaxTotalBytes {
			return nil, fmt.Errorf("the files have more than %d MiB together; apply them in parts", MaxTotalBytes>>20)
		}
		found, err := Parse(path, data)
		if invalid := (Invalid)(nil); errors.As(err, &invalid) {
			faults = append(faults, invalid...)
		} else if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return all, nil
}

// read reads one file, or standard input, up to the limit.
func read(path string, stdin io.Reader) ([]byte, error) {
	source := stdin
	if path != Stdin {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		source = file
	}
	data, err := io.ReadAll(io.LimitReader(source, MaxFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", Source{File: path}, err)
	}
	if len(data) > MaxFileBytes {
		return nil, fmt.Errorf("%s has more than %d MiB; split it", Source{File: path}, MaxFileBytes>>20)
	}
	return data, nil
}

// walk gathers the files to read.
type walk struct {
	recursive bool
	files     []string
}

func (w *walk) add(path string) error {
	if path == "" {
		return errors.New("an empty file name; name a file, a folder, or - for standard input")
	}
	if path == Stdin {
		if slices.Contains(w.files, Stdin) {
			return errors.New("standard input (-) can be read only once")
		}
		return w.file(path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return w.file(path)
	}
	before := len(w.files)
	if err := w.folder(path, 0); err != nil {
		return err
	}
	if len(w.files) == before {
		return fmt.Errorf("%s holds no files named *.yaml, *.yml or *.json%s", path, w.recursiveHint())
	}
	return nil
}

func (w *walk) recursiveHint() string {
	if w.recursive {
		return ""
	}
	return "; --recursive looks into the folders inside it, too"
}

func (w *walk) file(path string) error {
	if len(w.files) == MaxFiles {
		return fmt.Errorf("more than %d files; apply them in parts", MaxFiles)
	}
	w.files = append(w.files, path)
	return nil
}

func (w *walk) folder(path string, depth int) error {
	if depth > maxFolders {
		return fmt.Errorf("%s lies deeper than %d folders; name it itself", path, maxFolders)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if err := w.entry(filepath.Join(path, entry.Name()), entry, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) entry(path string, entry fs.DirEntry, depth int) error {
	if entry.IsDir() {
		if !w.recursive {
			return nil
		}
		return w.folder(path, depth+1)
	}
	wanted := slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path))
	if entry.Type()&fs.ModeSymlink == 0 {
		if !wanted {
			return nil
		}
		if !entry.Type().IsRegular() {
			return fmt.Errorf("%s is not a regular file", path)
		}
		return w.file(path)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil && wanted:
		return err
	case err != nil:
		return nil // a link to nowhere, of a name that would not be read
	case info.IsDir() && w.recursive:
		return fmt.Errorf("%s is a link to a folder, which is not followed; name it itself, or remove it", path)
	case wanted && info.Mode().IsRegular():
		return w.file(path)
	case wanted && !info.IsDir():
		return fmt.Errorf("%s is not a regular file", path)
	}
	return nil
}
