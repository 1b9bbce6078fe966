package catalog

import (
	"bytes"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"

	"gitops-squared.io/gsq/internal/intent"
)

// Reading is an archive that was read, by which one that resembles it is read
// at the cost of what differs. It is immutable.
type Reading struct {
	namespace string
	files     []member // of resources; a single one without compressed bytes if the archive was read by Unpack
	rest      []member // the kustomization and the tar's end
}

// member is one gzip member of an archive.
type member struct {
	packed []byte
	*content
}

// content is what a member unpacks to. Members of equal bytes share it.
type content struct {
	entries []Entry // whole files of resources; nil if it is something else
	lines   []byte  // theirs in the kustomization
	plain   []byte  // if it is something else
}

// Read is Unpack for an archive of which many parts are those of another one:
// what a Reading of that (nil if there is none) has in common with it, byte for
// byte, is not unpacked again. It accepts and refuses what Unpack does. It
// returns what differs between the two in entries, sorted by name, as they are
// in the archive; one that is only in like has no YAML.
func Read(namespace string, archive []byte, like *Reading) (*Reading, []Entry, error) {
	if like == nil || like.namespace != namespace {
		like = &Reading{namespace: namespace}
	}
	r, ok := readMembers(namespace, archive, like)
	if !ok {
		entries, err := Unpack(namespace, archive)
		if err != nil {
			return nil, nil, err
		}
		r = &Reading{namespace: namespace, files: []member{{content: &content{entries: entries}}}}
	}
	return r, r.differences(like), nil
}

// readMembers reads an archive whose members are as Pack makes them: whole
// files, then the kustomization. For every other one it returns false.
func readMembers(namespace string, archive []byte, like *Reading) (*Reading, bool) {
	if !intent.IsLabel(namespace) {
		return nil, false
	}
	r := &Reading{namespace: namespace}
	var unpacker gzip.Reader
	files, rest := like.files, like.rest
	left := MaxBytes
	for len(archive) > 0 {
		var m member
		if i := prefix(files, archive); i >= 0 {
			m, files = files[i], files[i+1:]
		} else if i := prefix(rest, archive); i >= 0 {
			m, rest = rest[i], rest[i+1:]
		} else {
			packed, plain, ok := unpackMember(&unpacker, archive, left)
			if !ok {
				return nil, false
			}
			m = member{packed, contentOf(namespace, plain)}
		}
		// Of the two equal slices, the one in this archive: the other's is let go.
		m.packed, archive = archive[:len(m.packed)], archive[len(m.packed):]
		if left -= m.size(); left < 0 {
			return nil, false
		}
		if m.entries == nil {
			r.rest = append(r.rest, m)
			continue
		}
		if n := len(r.files); len(r.rest) > 0 || n > 0 && r.files[n-1].last() >= m.entries[0].Name {
			return nil, false
		}
		r.files = append(r.files, m)
	}
	return r, r.endsAsItShould()
}

// prefix returns which of the members the archive begins with, or -1.
func prefix(members []member, archive []byte) int {
	for i, m := range members {
		if len(m.packed) > 0 && bytes.HasPrefix(archive, m.packed) {
			return i
		}
	}
	return -1
}

// unpackMember unpacks the first member of an archive, if it is not larger than
// most.
func unpackMember(r *gzip.Reader, archive []byte, most int) (packed, plain []byte, ok bool) {
	in := bytes.NewReader(archive) // it is not read beyond the member's end
	if err := r.Reset(in); err != nil {
		return nil, nil, false
	}
	r.Multistream(false)
	plain, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err != nil || len(plain) > most {
		return nil, nil, false
	}
	return archive[:len(archive)-in.Len()], plain, true
}

// contentOf looks at what a member unpacked to.
func contentOf(namespace string, plain []byte) *content {
	c := &content{plain: plain}
	var entries []Entry
	var lines []byte
	for rest := plain; len(rest) > 0; {
		if len(rest) < blockSize {
			return c
		}
		header := [blockSize]byte(rest)
		name, size := plainFields(&header)
		resource, ok := strings.CutPrefix(name, Folder+"/"+namespace+"-")
		if ok {
			resource, ok = strings.CutSuffix(resource, ".yaml")
		}
		if !ok || !intent.IsLabel(resource) || size <= 0 || size > len(rest)-blockSize || plainHeader(name, size) != header {
			return c
		}
		if n := len(entries); n > 0 && entries[n-1].Name >= resource {
			return c
		}
		rest = rest[blockSize:]
		data, pad := rest[:size:size], padding(size)
		if len(rest) < size+pad || len(bytes.Trim(rest[size:size+pad], "\x00")) > 0 {
			return c
		}
		rest = rest[size+pad:]
		entries = append(entries, Entry{Name: resource, YAML: data})
		lines = appendLine(lines, namespace, resource)
	}
	if entries == nil {
		return c
	}
	return &content{entries: entries, lines: lines}
}

func (c *content) last() string { return c.entries[len(c.entries)-1].Name }

// size is about what the content takes of the bound on an archive.
func (c *content) size() int {
	n := len(c.plain)
	for _, e := range c.entries {
		n += blockSize + len(e.YAML) + padding(len(e.YAML))
	}
	return n
}

// endsAsItShould reports whether what follows the files is exactly their
// kustomization and the end of the tar.
func (r *Reading) endsAsItShould() bool {
	head := kustomizationHead(r.namespace, len(r.files) == 0)
	listed := len(head)
	for _, m := range r.files {
		listed += len(m.lines)
	}
	header, err := appendHeader(nil, kustomizationName, listed)
	if err != nil {
		return false
	}
	left := r.rest
	var piece []byte
	take := func(want []byte) bool {
		for len(want) > 0 {
			for len(piece) == 0 {
				if len(left) == 0 {
					return false
				}
				piece, left = left[0].plain, left[1:]
			}
			n := min(len(piece), len(want))
			if !bytes.Equal(piece[:n], want[:n]) {
				return false
			}
			piece, want = piece[n:], want[n:]
		}
		return true
	}
	if !take(header) || !take(head) {
		return false
	}
	for _, m := range r.files {
		if !take(m.lines) {
			return false
		}
	}
	return take(append(appendPadding(nil, listed), endOfTar()...)) && len(piece) == 0 && size(left) == 0
}

func size(members []member) int {
	n := 0
	for _, m := range members {
		n += len(m.plain)
	}
	return n
}

// differences returns what r holds otherwise than like.
func (r *Reading) differences(like *Reading) []Entry {
	shared := make(map[*content]bool, len(like.files))
	for _, m := range like.files {
		shared[m.content] = true
	}
	var mine []Entry
	for _, m := range r.files {
		if !shared[m.content] {
			mine = append(mine, m.entries...)
		}
		delete(shared, m.content)
	}
	var theirs []Entry
	for _, m := range like.files {
		if shared[m.content] { // it is not in r
			theirs = append(theirs, m.entries...)
		}
	}
	var differ []Entry
	for len(mine)+len(theirs) > 0 {
		switch {
		case len(theirs) == 0 || len(mine) > 0 && mine[0].Name < theirs[0].Name:
			differ, mine = append(differ, mine[0]), mine[1:]
		case len(mine) == 0 || theirs[0].Name < mine[0].Name:
			differ, theirs = append(differ, Entry{Name: theirs[0].Name}), theirs[1:]
		default:
			if !bytes.Equal(mine[0].YAML, theirs[0].YAML) {
				differ = append(differ, mine[0])
			}
			mine, theirs = mine[1:], theirs[1:]
		}
	}
	return differ
}
