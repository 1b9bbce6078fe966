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
	retained  bool // retention may have removed versions that are not live
	resources map[string]*resource
	before    []earlier
	broken    bool // a record is missing

	next int64 // the revision that was added last
}

// resource is what the records say of one.
type resource struct {
	latest   artifact.VersionRef
	live     bool
	versions map[string]digest.Digest
}

// earlier is an artifact of the proof of concept.
type earlier struct {
	name string
	ref  artifact.VersionRef
}

func newFold(namespace string, retained bool) *fold {
	return &fold{namespace: namespace, retained: retained, resources: map[string]*resource{}}
}

// add takes the changes of the revision before the last that was added.
func (f *fold) add(v revision) error {
	if f.next != 0 && f.next != v.number()+1 {
		f.broken = true
	}
	f.next = v.number()
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
		if err := f.change(c, v.stamp); err != nil {
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

func (f *fold) change(c artifact.RecordChange, stamp intent.Version) error {
	if !intent.IsLabel(c.Name) {
		return errors.New("it is not the name of a resource")
	}
	at, err := intent.ParseVersion(c.After.Version)
	if err != nil {
		return err
	}
	if at >= stamp {
		return fmt.Errorf("version %s is not older than its revision", at)
	}
	r := f.resources[c.Name]
	if r == nil {
		tombstone, err := artifact.Tombstone(intent.Ref{Namespace: f.namespace, Name: c.Name}, at)
		if err != nil {
			return err
		}
		r = &resource{latest: *c.After, live: tombstone.Manifest.Digest != c.After.Digest, versions: map[string]digest.Digest{}}
		f.resources[c.Name] = r
	}
	if known, ok := r.versions[c.After.Version]; ok && known != c.After.Digest {
		return fmt.Errorf("version %s is two artifacts, %s and %s", at, known, c.After.Digest)
	}
	r.versions[c.After.Version] = c.After.Digest
	return nil
}

// plan plans the copy of the versions.
func (f *fold) plan(p *plan) error {
	for _, name := range slices.Sorted(maps.Keys(f.resources)) {
		r := f.resources[name]
		repo := artifact.Layout{}.Resource(intent.Ref{Namespace: f.namespace, Name: name})
		for _, v := range slices.Sorted(maps.Keys(r.versions)) {
			tags := []string{v}
			current := v == r.latest.Version
			if current {
				tags = append(tags, artifact.Latest)
			}
			i := item{place: place{repo, r.versions[v]}, tag: v, optional: f.retained && !(current && r.live)}
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
