package ledger

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// foreignTags are the tags of a repository that the ledger did not put. What
// they name stays, because a manifest goes with all of its tags; those of
// signers, named after what they sign, go with that.
type foreignTags struct {
	kept   map[digest.Digest]bool
	abouts map[digest.Digest][]digest.Digest
}

// maxForeignTags bounds those of one repository.
const maxForeignTags = 100_000

var errForeignTags = errors.New("too many tags that the ledger did not put")

// aboutTag is a tag named after a digest: of cosign's signatures and
// attestations, and of the referrers of registries without the referrers API
// (OCI distribution specification 1.1, "Referrers Tag Schema").
var aboutTag = regexp.MustCompile(`^sha256-([0-9a-f]{64})(\.[A-Za-z0-9._-]+)?$`)

// readForeign resolves foreign tags.
func (r *collection) readForeign(ctx context.Context, repo string, tags []string) (*foreignTags, error) {
	f := &foreignTags{kept: map[digest.Digest]bool{}, abouts: map[digest.Digest][]digest.Digest{}}
	if len(tags) > maxForeignTags {
		return nil, fmt.Errorf("%s has %d: %w", repo, len(tags), errForeignTags)
	}
	named := make([]digest.Digest, len(tags))
	err := each(ctx, len(tags), func(ctx context.Context, i int) (err error) {
		named[i], err = resolve(ctx, r.l.o.Registry, repo, tags[i])
		if errors.Is(err, registry.ErrNotFound) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s of %s: %w", tags[i], repo, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, tag := range tags {
		if match := aboutTag.FindStringSubmatch(tag); match != nil {
			subject := digest.NewDigestFromEncoded(digest.SHA256, match[1])
			if named[i] != "" {
				f.abouts[subject] = append(f.abouts[subject], named[i])
			}
		} else {
			f.kept[named[i]] = true
		}
	}
	return f, nil
}
