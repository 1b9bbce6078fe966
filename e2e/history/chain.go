package history

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// chain reads all revisions of a repository, from r1 on. The error joins every
// fault: a gap, a broken hash chain, times that do not increase, a tag too many
// or too few, a latest that is not the last. With a fault in one revision those
// after it are still read.
func (r *Reader) chain(ctx context.Context, repo, scope, configType, layerType string) ([]artifact.Revision, error) {
	tags, err := r.Tags(ctx, repo)
	if err != nil {
		return nil, err
	}
	count := 0
	for _, tag := range tags {
		if n, err := artifact.ParseRevisionTag(tag); err == nil && n > 0 {
			count++
		}
	}
	if count == 0 {
		return nil, fmt.Errorf("%s has no revision", repo)
	}
	revisions, err := each(count, func(i int) (artifact.Revision, error) {
		tag := artifact.RevisionTag(int64(i + 1))
		a, err := r.Artifact(ctx, repo, tag)
		if err != nil {
			return artifact.Revision{}, fmt.Errorf("%s:%s: %w", repo, tag, err)
		}
		revision, err := artifact.Unpack(configType, layerType, a)
		if err != nil {
			return artifact.Revision{}, fmt.Errorf("%s:%s: %w", repo, tag, err)
		}
		return revision, nil
	})
	if err != nil {
		return nil, err
	}
	faults := []error{r.latest(ctx, repo, revisions[count-1].Manifest)}
	want := []string{artifact.Latest}
	for i, revision := range revisions {
		want = append(want, artifact.RevisionTag(int64(i+1)))
		faults = append(faults, follows(repo, scope, int64(i+1), revision, revisions[:i]))
	}
	if parent := revisions[0].Record.Parent; parent != "" { // a take-over
		want = append(want, artifact.RevisionTag(0))
		if m, err := r.Manifest(ctx, repo, artifact.RevisionTag(0)); err != nil || m.Digest != parent {
			faults = append(faults, fmt.Errorf("%s:r0 is %s (%v), the parent of r1 is %s", repo, m.Digest, err, parent))
		}
	}
	return revisions, errors.Join(append(faults, sameTags(repo, tags, want))...)
}

func follows(repo, scope string, number int64, revision artifact.Revision, before []artifact.Revision) error {
	record := revision.Record
	fault := func(format string, args ...any) error {
		return fmt.Errorf("%s:r%d: %s", repo, number, fmt.Sprintf(format, args...))
	}
	switch {
	case record.Number != number:
		return fault("it is revision %d", record.Number)
	case record.Scope != scope:
		return fault("it belongs to %s, not to %s", record.Scope, scope)
	case len(before) == 0:
		return nil
	}
	parent := before[len(before)-1]
	// Times are of one length, so that they order as text.
	switch {
	case record.Parent != parent.Manifest.Digest:
		return fault("its parent is %s, r%d is %s", record.Parent, number-1, parent.Manifest.Digest)
	case record.Time <= parent.Record.Time:
		return fault("its time %s is not after %s", record.Time, parent.Record.Time)
	}
	return nil
}

func (r *Reader) latest(ctx context.Context, repo string, want registry.Manifest) error {
	m, err := r.Manifest(ctx, repo, artifact.Latest)
	if err != nil || m.Digest != want.Digest {
		return fmt.Errorf("%s:latest is %s (%v), the last one is %s", repo, m.Digest, err, want.Digest)
	}
	return nil
}

func sameTags(repo string, got, want []string) error {
	got, want = slices.Clone(got), slices.Clone(want)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s has the tags %v, want %v", repo, got, want)
	}
	return nil
}
