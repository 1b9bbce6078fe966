package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
)

// Change is one change of one resource, as its commit record has it.
type Change struct {
	artifact.RecordChange
	Revision int64
	Resource intent.Resource // what the catalog then holds; zero if it is absent
	YAML     []byte          // its canonical manifest
}

// Deleted says whether the resource is absent after it.
func (c Change) Deleted() bool {
	return c.Operation == "delete" || c.Operation == "drop" || c.Operation == "rollback" && c.YAML == nil
}

// Namespace is the history of one namespace.
type Namespace struct {
	Revisions []artifact.Revision
	Changes   map[string][]Change        // by resource, in their order
	Live      map[string]intent.Resource // what the last catalog holds
}

// namespace reads a namespace's history. The error joins every fault: also a
// layer that is not what the changes lead to, and an artifact or a tag that is
// missing, different or too many.
func (r *Reader) namespace(ctx context.Context, layout artifact.Layout, name string) (*Namespace, error) {
	repo := layout.Catalog(name)
	revisions, err := r.chain(ctx, repo, artifact.ScopeNamespace(name), artifact.TypeFluxConfig, artifact.TypeFluxContent)
	if err != nil {
		return nil, err
	}
	n := &Namespace{Revisions: revisions, Changes: map[string][]Change{}, Live: map[string]intent.Resource{}}
	live := map[string][]byte{}
	var faults []error
	for _, revision := range revisions {
		if err := n.follow(name, revision, live); err != nil {
			faults = append(faults, fmt.Errorf("%s:r%d: %w", repo, revision.Record.Number, err))
		}
	}
	names := slices.Sorted(maps.Keys(n.Changes))
	takenOver := revisions[0].Record.Parent != ""
	_, err = each(len(names), func(i int) (struct{}, error) {
		ref := intent.Ref{Namespace: name, Name: names[i]}
		return struct{}{}, r.resource(ctx, layout.Resource(ref), ref, n.Changes[names[i]], takenOver)
	})
	return n, errors.Join(append(faults, err)...)
}

// follow applies a revision's changes to live, and compares with its layer.
// What did not change is the same, byte for byte, so it need not be parsed again.
func (n *Namespace) follow(namespace string, revision artifact.Revision, live map[string][]byte) error {
	entries, err := catalog.Unpack(namespace, revision.Layer.Data)
	if err != nil {
		return err
	}
	content := map[string][]byte{}
	for _, e := range entries {
		content[e.Name] = e.YAML
	}
	var faults []error
	for _, change := range revision.Record.Changes {
		c := Change{RecordChange: change, Revision: revision.Record.Number, YAML: content[change.Name]}
		if err := n.continues(c); err != nil {
			faults = append(faults, err)
		}
		if c.Deleted() {
			delete(live, c.Name)
			delete(n.Live, c.Name)
		} else {
			changed, err := catalog.Resources(namespace, []catalog.Entry{{Name: c.Name, YAML: content[c.Name]}})
			if err != nil {
				faults = append(faults, err)
				continue
			}
			c.Resource = changed[0]
			live[c.Name], n.Live[c.Name] = c.YAML, c.Resource
		}
		n.Changes[c.Name] = append(n.Changes[c.Name], c)
	}
	if !maps.EqualFunc(live, content, bytes.Equal) {
		faults = append(faults, fmt.Errorf("the layer holds %d resources, which are not those %d that the changes lead to", len(content), len(live)))
	}
	return errors.Join(faults...)
}

// continues checks a change against the resource's last one before it.
func (n *Namespace) continues(c Change) error {
	past := n.Changes[c.Name]
	if len(past) == 0 {
		if c.Before != nil && c.Operation != "take-over" && c.Operation != "drop" {
			return fmt.Errorf("%s did not exist before, the record says %+v", c.Name, *c.Before)
		}
		return nil
	}
	last := past[len(past)-1]
	switch {
	case last.Deleted() && c.Before != nil:
		return fmt.Errorf("%s was deleted before, the record says %+v", c.Name, *c.Before)
	case !last.Deleted() && (c.Before == nil || *c.Before != *last.After):
		return fmt.Errorf("%s was %+v before, the record says %+v", c.Name, *last.After, c.Before)
	}
	return nil
}

// resource checks a resource's artifacts and tags against its changes.
func (r *Reader) resource(ctx context.Context, repo string, ref intent.Ref, changes []Change, takenOver bool) error {
	var faults []error
	want := []string{artifact.Latest}
	for _, c := range changes {
		if c.Operation == "drop" { // a take-over leaves what it does not take
			continue
		}
		want = append(want, c.After.Version)
		a, err := r.Artifact(ctx, repo, c.After.Version)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		again, err := expected(ref, c)
		switch {
		case err != nil:
			faults = append(faults, fmt.Errorf("%s:%s: %w", repo, c.After.Version, err))
		case a.Manifest.Digest != c.After.Digest || a.Manifest.Digest != again:
			faults = append(faults, fmt.Errorf("%s:%s is %s, r%d says %s, its bytes should have %s", repo, c.After.Version, a.Manifest.Digest, c.Revision, c.After.Digest, again))
		}
		if c.After == changes[len(changes)-1].After {
			faults = append(faults, r.latest(ctx, repo, a.Manifest))
		}
	}
	if takenOver || len(want) == 1 {
		return errors.Join(faults...) // it has tags from before
	}
	slices.Sort(want)
	want = slices.Compact(want) // a rollback names a version again
	tags, err := r.Tags(ctx, repo)
	return errors.Join(append(faults, err, sameTags(repo, tags, want))...)
}

// expected is the digest of the artifact that a change must have made.
func expected(ref intent.Ref, c Change) (digest.Digest, error) {
	version, err := intent.ParseVersion(c.After.Version)
	if err != nil {
		return "", err
	}
	if c.Deleted() {
		a, err := artifact.Tombstone(ref, version)
		return a.Manifest.Digest, err
	}
	if c.Resource.Version != version {
		return "", fmt.Errorf("the catalog holds version %s", c.Resource.Version)
	}
	return artifact.Resource(c.Resource, c.YAML).Manifest.Digest, nil
}
