// Package history reads what a ledger wrote, from the registry alone and by
// plain HTTP, and checks that it hangs together: it trusts no code that writes.
package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// Reader reads a registry by the pull and the listing part of the OCI
// distribution specification 1.1. Its methods may be called concurrently.
type Reader struct {
	host   string
	client *http.Client

	mu    sync.Mutex
	blobs map[digest.Digest][]byte // that were read: many artifacts share one
}

// New returns a reader of the registry at host:port, without TLS.
func New(host string) *Reader {
	return &Reader{
		host:   host,
		client: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: readers}},
		blobs:  map[digest.Digest][]byte{},
	}
}

// Close closes the reader's connections.
func (r *Reader) Close() { r.client.CloseIdleConnections() }

// maxBytes bounds one answer.
const maxBytes = 64 << 20

func (r *Reader) get(ctx context.Context, path string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.host+"/v2/"+path, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Header.Set("Accept", ocispec.MediaTypeImageManifest)
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBytes))
	switch {
	case err != nil:
		return nil, nil, fmt.Errorf("GET %s: %w", path, err)
	case resp.StatusCode == http.StatusNotFound:
		return nil, nil, fmt.Errorf("GET %s: %w", path, registry.ErrNotFound)
	case resp.StatusCode != http.StatusOK:
		return nil, nil, fmt.Errorf("GET %s: %s: %.300s", path, resp.Status, body)
	}
	return body, resp.Header, nil
}

// Manifest returns what a tag or a digest names, or registry.ErrNotFound.
func (r *Reader) Manifest(ctx context.Context, repo, reference string) (registry.Manifest, error) {
	body, header, err := r.get(ctx, repo+"/manifests/"+reference)
	if err != nil {
		return registry.Manifest{}, err
	}
	m := registry.NewManifest(header.Get("Content-Type"), body)
	if told := header.Get("Docker-Content-Digest"); told != m.Digest.String() {
		return m, fmt.Errorf("%s:%s has the digest %s, the registry says %s", repo, reference, m.Digest, told)
	}
	if want, err := digest.Parse(reference); err == nil && want != m.Digest {
		return m, fmt.Errorf("%s@%s has the digest %s", repo, reference, m.Digest)
	}
	return m, nil
}

// Artifact returns a manifest with its blobs, all of them verified.
func (r *Reader) Artifact(ctx context.Context, repo, reference string) (registry.Artifact, error) {
	m, err := r.Manifest(ctx, repo, reference)
	if err != nil {
		return registry.Artifact{}, err
	}
	content, err := m.Content()
	if err != nil {
		return registry.Artifact{}, err
	}
	a := registry.Artifact{Manifest: m}
	for _, d := range content.Blobs {
		data, err := r.blob(ctx, repo, d)
		if err != nil {
			return registry.Artifact{}, fmt.Errorf("%s:%s: %w", repo, reference, err)
		}
		a.Blobs = append(a.Blobs, registry.Blob{MediaType: d.MediaType, Digest: d.Digest, Data: data})
	}
	return a, nil
}

func (r *Reader) blob(ctx context.Context, repo string, d ocispec.Descriptor) ([]byte, error) {
	r.mu.Lock()
	data, known := r.blobs[d.Digest]
	r.mu.Unlock()
	if !known {
		var err error
		if data, _, err = r.get(ctx, repo+"/blobs/"+d.Digest.String()); err != nil {
			return nil, err
		}
		if err := registry.Verify(d.Digest, data); err != nil {
			return nil, err
		}
		r.mu.Lock()
		r.blobs[d.Digest] = data
		r.mu.Unlock()
	}
	if int64(len(data)) != d.Size {
		return nil, fmt.Errorf("blob %s has %d bytes, its manifest says %d", d.Digest, len(data), d.Size)
	}
	return data, nil
}

// Tags returns all tags of a repository, none if it does not exist.
func (r *Reader) Tags(ctx context.Context, repo string) ([]string, error) {
	const page = 500
	var all []string
	for last := ""; ; {
		body, _, err := r.get(ctx, fmt.Sprintf("%s/tags/list?n=%d&last=%s", repo, page, url.QueryEscape(last)))
		if errors.Is(err, registry.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		var list struct {
			Name string
			Tags []string
		}
		if err := json.Unmarshal(body, &list); err != nil || list.Name != repo {
			return nil, fmt.Errorf("tags of %s: %.300s (%v)", repo, body, err)
		}
		all = append(all, list.Tags...)
		if len(list.Tags) < page {
			return all, nil
		}
		last = all[len(all)-1]
	}
}
