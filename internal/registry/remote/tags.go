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
// how many are wanted. So a whole page is always asked for, and when it is not
// in the order of bytes, or its order may depend on case, all tags are read
// and sorted here. What this cannot see is a registry that breaks the
// specification by another order of its own and yet starts where it is told
// to, or whose disorder begins after the pages that were needed.
func (r *Registry) Tags(ctx context.Context, repo, last string, n int) ([]string, error) {
	if n <= 0 {
		return nil, nil
	}
	var found []string
	previous, inOrder := last, strings.ToLower(last) == last
	err := r.listTags(ctx, repo, last, func(page []string) error {
		for _, tag := range page {
			inOrder = inOrder && tag > previous && strings.ToLower(tag) == tag
			previous = tag
			if !referrersTag.MatchString(tag) {
				found = append(found, tag)
			}
		}
		if !inOrder || len(found) >= n {
			return errStop
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !inOrder {
		if found, err = r.allTags(ctx, repo, last); err != nil {
			return nil, err
		}
	}
	return found[:min(n, len(found))], nil
}

// allTags reads all tags and returns those after last, sorted.
func (r *Registry) allTags(ctx context.Context, repo, last string) ([]string, error) {
	var found []string
	err := r.listTags(ctx, repo, "", func(page []string) error {
		for _, tag := range page {
			if tag > last && !referrersTag.MatchString(tag) {
				found = append(found, tag)
			}
		}
		return nil
	})
	slices.Sort(found)
	return slices.Compact(found), err
}

// listTags calls do with each page of tags, as the registry lists them, until
// do returns errStop. An unknown repository has none.
func (r *Registry) listTags(ctx context.Context, name, last string, do func(page []string) error) error {
	ctx, repo, err := r.repository(ctx, name, call{})
	if err != nil {
		return err
	}
	repo.TagListPageSize = tagPage
	err = repo.Tags(ctx, last, do)
	if err == nil || errors.Is(err, errStop) || errors.Is(err, registry.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("tags of %s: %w", name, explain(err, registry.ErrUnavailable))
}
