package backup

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// refused restores a copy that must be refused without a trace.
func refused(t *testing.T, what, path string, w *world) error {
	t.Helper()
	to := faulty.New()
	_, err := restore(t, path, to, testPrefix, time.Time{})
	if err == nil {
		t.Errorf("%s: restored", what)
		return nil
	}
	if !errors.Is(err, ErrDamaged) && !errors.Is(err, registry.ErrCorrupt) && !errors.Is(err, ErrNothing) {
		t.Errorf("%s: %v, want ErrDamaged, ErrCorrupt or ErrNothing", what, err)
	}
	if content := contentOf(t, to, testPrefix, w.repos); len(content) > 0 {
		t.Errorf("%s: refused (%v), but %v is there", what, err, content)
	}
	return err
}

var allWays = flag.Bool("all-ways", false, "whether TestTamperedFolders spoils each file in every way, rather than in one")

// Every file of a backup is spoilt, and each is found.
func TestTamperedFolders(t *testing.T) {
	t.Parallel()
	source := faulty.New()
	w := newWorld(t, source, 11)
	w.grow(3)
	w.deploy("c1", "default", 1)
	l := w.chains["default"]
	w.sign(l.repo, l.revisions[0].artifact.Manifest, "signed")
	dir := filepath.Join(t.TempDir(), "copy")
	run(t, source, quickFolder(dir))
	files := filesOf(t, dir)
	names := slices.Sorted(maps.Keys(files))
	for i, name := range names {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		spoil := map[string]func() error{
			"edited":   func() error { return os.WriteFile(path, edited(data), 0o600) },
			"cut":      func() error { return os.WriteFile(path, data[:len(data)-1], 0o600) },
			"longer":   func() error { return os.WriteFile(path, append(slices.Clone(data), '\n'), 0o600) },
			"missing":  func() error { return os.Remove(path) },
			"a link":   func() error { return replaceWithLink(path, data) },
			"a folder": func() error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) },
		}
		other := filepath.Join(dir, names[(i+1)%len(names)])
		if filepath.Base(other) != filepath.Base(path) {
			spoil["another's"] = func() error { return copyFile(other, path) }
		}
		ways := slices.Sorted(maps.Keys(spoil))
		for n, what := range ways {
			if strings.Contains(name, "/blobs/") && n != i%len(ways) && !*allWays {
				continue
			}
			do := spoil[what]
			if filepath.Base(name) == layoutFile && what != "missing" && what != "another's" && what != "a link" && what != "a folder" {
				continue // what it says is still the same, or no JSON
			}
			if name == descriptionFile && what == "missing" {
				continue // then it is a copy that another tool made
			}
			if err := do(); err != nil {
				t.Fatal(err)
			}
			refused(t, what+": "+name, dir, w)
			if err := errors.Join(os.RemoveAll(path), os.WriteFile(path, data, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := restore(t, dir, faulty.New(), testPrefix, time.Time{}); err != nil {
		t.Errorf("what was put right again: %v", err)
	}
}

// edited changes a byte of a file so that it is still what it was.
func edited(data []byte) []byte {
	data = slices.Clone(data)
	i := bytes.LastIndexByte(data, '6')
	if i < 0 {
		i = len(data) / 2
	}
	data[i]++
	return data
}

func replaceWithLink(path string, data []byte) error {
	target := filepath.Join(filepath.Dir(path), "elsewhere")
	return errors.Join(os.WriteFile(target, data, 0o600), os.Remove(path), os.Symlink("elsewhere", path))
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	return errors.Join(err, os.WriteFile(to, data, 0o600))
}

// Without its description, a backup is as good as what oras makes: everything
// is derived from it, and tags that lie are found.
func TestTamperedLayouts(t *testing.T) {
	t.Parallel()
	source := faulty.New()
	w := newWorld(t, source, 12)
	for len(w.chains["default"].revisions) < 5 {
		w.change("default")
	}
	w.deploy("c1", "default", 1)
	w.deploy("c1", "default", 2)
	dir := filepath.Join(t.TempDir(), "copy")
	run(t, source, quickFolder(dir))
	if err := os.Remove(filepath.Join(dir, descriptionFile)); err != nil {
		t.Fatal(err)
	}
	to := faulty.New()
	if _, err := restore(t, dir, to, testPrefix, time.Time{}); err != nil {
		t.Fatal(err)
	}
	want := contentOf(t, source, testPrefix, w.repos)
	differ(t, "without a description", contentOf(t, to, testPrefix, w.repos), want)

	index := func(repo string, change func(tags map[string]ocispec.Descriptor)) func() {
		t.Helper()
		path := filepath.Join(dir, testPrefix+repo, indexFile)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		tags, _, err := parseIndex(data)
		if err != nil {
			t.Fatal(err)
		}
		change(tags)
		spoilt, err := encodeIndex(contents{tags: tags})
		if err == nil {
			err = os.WriteFile(path, spoilt, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	swap := func(a, b string) func(map[string]ocispec.Descriptor) {
		return func(tags map[string]ocispec.Descriptor) { tags[a], tags[b] = tags[b], tags[a] }
	}
	drop := func(tag string) func(map[string]ocispec.Descriptor) {
		return func(tags map[string]ocispec.Descriptor) { delete(tags, tag) }
	}
	resource := "/resources/default/" + slices.Sorted(maps.Keys(w.chains["default"].past))[0]
	version := w.chains["default"].past[filepath.Base(resource)][0].version.String()
	var deployments []string
	for name := range want {
		if tag, ok := strings.CutPrefix(name, "/clusters/c1:"); ok {
			deployments = append(deployments, tag)
		}
	}
	tests := map[string]struct {
		repo   string
		change func(map[string]ocispec.Descriptor)
		want   string
	}{
		"revisions swapped":          {"/catalog", swap("r2", "r3"), "holds revision"},
		"a revision dropped":         {"/catalog", drop("r2"), "r2"},
		"latest and all but a first": {"/catalog", func(tags map[string]ocispec.Descriptor) { delete(tags, "latest") }, "has no latest"},
		"a version dropped":          {resource, drop(version), version},
		"a version is a revision":    {"/catalog", func(tags map[string]ocispec.Descriptor) { tags["r4"] = tags["r3"] }, "holds revision 3"},
		"deployment records swapped": {"/clusters/c1", swap(deployments[0], deployments[1]), "record of"},
		"system's first dropped":     {"/system", drop("r1"), "r1"},
	}
	for name, test := range tests {
		restored := index(test.repo, test.change)
		if err := refused(t, name, dir, w); err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want something of %q", name, err, test.want)
		}
		restored()
	}

	// What is derived anyway does no harm.
	undo := index("/catalog", func(tags map[string]ocispec.Descriptor) { tags["latest"] = tags["r2"] })
	defer undo()
	to = faulty.New()
	if _, err := restore(t, dir, to, testPrefix, time.Time{}); err != nil {
		t.Fatal(err)
	}
	differ(t, "latest was put back", contentOf(t, to, testPrefix, w.repos), want)
}

// entry is one of a tar.
type entry struct {
	header tar.Header
	data   string
}

func writeTar(t *testing.T, entries []entry) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "spoilt.tar")
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		if e.header.Typeflag == tar.TypeReg && e.header.Size == 0 {
			e.header.Size = int64(len(e.data))
		}
		if err := w.WriteHeader(&e.header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTamperedTars(t *testing.T) {
	t.Parallel()
	source := faulty.New()
	w := newWorld(t, source, 13)
	w.grow(2)
	var out bytes.Buffer
	run(t, source, NewTar(&out, testPrefix))
	var good []entry
	for in := tar.NewReader(bytes.NewReader(out.Bytes())); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		data, failed := io.ReadAll(in)
		if err := errors.Join(err, failed); err != nil {
			t.Fatal(err)
		}
		good = append(good, entry{*h, string(data)})
	}
	add := func(e entry) []entry { return append(slices.Clone(good), e) }
	file := func(name string) entry {
		return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o600}, "x"}
	}
	blob := testPrefix + "/catalog/blobs/sha256/" + strings.Repeat("a", 64)
	tests := map[string]struct {
		entries []entry
		want    string
	}{
		"a way out":           {add(file("../../etc/cron.d/evil")), "no backup has"},
		"a way out inside":    {add(file(testPrefix + "/catalog/../../index.json")), "no backup has"},
		"an absolute name":    {add(file("/etc/passwd")), "no backup has"},
		"another file":        {add(file(testPrefix + "/catalog/notes.txt")), "no backup has"},
		"a folder's way out":  {add(entry{tar.Header{Typeflag: tar.TypeDir, Name: "../up/", Mode: 0o700}, ""}), "leads elsewhere"},
		"a symbolic link":     {add(entry{tar.Header{Typeflag: tar.TypeSymlink, Name: blob, Linkname: "/etc/passwd"}, ""}), "no regular file"},
		"a hard link":         {add(entry{tar.Header{Typeflag: tar.TypeLink, Name: blob, Linkname: good[0].header.Name}, ""}), "no regular file"},
		"a device":            {add(entry{tar.Header{Typeflag: tar.TypeChar, Name: blob}, ""}), "no regular file"},
		"a file twice":        {add(good[0]), "twice"},
		"nothing of a file":   {good[1:], "missing"},
		"without its end":     {good[:len(good)-3], ""},
		"another description": {append(slices.Clone(good[:len(good)-1]), entry{good[len(good)-1].header, strings.Replace(good[len(good)-1].data, `"number": `, `"number": 1`, 1)}), ""},
		"a description with more": {append(slices.Clone(good[:len(good)-1]), entry{
			tar.Header{Typeflag: tar.TypeReg, Name: descriptionFile, Mode: 0o600}, strings.Replace(good[len(good)-1].data, `"prefix"`, `"more": 1, "prefix"`, 1),
		}), "unknown field"},
	}
	for i, e := range good {
		if strings.Contains(e.header.Name, "/blobs/") && i%5 == 0 {
			spoilt := slices.Clone(good)
			spoilt[i].data = string(edited([]byte(e.data)))
			tests["edited "+e.header.Name] = struct {
				entries []entry
				want    string
			}{spoilt, "sha256:"}
		}
	}
	for name, test := range tests {
		for i := range test.entries {
			if test.entries[i].header.Typeflag == tar.TypeReg {
				test.entries[i].header.Size = int64(len(test.entries[i].data))
			}
		}
		if err := refused(t, name, writeTar(t, test.entries), w); err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want something of %q", name, err, test.want)
		}
	}
	for _, cut := range []int{1, 1000, out.Len() / 2} {
		path := filepath.Join(t.TempDir(), "cut.tar")
		if err := os.WriteFile(path, out.Bytes()[:out.Len()-cut], 0o600); err != nil {
			t.Fatal(err)
		}
		if cut > 1024 {
			refused(t, fmt.Sprintf("%d bytes cut off", cut), path, w)
		}
	}
}

