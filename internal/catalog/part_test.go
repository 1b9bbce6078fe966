package catalog

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func entriesNamed(n int) []Entry {
	out := make([]Entry, n)
	for i := range out {
		out[i] = Entry{Name: fmt.Sprintf("web-%04d", i), YAML: fmt.Appendf(nil, "replicas: %d\n", i)}
	}
	return out
}

// Bytes that change in memory after they were verified do not get out.
func TestPackFindsWhatChangedInMemory(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func(g *group){
		"a file's part": func(g *group) { g.files.data[len(g.files.data)/2] ^= 1 },
		"a line's part": func(g *group) { g.lines.data[len(g.lines.data)/2] ^= 16 },
		"a checksum":    func(g *group) { g.files.sum ^= 1 },
	} {
		var p Packer
		entries := entriesNamed(100)
		_, parts, err := p.Pack("default", entries, nil)
		if err != nil {
			t.Fatal(err)
		}
		harm(parts.groups[len(parts.groups)/2])
		if archive, _, err := p.Pack("default", entries, parts); err == nil || archive != nil || !strings.Contains(err.Error(), "changed in memory") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestCompareFindsEveryDifference(t *testing.T) {
	t.Parallel()
	p, err := new(Packer).press()
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("some text "), 1000)
	good, err := p.part(want)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ packed, want []byte }{
		"a byte more":   {good.data, want[:len(want)-1]},
		"a byte less":   {good.data, append(bytes.Clone(want), 'x')},
		"another byte":  {good.data, append(bytes.Clone(want[:len(want)-1]), 'x')},
		"nothing":       {good.data, nil},
		"no gzip":       {[]byte("no gzip at all"), want},
		"cut off":       {good.data[:len(good.data)-9], want},
		"no checksum":   {append(bytes.Clone(good.data[:len(good.data)-8]), 0, 0, 0, 0, 0, 0, 0, 0), want},
		"nothing there": {nil, nil},
	} {
		if err := p.compare(c.packed, c.want); !errors.Is(err, errNotTheSame) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if err := p.compare(good.data, want); err != nil {
		t.Error(err)
	}
}

func TestVerifyFileFindsEveryDifference(t *testing.T) {
	t.Parallel()
	e := Entry{Name: "web", YAML: []byte("a: 1\n")}
	blocks, err := appendFile(nil, fileName("default", e.Name), e.YAML)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifyFile("default", blocks, e); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		namespace string
		want      Entry
	}{
		"another namespace": {"other", e},
		"another name":      {"default", Entry{Name: "other", YAML: e.YAML}},
		"other content":     {"default", Entry{Name: "web", YAML: []byte("a: 2\n")}},
		"more content":      {"default", Entry{Name: "web", YAML: []byte("a: 1\nb: 1\n")}},
	} {
		if err := verifyFile(c.namespace, blocks, c.want); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	harmed := bytes.Clone(blocks)
	harmed[130]++
	if err := verifyFile("default", harmed, e); err == nil {
		t.Error("a header that does not add up: no error")
	}
}

// A header that is written by hand is the one that archive/tar writes.
func FuzzAppendFile(f *testing.F) {
	f.Add("manifests/default-web.yaml", []byte("a: 1\n"))
	f.Add(strings.Repeat("n", maxPlainName), bytes.Repeat([]byte("x"), blockSize))
	f.Add("manifests/"+strings.Repeat("n", maxPlainName-9), []byte{})
	f.Add("manifests/"+strings.Repeat("n", 130)+".yaml", bytes.Repeat([]byte("x"), blockSize-1))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		for i := range len(name) {
			if name[i] <= ' ' || name[i] > '~' { // what a catalog never has
				return
			}
		}
		if name == "" || strings.HasSuffix(name, "/") {
			return
		}
		var want bytes.Buffer
		tw := tar.NewWriter(&want)
		err := tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data))})
		if err == nil {
			_, err = tw.Write(data)
		}
		if err = errors.Join(err, tw.Flush()); err != nil {
			t.Fatal(err)
		}
		got, err := appendFile(nil, name, data)
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%q with %d bytes: error %v\n%q\nwant\n%q", name, len(data), err, got, want.Bytes())
		}
	})
}

// The embedded registry finds members by this header, and formats.md says that
// they have no time.
func TestMembersHaveNoTime(t *testing.T) {
	t.Parallel()
	archive, _, err := new(Packer).Pack("default", entriesNamed(100), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(archive, []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff")); n < 8 {
		t.Errorf("%d members begin without name and time", n)
	}
}
