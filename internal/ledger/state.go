package ledger

import (
	"cmp"
	"fmt"
	"slices"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// state is a namespace's content at its head. It is immutable.
type state struct {
	Snapshot
	files []catalog.Entry // the entries as its archive has them, side by side in memory
	bytes int             // of all manifests
	parts *catalog.Parts  // of its archive, if this process packed it; else nil

	checkpoint *artifact.CheckpointRef // the last one of the chain; nil if there is none
}

func newState(r Revision, entries []*Entry) *state {
	s := &state{Snapshot: Snapshot{Revision: r, Entries: entries}, files: make([]catalog.Entry, len(entries))}
	for i, e := range entries {
		s.files[i] = e.file()
		s.bytes += len(e.YAML)
	}
	return s
}

func (e *Entry) file() catalog.Entry { return catalog.Entry{Name: e.Name, YAML: e.YAML} }

func byName(e *Entry, name string) int { return cmp.Compare(e.Name, name) }

// Find returns the entry of that name, or nil.
func (s Snapshot) Find(name string) *Entry {
	if i, ok := slices.BinarySearchFunc(s.Entries, name, byName); ok {
		return s.Entries[i]
	}
	return nil
}

// with returns the state after outcomes, which are sorted by name: the next
// revision's, without its number and parts. It copies whole runs, and looks at
// nothing but what changes.
func (s *state) with(outcomes []Outcome) *state {
	next := &state{bytes: s.bytes, checkpoint: s.checkpoint, files: make([]catalog.Entry, 0, len(s.files)+len(outcomes))}
	next.Entries = make([]*Entry, 0, len(s.Entries)+len(outcomes))
	at := 0 // how far s has been copied
	for _, o := range outcomes {
		i, found := slices.BinarySearchFunc(s.files[at:], o.Name, func(f catalog.Entry, name string) int { return cmp.Compare(f.Name, name) })
		next.files = append(next.files, s.files[at:at+i]...)
		next.Entries = append(next.Entries, s.Entries[at:at+i]...)
		at += i
		if found {
			next.bytes -= len(s.files[at].YAML)
			at++
		}
		if o.After != nil {
			next.bytes += len(o.After.YAML)
			next.files = append(next.files, o.After.file())
			next.Entries = append(next.Entries, o.After)
		}
	}
	next.files = append(next.files, s.files[at:]...)
	next.Entries = append(next.Entries, s.Entries[at:]...)
	return next
}

// pack packs the state into a catalog's layer. What before, the parts of an
// earlier one (or nil), has in common with it is taken from there.
func (s *state) pack(packer *catalog.Packer, namespace string, before *catalog.Parts) (registry.Blob, error) {
	data, parts, err := packer.Pack(namespace, s.files, before)
	if err != nil {
		return registry.Blob{}, err
	}
	s.parts = parts
	return registry.NewBlob(artifact.TypeFluxContent, data), nil
}

func revisionOf(rev artifact.Revision) (Revision, error) {
	stamp, err := rev.Record.Stamp()
	return Revision{Number: rev.Record.Number, Digest: rev.Manifest.Digest, Time: stamp.Time()}, err
}

// readState is the inverse of pack: the state that a revision's layer
// holds, with the digests of the resource artifacts computed from it.
func readState(layout artifact.Layout, namespace string, rev artifact.Revision) (*state, error) {
	files, err := catalog.Unpack(namespace, rev.Layer.Data)
	if err != nil {
		return nil, err
	}
	resources, err := catalog.Resources(namespace, files)
	if err != nil {
		return nil, err
	}
	entries := make([]*Entry, len(files))
	for i, r := range resources {
		yaml := files[i].YAML
		entries[i] = &Entry{Resource: r, YAML: yaml, Digest: artifact.Resource(r, yaml).Manifest.Digest, Repository: layout.Resource(r.Ref)}
	}
	revision, err := revisionOf(rev)
	if err != nil {
		return nil, err
	}
	s := newState(revision, entries)
	s.checkpoint = rev.Record.Checkpoint
	return s, nil
}

// verify compares a revision's record with its content, and returns the
// artifacts that the record's changes made, with their tags.
func verify(layout artifact.Layout, namespace string, record artifact.Record, s *state) ([]registry.Push, []registry.Tag, error) {
	var pushes []registry.Push
	var tags []registry.Tag
	stamp, err := record.Stamp()
	if err != nil {
		return nil, nil, err
	}
	for _, e := range s.Entries {
		if e.Version >= stamp {
			return nil, nil, fmt.Errorf("%s: version %s is not older than its revision", e.Name, e.Version)
		}
	}
	for _, c := range record.Changes {
		if Operation(c.Operation) == Dropped && c.After == nil && s.Find(c.Name) == nil {
			continue
		}
		a, version, err := changed(namespace, c, s)
		if err != nil {
			return nil, nil, err
		}
		repo := layout.Resource(intent.Ref{Namespace: namespace, Name: c.Name})
		pushes = append(pushes, registry.Push{Repository: repo, Artifact: a})
		tags = append(tags, versionTags(repo, version, a.Manifest)...)
	}
	return pushes, tags, nil
}

// follows reports what is wrong if a record's changes do not lead from the
// content before to the content after, exactly.
func follows(record artifact.Record, before, after Snapshot) error {
	changes := map[string]artifact.RecordChange{}
	for _, c := range record.Changes {
		changes[c.Name] = c
		e := before.Find(c.Name)
		if (e == nil) != (c.Before == nil) || e != nil && (c.Before.Digest != e.Digest || c.Before.Version != e.Version.String()) {
			return fmt.Errorf("%s: its change does not begin with what was there before", c.Name)
		}
	}
	for _, e := range before.Entries {
		now := after.Find(e.Name)
		if _, ok := changes[e.Name]; !ok && (now == nil || now.Digest != e.Digest) {
			return fmt.Errorf("%s: it changed, or is gone, without a change that says so", e.Name)
		}
	}
	for _, e := range after.Entries {
		if _, ok := changes[e.Name]; !ok && before.Find(e.Name) == nil {
			return fmt.Errorf("%s: it appeared without a change that says so", e.Name)
		}
	}
	return nil
}

// changed rebuilds the artifact that a change made.
func changed(namespace string, c artifact.RecordChange, s *state) (registry.Artifact, intent.Version, error) {
	if c.After == nil {
		return registry.Artifact{}, 0, fmt.Errorf("%s: its change names no version", c.Name)
	}
	version, err := intent.ParseVersion(c.After.Version)
	if err != nil {
		return registry.Artifact{}, 0, fmt.Errorf("%s: %w", c.Name, err)
	}
	entry := s.Find(c.Name)
	var a registry.Artifact
	switch {
	case (Operation(c.Operation) == Deleted || Operation(c.Operation) == RolledBack) && entry == nil:
		if a, err = artifact.Tombstone(intent.Ref{Namespace: namespace, Name: c.Name}, version); err != nil {
			return registry.Artifact{}, 0, err
		}
	case Operation(c.Operation) != Deleted && entry != nil && entry.Version == version:
		a = artifact.Resource(entry.Resource, entry.YAML)
	default:
		return registry.Artifact{}, 0, fmt.Errorf("%s: the catalog does not hold what its change says", c.Name)
	}
	if a.Manifest.Digest != c.After.Digest {
		return registry.Artifact{}, 0, fmt.Errorf("%s: its artifact is %s, its change says %s", c.Name, a.Manifest.Digest, c.After.Digest)
	}
	return a, version, nil
}

func versionTags(repo string, v intent.Version, m registry.Manifest) []registry.Tag {
	return []registry.Tag{
		{Repository: repo, Name: v.String(), Manifest: m},
		{Repository: repo, Name: artifact.Latest, Manifest: m},
	}
}
