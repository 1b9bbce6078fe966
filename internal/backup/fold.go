package backup

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
)

// fold gathers from the records of a namespace, the newest first, what its
// resources' repositories hold.
type fold struct {
	namespace string
	resources map[string]*resource
	before    []earlier
	broken    bool // a record is missing

	next   int64 // the revision that was added last
	oldest int64 // of those that have their layer
}

// resource is what the records say of one.
type resource struct {
	latest   artifact.VersionRef
	live     bool
	changed  int64 // the oldest revision that was added and changed it
	versions map[string]*version
}

// version is one artifact of a resource. Retention leaves what a revision that
// has its layer changed, or has in its catalog.
type version struct {
	digest digest.Digest
	stays  bool
}

// earlier is an artifact of the proof of concept.
type earlier struct {
	name string
	ref  artifact.VersionRef
}

func newFold(namespace string) *fold {
	return &fold{namespace: namespace, resources: map[string]*resource{}}
}

// add takes the changes of the revision before the last that was added. layer
// says that it was not thinned.
func (f *fold) add(v revision, layer bool) error {
	if f.next != 0 && f.next != v.number()+1 {
		f.broken = true
	}
	f.next = v.number()
	if layer {
		f.oldest = v.number()
	}
	for _, c := range v.Record.Changes {
		fromOld := c.Operation == operationDrop || c.Operation == operationTakeOver
		if fromOld && c.Before != nil && intent.IsLabel(c.Name) {
			f.before = append(f.before, earlier{c.Name, *c.Before})
		}
		if c.After == nil {
			if c.Operation != operationDrop {
				return fmt.Errorf("%s: its change names no version", c.Name)
			}
			continue
		}
		if err := f.change(c, v, layer); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	return nil
}

// The operations of a take-over, as records have them.
const (
	operationDrop     = "drop"
	operationTakeOver = "take-over"
)

func (f *fold) change(c artifact.RecordChange, v revision, layer bool) error {
	if !intent.IsLabel(c.Name) {
		return errors.New("it is not the name of a resource")
	}
	at, err := intent.ParseVersion(c.After.Version)
	if err != nil {
		return err
	}
	if at >= v.stamp {
		return fmt.Errorf("version %s is not older than its revision", at)
	}
	tombstone, err := artifact.Tombstone(intent.Ref{Namespace: f.namespace, Name: c.Name}, at)
	if err != nil {
		return err
	}
	live := tombstone.Manifest.Digest != c.After.Digest
	r := f.resources[c.Name]
	// In the catalog of the oldest revision that has one: it was replaced later, or
	// never.
	stays := layer || live && (r == nil || r.changed > f.oldest)
	if r == nil {
		r = &resource{latest: *c.After, live: live, versions: map[string]*version{}}
		f.resources[c.Name] = r
	}
	r.changed = v.number()
	known := r.versions[c.After.Version]
	if known == nil {
		known = &version{digest: c.After.Digest}
		r.versions[c.After.Version] = known
	}
	if known.digest != c.After.Digest {
		return fmt.Errorf("version %s is two artifacts, %s and %s", at, known.digest, c.After.Digest)
	}
	known.stays = known.stays || stays
	return nil
}

// plan plans the copy of the versions.
func (f *fold) plan(p *plan) error {
	for _, name := range slices.Sorted(maps.Keys(f.resources)) {
		r := f.resources[name]
		repo := artifact.Layout{}.Resource(intent.Ref{Namespace: f.namespace, Name: name})
		for _, v := range slices.Sorted(maps.Keys(r.versions)) {
			tags := []string{v}
			if v == r.latest.Version {
				tags = append(tags, artifact.Latest)
			}
			i := item{place: place{repo, r.versions[v].digest}, tag: v, optional: !r.versions[v].stays}
			if err := p.add(i, tags...); err != nil {
				return err
			}
		}
	}
	for _, e := range f.before {
		repo := artifact.Layout{}.Resource(intent.Ref{Namespace: f.namespace, Name: e.name})
		if err := p.add(item{place: place{repo, e.ref.Digest}, optional: true}, e.ref.Version); err != nil {
			return err
		}
	}
	return nil
}
