package embedded

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/cockroachdb/pebble/v2"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// pageLimit bounds the entries of one page; a Link header leads to the next.
const pageLimit = 10_000

func (h *handler) listTags(w http.ResponseWriter, r *http.Request, t target) error {
	n, err := parseCount(r, pageLimit)
	if err != nil {
		return err
	}
	there, err := h.store.hasRepository(r.Context(), t.repo)
	if err != nil {
		return err
	}
	if !there {
		return problemf(http.StatusNotFound, codeNameUnknown, "there is no repository %s", t.repo)
	}
	// One more than asked for tells whether there is another page.
	tags, err := h.store.Tags(r.Context(), t.repo, r.URL.Query().Get("last"), n+1)
	if err != nil {
		return err
	}
	tags = page(w, r, tags, n)
	answerJSON(w, http.StatusOK, "application/json", struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}{t.repo, tags})
	return nil
}

func (h *handler) listRepositories(w http.ResponseWriter, r *http.Request, _ target) error {
	n, err := parseCount(r, pageLimit)
	if err != nil {
		return err
	}
	names, err := h.store.repositories(r.Context(), r.URL.Query().Get("last"), n+1)
	if err != nil {
		return err
	}
	names = page(w, r, names, n)
	answerJSON(w, http.StatusOK, "application/json", struct {
		Repositories []string `json:"repositories"`
	}{names})
	return nil
}

// page cuts entries to n, of which one more may be there, and links to the
// next page if so.
func page(w http.ResponseWriter, r *http.Request, entries []string, n int) []string {
	if len(entries) <= n {
		return append([]string{}, entries...) // never null
	}
	if n > 0 {
		linkNext(w, r, url.Values{"n": {strconv.Itoa(n)}, "last": {entries[n-1]}})
	}
	return entries[:n]
}

func linkNext(w http.ResponseWriter, r *http.Request, query url.Values) {
	next := url.URL{Path: r.URL.Path, RawQuery: query.Encode()}
	w.Header().Set("Link", "<"+next.String()+`>; rel="next"`)
}

func (h *handler) listReferrers(w http.ResponseWriter, r *http.Request, t target) error {
	query := r.URL.Query()
	artifactType := query.Get("artifactType")
	page, more, err := h.store.referrersAfter(r.Context(), t.repo, digest.Digest(t.reference), artifactType, digest.Digest(query.Get("last")))
	if err != nil {
		return err
	}
	if artifactType != "" {
		w.Header().Set("OCI-Filters-Applied", "artifactType")
	}
	if more {
		next := url.Values{"last": {page[len(page)-1].Digest.String()}}
		if artifactType != "" {
			next.Set("artifactType", artifactType)
		}
		linkNext(w, r, next)
	}
	answerJSON(w, http.StatusOK, ocispec.MediaTypeImageIndex, ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2},
		MediaType: ocispec.MediaTypeImageIndex,
		Manifests: append([]ocispec.Descriptor{}, page...), // never null
	})
	return nil
}

// hasRepository reports whether a repository has a manifest.
func (s *Store) hasRepository(ctx context.Context, repo string) (bool, error) {
	names, err := s.repositoriesFrom(ctx, repoKey(kindManifest, repo), 1)
	return len(names) == 1 && names[0] == repo, err
}

// repositories returns at most n names of repositories that have manifests and
// sort after last, in order.
func (s *Store) repositories(ctx context.Context, last string, n int) ([]string, error) {
	from := []byte{kindManifest}
	if last != "" {
		from = after(repoKey(kindManifest, last))
	}
	return s.repositoriesFrom(ctx, from, n)
}

// repositoriesFrom reads one key a repository.
func (s *Store) repositoriesFrom(ctx context.Context, from []byte, n int) ([]string, error) {
	var names []string
	err := s.read(ctx, func() error {
		it, err := s.db.NewIterWithContext(ctx, &pebble.IterOptions{LowerBound: from, UpperBound: []byte{kindManifest + 1}})
		if err != nil {
			return readError(err)
		}
		for valid := it.First(); valid && len(names) < n; {
			var name string
			if name, err = repoOf(it.Key()); err != nil {
				break
			}
			names = append(names, name)
			valid = it.SeekGE(after(repoKey(kindManifest, name)))
		}
		if err != nil {
			err = fmt.Errorf("%w: %w", registry.ErrCorrupt, err)
		}
		if reading := errors.Join(it.Error(), it.Close()); reading != nil {
			err = errors.Join(err, readError(reading))
		}
		return err
	})
	return names, err
}