// A file that is larger than anything that may be there is not read.
func TestOversizedFiles(t *testing.T) {
	t.Parallel()
	source := faulty.New()
	w := newWorld(t, source, 14)
	w.grow(1)
	dir := filepath.Join(t.TempDir(), "copy")
	run(t, source, quickFolder(dir))
	blobs, err := filepath.Glob(filepath.Join(dir, testPrefix, "catalog/blobs/sha256/*"))
	if err != nil || len(blobs) == 0 {
		t.Fatal(blobs, err)
	}
	for _, path := range []string{blobs[0], filepath.Join(dir, testPrefix, "catalog", indexFile), filepath.Join(dir, descriptionFile)} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, 1<<40); err != nil { // a hole: it takes no room
			t.Fatal(err)
		}
		to := faulty.New()
		if _, err := restore(t, dir, to, testPrefix, time.Time{}); !errors.Is(err, registry.ErrTooLarge) {
			t.Errorf("%s: %v, want ErrTooLarge", path, err)
		}
		if err := os.Truncate(path, info.Size()); err != nil {
			t.Fatal(err)
		}
	}
}

// What is damaged in a registry is named and ends the backup. With KeepGoing
// the rest is copied, and can be restored.
// A folder within a backup has repositories without a prefix.
func TestFolderWithinABackup(t *testing.T) {
	t.Parallel()
	source := faulty.New()
	small(t, source, 23)
	dir := filepath.Join(t.TempDir(), "copy")
	run(t, source, quickFolder(dir))
	mark, err := os.ReadFile(filepath.Join(dir, testPrefix, "system", layoutFile))
	if err != nil {
		t.Fatal(err)
	}
	for what, path := range map[string]string{
		"folder": filepath.Join(dir, testPrefix),
		"tar":    writeTar(t, []entry{{tar.Header{Name: "system/" + layoutFile, Mode: 0o600, Typeflag: tar.TypeReg, Size: int64(len(mark))}, string(mark)}}),
	} {
		c, err := Open(path, "")
		if err == nil {
			c.Close()
		}
		if !errors.Is(err, ErrNothing) || !strings.Contains(err.Error(), "give the one above it") {
			t.Errorf("%s: %v, want ErrNothing and what to give", what, err)
		}
	}
}

