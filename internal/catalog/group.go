package catalog

import (
	"archive/tar"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"

	"gitops-squared.io/gsq/internal/intent"
)

// group is a run of entries, with their files in the tar and their lines in the
// kustomization.
type group struct {
	entries      []Entry
	files, lines part
}

// groupMean is how many entries a group has on average: so many that they
// compress well, so few that a change costs little.
const groupMean = 8

// opens reports whether an entry of this name is the first of a group. It
// depends on the name alone, so that the same entries make the same groups
// whatever was there before. The hash is FNV-1a, its ends folded together.
func opens(name string) bool {
	h := uint32(2166136261)
	for i := range len(name) {
		h = (h ^ uint32(name[i])) * 16777619
	}
	return (h^h>>16)%groupMean == 0
}

// groupLength returns how many entries the first group of the rest has.
func groupLength(rest []Entry) int {
	for n := 1; n < len(rest); n++ {
		if opens(rest[n].Name) {
			return n
		}
	}
	return len(rest)
}

// begins reports whether the group is the first one of the rest.
func (g *group) begins(rest []Entry) bool {
	n := len(g.entries)
	if n > len(rest) || n < len(rest) && !opens(rest[n].Name) {
		return false
	}
	return slices.EqualFunc(g.entries, rest[:n], Entry.equal)
}

func (g *group) last() string { return g.entries[len(g.entries)-1].Name }

func (e Entry) equal(other Entry) bool {
	return e.Name == other.Name && bytes.Equal(e.YAML, other.YAML)
}

func (e Entry) namesake(other Entry) bool { return e.Name == other.Name }

// groupAt returns the group that an entry of this name is, or would be, in; nil
// if it would come after all.
func (p *Parts) groupAt(name string) *group {
	i, _ := slices.BinarySearchFunc(p.groups, name, func(g *group, name string) int { return cmp.Compare(g.last(), name) })
	if i == len(p.groups) {
		return nil
	}
	return p.groups[i]
}

// holds reports whether an entry is in the parts.
func (p *Parts) holds(e Entry) bool {
	g := p.groupAt(e.Name)
	if g == nil {
		return false
	}
	i, found := slices.BinarySearchFunc(g.entries, e.Name, func(e Entry, name string) int { return cmp.Compare(e.Name, name) })
	return found && g.entries[i].equal(e)
}

// group packs a group and verifies it.
func (p *press) group(namespace string, entries []Entry, before *Parts) (*group, error) {
	files, lines := p.files[:0], p.lines[:0]
	for i, e := range entries {
		if err := e.check(); err != nil {
			return nil, err
		}
		if i > 0 {
			if err := inOrder(entries[i-1].Name, e.Name); err != nil {
				return nil, err
			}
		}
		begin := len(files)
		var err error
		if files, err = appendFile(files, fileName(namespace, e.Name), e.YAML); err != nil {
			return nil, err
		}
		if !before.holds(e) {
			if err := verifyFile(namespace, files[begin:], e); err != nil {
				return nil, err
			}
		}
		lines = appendLine(lines, namespace, e.Name)
	}
	p.files, p.lines = files, lines
	g := &group{entries: slices.Clone(entries)}
	var err error
	if g.files, err = p.part(files); err != nil {
		return nil, err
	}
	if same := before.groupAt(entries[0].Name); same != nil && slices.EqualFunc(same.entries, entries, Entry.namesake) {
		g.lines = same.lines
		return g, nil
	}
	g.lines, err = p.part(lines)
	return g, err
}

func (e Entry) check() error {
	if !intent.IsLabel(e.Name) {
		return fmt.Errorf("%q is not the name of a resource", e.Name)
	}
	if len(e.YAML) == 0 {
		return fmt.Errorf("the manifest of %s is empty", e.Name)
	}
	return nil
}

// verifyFile reads a file's part of the tar as everybody else does.
func verifyFile(namespace string, blocks []byte, want Entry) error {
	tr := tar.NewReader(bytes.NewReader(blocks))
	h, err := tr.Next()
	if err != nil {
		return fmt.Errorf("%s does not read back as it was written: %w", want.Name, err)
	}
	data, err := io.ReadAll(tr)
	if err != nil {
		return fmt.Errorf("%s does not read back as it was written: %w", want.Name, err)
	}
	if h.Typeflag != tar.TypeReg || h.Name != fileName(namespace, want.Name) || !bytes.Equal(data, want.YAML) {
		return fmt.Errorf("%s does not read back as it was written", want.Name)
	}
	return nil
}

func inOrder(name, next string) error {
	switch {
	case name == next:
		return fmt.Errorf("%s is in it twice", name)
	case name > next:
		return fmt.Errorf("%s comes after %s", next, name)
	}
	return nil
}
