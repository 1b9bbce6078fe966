package catalog_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
)

func TestUnpackGivesBackWhatWasPacked(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 63)
	for _, c := range []struct {
		namespace string
		resources []intent.Resource
	}{
		{"default", nil},
		{"default", numbered("default", 1)},
		{"staging", numbered("staging", 200)},
		{long, named(long, long, "a", "a-b", "a--b", "b")},
	} {
		entries := entriesOf(t, c.resources)
		slices.Reverse(entries)
		archive := pack(t, c.namespace, entries)
		slices.SortFunc(entries, func(a, b catalog.Entry) int { return strings.Compare(a.Name, b.Name) })
		got, err := catalog.Unpack(c.namespace, archive)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(entries) || len(got) > 0 && !reflect.DeepEqual(got, entries) {
			t.Errorf("%s: got %d entries that are not the %d that were packed", c.namespace, len(got), len(entries))
		}
		resources, err := catalog.Resources(c.namespace, got)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(c.resources, func(a, b intent.Resource) int { return strings.Compare(a.Name, b.Name) })
		if len(resources) != len(c.resources) || len(resources) > 0 && !reflect.DeepEqual(resources, c.resources) {
			t.Errorf("%s: the resources are not those that were declared", c.namespace)
		}
	}
}

// A name over 100 bytes needs a PAX header.
func TestPackGivesTheGoldenBytesOfALongName(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 63)
	want, err := os.ReadFile("testdata/golden/long.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	if got := pack(t, long, entriesOf(t, named(long, long))); !bytes.Equal(got, want) {
		t.Error("Pack no longer gives the bytes of its golden file")
	}
}

func TestPackLeavesItsEntriesInTheirOrder(t *testing.T) {
	t.Parallel()
	entries := numberedEntries(t, "default", 3)
	slices.Reverse(entries)
	pack(t, "default", entries)
	if entries[0].Name != "resource-0002" || entries[2].Name != "resource-0000" {
		t.Error("Pack sorted the entries of its caller")
	}
}

func TestPackRefuses(t *testing.T) {
	t.Parallel()
	yaml := []byte("a: 1\n")
	for name, c := range map[string]struct {
		namespace string
		entries   []catalog.Entry
		want      string
	}{
		"a name twice":        {"default", []catalog.Entry{{Name: "a", YAML: yaml}, {Name: "b", YAML: yaml}, {Name: "a", YAML: yaml}}, "a is in it twice"},
		"an empty manifest":   {"default", []catalog.Entry{{Name: "a"}}, "the manifest of a is empty"},
		"no name":             {"default", []catalog.Entry{{YAML: yaml}}, `"" is not the name of a resource`},
		"a path":              {"default", []catalog.Entry{{Name: "a/../b", YAML: yaml}}, "is not the name of a resource"},
		"a new line":          {"default", []catalog.Entry{{Name: "a\n  - b", YAML: yaml}}, "is not the name of a resource"},
		"capitals":            {"default", []catalog.Entry{{Name: "A", YAML: yaml}}, "is not the name of a resource"},
		"no namespace":        {"", nil, `catalog of : that is not the name of a namespace`},
		"a namespace's quote": {`a"b`, nil, "that is not the name of a namespace"},
	} {
		if got, err := catalog.Pack(c.namespace, c.entries); err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func TestResourcesRefusesWhatIsNotItsEntry(t *testing.T) {
	t.Parallel()
	good := numberedEntries(t, "default", 1)[0]
	for name, c := range map[string]struct {
		namespace string
		entry     catalog.Entry
		want      string
	}{
		"another name":      {"default", catalog.Entry{Name: "other", YAML: good.YAML}, "the file of other holds default/resource-0000"},
		"another namespace": {"other", good, "the file of resource-0000 holds default/resource-0000"},
		"no manifest":       {"default", catalog.Entry{Name: "a", YAML: []byte("a: 1\n")}, `unknown field "a"`},
		"not canonical":     {"default", catalog.Entry{Name: good.Name, YAML: append([]byte("# a comment\n"), good.YAML...)}, intent.ErrNotCanonical.Error()},
	} {
		if _, err := catalog.Resources(c.namespace, []catalog.Entry{c.entry}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func TestFilesReadsForeignArchives(t *testing.T) {
	t.Parallel()
	archive := gzipOf(t, tarOf(t,
		member{tar.Header{Typeflag: tar.TypeDir, Name: "./manifests/", Mode: 0o755}, ""},
		regular("./manifests/b.yaml", "b").with(func(h *tar.Header) { h.Mode, h.Uid, h.Uname = 0o600, 1000, "somebody" }),
		regular("../a", "").with(func(h *tar.Header) { h.Format = tar.FormatGNU }),
		regular("./manifests/b.yaml", "again"),
	))
	got, err := catalog.Files(archive)
	if err != nil {
		t.Fatal(err)
	}
	want := []catalog.File{
		{Name: "./manifests/b.yaml", Data: []byte("b")}, {Name: "../a", Data: []byte{}}, {Name: "./manifests/b.yaml", Data: []byte("again")},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	link := member{tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "b"}, ""}
	if _, err := catalog.Files(gzipOf(t, tarOf(t, link))); err == nil || !strings.Contains(err.Error(), `"a" is neither a file nor a folder`) {
		t.Errorf("a link: error %v", err)
	}
	if _, err := catalog.Files(gzipOf(t, header('0', "ustar\x0000", "77777777777\x00"))); !errors.Is(err, catalog.ErrTooLarge) {
		t.Errorf("a bomb: error %v", err)
	}
}
