package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// Referrers implements registry.Registry. Each referrer is a key of its own,
// so concurrent pushes do not lose one. They come in the order of their
// digests.
func (s *Store) Referrers(ctx context.Context, repo string, subject digest.Digest, artifactType string) ([]ocispec.Descriptor, error) {
	var all []ocispec.Descriptor
	last := digest.Digest("")
	for {
		page, more, err := s.referrersAfter(ctx, repo, subject, artifactType, last)
		if err != nil {
			return nil, fmt.Errorf("referrers of %s@%s: %w", repo, subject, err)
		}
		all = append(all, page...)
		if !more {
			return all, nil
		}
		last = page[len(page)-1].Digest
	}
}

// Bounds of one page of referrers. A page holds at least one.
const (
	referrersPageBytes = 2 << 20
	referrersPageCount = 1000
)

// referrersAfter returns one page of referrers, beginning after the digest
// last unless that is empty, and whether there may be more.
func (s *Store) referrersAfter(ctx context.Context, repo string, subject digest.Digest, artifactType string, last digest.Digest) (page []ocispec.Descriptor, more bool, err error) {
	err = s.read(ctx, func() error {
		if err := errors.Join(checkRepository(repo), checkDigest(subject)); err != nil {
			return err
		}
		prefix := referrerPrefix(repo, subject)
		from := prefix
		if last != "" {
			if err := checkDigest(last); err != nil {
				return err
			}
			from = append(referrerKey(repo, subject, last), 0)
		}
		it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: from, UpperBound: after(prefix)})
		if err != nil {
			return readError(err)
		}
		page, more, err = readReferrers(it, artifactType)
		return errors.Join(err, it.Close())
	})
	return page, more, err
}

func readReferrers(it *pebble.Iterator, artifactType string) (page []ocispec.Descriptor, more bool, err error) {
	bytes := 0
	for valid := it.First(); valid; valid = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return nil, false, readError(err)
		}
		var d ocispec.Descriptor
		if err := json.Unmarshal(value, &d); err != nil {
			return nil, false, fmt.Errorf("%w: the entry of a referrer cannot be read: %w", registry.ErrCorrupt, err)
		}
		if artifactType != "" && d.ArtifactType != artifactType {
			continue
		}
		if len(page) > 0 && (bytes+len(value) > referrersPageBytes || len(page) == referrersPageCount) {
			return page, true, nil
		}
		page = append(page, d)
		bytes += len(value)
	}
	if err := it.Error(); err != nil {
		return nil, false, readError(err)
	}
	return page, false, nil
}