func TestDamagedSources(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		spoil func(w *world, store *faulty.Store) (want string)
		lost  bool // of the whole namespace default
	}{
		"a version without its layer": {spoil: func(w *world, s *faulty.Store) string {
			name := slices.Sorted(maps.Keys(w.chains["default"].past))[0]
			v := w.chains["default"].past[name][0]
			s.DropBlob(testPrefix+"/resources/default/"+name, v.artifact.Blobs[1].Digest)
			return v.version.String()
		}},
		"a version's tag moved": {spoil: func(w *world, s *faulty.Store) string {
			name := slices.Sorted(maps.Keys(w.chains["default"].past))[0]
			v := w.chains["default"].past[name][0]
			other := w.sign("/resources/default/"+name, v.artifact.Manifest, "not a version")
			s.SetTag(testPrefix+"/resources/default/"+name, v.version.String(), other.Digest)
			return "its record says"
		}},
		"a revision's layer is another": {spoil: func(w *world, s *faulty.Store) string {
			a := w.chains["default"].revisions[1].artifact
			s.ReplaceBlob(testPrefix+"/catalog", a.Blobs[1].Digest, []byte("other"))
			return a.Blobs[1].Digest.String()
		}},
		"a revision's record is lost": {spoil: func(w *world, s *faulty.Store) string {
			s.DropBlob(testPrefix+"/catalog", w.chains["default"].revisions[1].artifact.Blobs[0].Digest)
			return "r2"
		}},
		"a revision is lost": {spoil: func(w *world, s *faulty.Store) string {
			s.DropManifest(testPrefix+"/catalog", w.chains["default"].revisions[2].artifact.Manifest.Digest)
			return "r3"
		}},
		"a signature's layer is lost": {spoil: func(w *world, s *faulty.Store) string {
			a := w.chains["default"].revisions[1].artifact.Manifest
			m := w.sign("/catalog", a, "lost")
			s.DropBlob(testPrefix+"/catalog", registry.NewBlob("", []byte("lost")).Digest)
			return m.Digest.String()
		}},
		"the head's layer is lost": {lost: true, spoil: func(w *world, s *faulty.Store) string {
			l := w.chains["default"]
			s.DropBlob(testPrefix+"/catalog", l.layer.Digest)
			return "/catalog"
		}},
		"latest is lost": {lost: true, spoil: func(w *world, s *faulty.Store) string {
			s.RemoveTag(testPrefix+"/catalog", "latest")
			return "it has no latest"
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := faulty.New()
			w := newWorld(t, store, 15)
			for len(w.chains["default"].revisions) < 5 {
				w.change("default")
			}
			w.change("other")
			want := test.spoil(w, store)
			dir := filepath.Join(t.TempDir(), "copy")
			f := quickFolder(dir)
			_, err := Run(t.Context(), Options{Source: store, Prefix: testPrefix, Target: f, Log: quiet()})
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), want) {
				t.Errorf("the backup ended with %v, want ErrDamaged and %q", err, want)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			if _, err := restore(t, dir, faulty.New(), testPrefix, time.Time{}); err == nil {
				t.Error("what failed can be restored")
			}

			f = quickFolder(dir)
			report, err := Run(t.Context(), Options{Source: store, Prefix: testPrefix, Target: f, Log: quiet(), KeepGoing: true})
			if !errors.Is(err, ErrDamaged) || !report.Finished || !strings.Contains(fmt.Sprint(report.Faults), want) {
				t.Errorf("with KeepGoing: %v, %+v, want a finished backup that lists %q", err, report, want)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			c := must(Open(dir, ""))
			defer c.Close()
			if len(c.Description.Missing) == 0 {
				t.Error("the backup does not list what it lacks")
			}
			to := faulty.New()
			_, err = Restore(t.Context(), RestoreOptions{Copy: c, Ledger: ledgerOn(t, to, testPrefix), KeepGoing: true})
			if (err != nil) != test.lost {
				t.Errorf("restored with KeepGoing: %v", err)
			}
			if err != nil {
				return
			}
			if got := contentOf(t, to, testPrefix, w.repos); got["/catalog:latest"] == "" || got["/catalogs/other:r2"] == "" {
				t.Errorf("restored: %v", got)
			}
		})
	}
}

