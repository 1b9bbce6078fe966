package remote

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"gitops-squared.io/gsq/internal/registry"
)

// tagPage is how many tags are asked for at once; registries may answer fewer.
const tagPage = 1000

// referrersTag matches the tags of the referrers tag schema. They belong to
// clients, not to users, so Tags does not list them.
var referrersTag = regexp.MustCompile(`^(sha256-[0-9a-f]{64}|sha512-[0-9a-f]{128})$`)

// errStop ends a listing early.
var errStop = errors.New("enough")

// Tags implements registry.Registry. The specification lets registries sort
// without regard to case, and some do not sort, ignore where to start, or
// how many are wanted. So whenever an answer is not in the order of bytes, or
// the order might depend on case, all tags are read and sorted here.
func (r *Registry) Tags(ctx context.Context, repo, last string, n int) ([]string, error) {
	if n <= 0 {
		return nil, nil
	}
	var found []string
	previous, inOrder := last, true
	err := r.listTags(ctx, repo, last, min(n, tagPage), func(tag string) error {
		if tag <= previous || strings.ToLower(tag) != tag {
			inOrder = false
			return errStop
		}
		previous = tag
		if !referrersTag.MatchString(tag) {
			found = append(found, tag)
		}
		if len(found) == n {
			return errStop
		}
		return nil
	})
	if err != nil || (inOrder && strings.ToLower(last) == last) {
		return found, err
	}
	found = nil
	err = r.listTags(ctx, repo, "", tagPage, func(tag string) error {
		if tag > last && !referrersTag.MatchString(tag) {
			found = append(found, tag)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(found)
	found = slices.Compact(found)
	return found[:min(n, len(found))], nil
}

// listTags calls do for each tag, as the registry lists them, until do returns
// errStop. An unknown repository has none.
func (r *Registry) listTags(ctx context.Context, name, last string, page int, do func(tag string) error) error {
	ctx, repo, err := r.repository(ctx, name, call{})
	if err != nil {
		return err
	}
	repo.TagListPageSize = page
	err = repo.Tags(ctx, last, func(tags []string) error {
		for _, tag := range tags {
			if err := do(tag); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil || errors.Is(err, errStop) || errors.Is(err, registry.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("tags of %s: %w", name, explain(err, registry.ErrUnavailable))
}
