package backup

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/artifact"
)

// merge adds to the new content of a repository what an earlier run has left
// there: what retention has removed from the source since stays in the backup.
func merge(c contents, l *layout, name string) (contents, error) {
	tags := maps.Clone(c.tags)
	named := map[digest.Digest]bool{}
	for tag, d := range l.tags {
		now, ok := tags[tag]
		if !ok && tag != artifact.Latest {
			tags[tag] = d
		}
		if ok && now.Digest != d.Digest && ownTag.MatchString(tag) && tag != artifact.Latest {
			return contents{}, fmt.Errorf("%w: %s:%s is %s there, and %s here: it is the backup of another history", ErrOther, name, tag, d.Digest, now.Digest)
		}
	}
	for _, d := range tags {
		named[d.Digest] = true
	}
	untagged := map[digest.Digest]ocispec.Descriptor{}
	for _, d := range slices.Concat(c.untagged, slices.Collect(maps.Values(l.entries))) {
		if !named[d.Digest] {
			untagged[d.Digest] = d
		}
	}
	return contents{tags, slices.SortedFunc(maps.Values(untagged), func(a, b ocispec.Descriptor) int { return cmp.Compare(a.Digest, b.Digest) })}, nil
}