func FuzzParseDescription(f *testing.F) {
	source := faulty.New()
	newWorld(f, source, 1).grow(1)
	dir := filepath.Join(f.TempDir(), "copy")
	target := quickFolder(dir)
	if _, err := Run(f.Context(), Options{Source: source, Prefix: testPrefix, Target: target, Log: quiet()}); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, descriptionFile))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"formatVersion":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := parseDescription(data)
		if err != nil {
			return
		}
		again, err := d.encode()
		if err != nil || !bytes.Equal(again, data) {
			t.Errorf("%q reads, and is written as %q (%v)", data, again, err)
		}
	})
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[{"mediaType":"a","digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","size":2,"annotations":{"org.opencontainers.image.ref.name":"r1"}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tags, entries, err := parseIndex(data)
		if err != nil {
			return
		}
		c := contents{tags: tags}
		named := map[string]bool{}
		for _, d := range tags {
			named[d.Digest.String()] = true
		}
		for d, entry := range entries {
			if !named[d.String()] {
				c.untagged = append(c.untagged, entry)
			}
		}
		again, err := encodeIndex(c)
		if err != nil {
			t.Fatal(err)
		}
		tags2, entries2, err := parseIndex(again)
		if err != nil || len(tags2) != len(tags) || len(entries2) != len(entries) {
			t.Errorf("%q is written as %q (%v)", data, again, err)
		}
	})
}

func FuzzReadArchive(f *testing.F) {
	source := faulty.New()
	newWorld(f, source, 1).grow(1)
	var out bytes.Buffer
	if _, err := Run(f.Context(), Options{Source: source, Prefix: testPrefix, Target: NewTar(&out, testPrefix), Log: quiet()}); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes()[:4096])
	f.Add(out.Bytes()[out.Len()-8192:])
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bytes.NewReader(data)
		a, err := readArchive(in, in, func() error { return nil })
		if err != nil {
			return
		}
		for name := range a.files {
			if !isArchived(name) || strings.Contains(name, "..") || strings.HasPrefix(name, "/") {
				t.Errorf("it has the file %q", name)
			}
			if _, err := a.read(name, 1<<20); err != nil && !errors.Is(err, registry.ErrTooLarge) && !errors.Is(err, registry.ErrCorrupt) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}
