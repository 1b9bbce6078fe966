package catalog

import (
	"errors"
	"fmt"
	"hash/crc32"
	"sync"

	"gitops-squared.io/gsq/internal/intent"
)

// Packer packs catalogs. It keeps the compressor's memory between calls. The
// zero value is ready; a Packer is safe for concurrent use.
type Packer struct{ presses sync.Pool }

// Parts are the compressed parts of a packed catalog, by which the next one is
// packed at the cost of what changed. They are immutable.
type Parts struct {
	namespace  string
	groups     []*group
	head, tail part // of the kustomization
	listed     int  // bytes of the kustomization
}

// Pack returns the archive of the entries, which must be sorted by name, and
// its parts. What before, the parts of an earlier archive of the namespace (nil
// if there is none), has in common with it is taken from there.
//
// Every part is unpacked again when it is made and compared, entry by entry,
// with what it should hold; one that is taken over is compared with its entries
// again, and with a checksum of the time when it was unpacked.
func (p *Packer) Pack(namespace string, entries []Entry, before *Parts) ([]byte, *Parts, error) {
	archive, parts, err := p.pack(namespace, entries, before)
	if err != nil {
		return nil, nil, fmt.Errorf("catalog of %s: %w", namespace, err)
	}
	return archive, parts, nil
}

func (p *Packer) pack(namespace string, entries []Entry, before *Parts) ([]byte, *Parts, error) {
	if !intent.IsLabel(namespace) {
		return nil, nil, errors.New("that is not the name of a namespace")
	}
	if before == nil || before.namespace != namespace {
		before = &Parts{namespace: namespace}
	}
	tool, err := p.press()
	if err != nil {
		return nil, nil, err
	}
	defer p.presses.Put(tool)
	parts := &Parts{namespace: namespace, groups: make([]*group, 0, len(before.groups)+1)}
	size, list := 0, kustomizationHead(namespace, len(entries) == 0)
	listed := len(list)
	old := before.groups
	for rest := entries; len(rest) > 0; {
		for len(old) > 0 && old[0].entries[0].Name < rest[0].Name {
			old = old[1:]
		}
		var g *group
		if len(old) > 0 && old[0].begins(rest) {
			g = old[0]
		} else {
			if g, err = tool.group(namespace, rest[:groupLength(rest)], before); err != nil {
				return nil, nil, err
			}
		}
		if n := len(parts.groups); n > 0 {
			if err := inOrder(parts.groups[n-1].last(), g.entries[0].Name); err != nil {
				return nil, nil, err
			}
		}
		parts.groups = append(parts.groups, g)
		size += len(g.files.data) + len(g.lines.data)
		listed += g.lines.length
		rest = rest[len(g.entries):]
	}
	if parts.head, parts.tail, err = tool.ends(list, listed, before); err != nil {
		return nil, nil, err
	}
	parts.listed = listed
	archive := make([]byte, 0, size+len(parts.head.data)+len(parts.tail.data))
	for m := range parts.all {
		if crc32.ChecksumIEEE(m.data) != m.sum {
			return nil, nil, errors.New("a part of it changed in memory since it was packed; this machine's memory may be faulty")
		}
		archive = append(archive, m.data...)
	}
	return archive, parts, nil
}

// all yields the parts in their order in the archive.
func (p *Parts) all(yield func(*part) bool) {
	for _, g := range p.groups {
		if !yield(&g.files) {
			return
		}
	}
	if !yield(&p.head) {
		return
	}
	for _, g := range p.groups {
		if !yield(&g.lines) {
			return
		}
	}
	yield(&p.tail)
}

// ends makes what stands before and after the kustomization's list: its header
// and first lines; what fills up its last block, and the end of the tar. Both
// depend on its length alone, and on whether the list is empty.
func (p *press) ends(list []byte, listed int, before *Parts) (head, tail part, err error) {
	if listed == before.listed && len(before.groups) > 0 {
		return before.head, before.tail, nil
	}
	raw, err := appendHeader(nil, kustomizationName, listed)
	if err != nil {
		return part{}, part{}, err
	}
	if head, err = p.part(append(raw, list...)); err != nil {
		return part{}, part{}, err
	}
	tail, err = p.part(append(appendPadding(nil, listed), endOfTar()...))
	return head, tail, err
}
