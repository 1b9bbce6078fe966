package drive

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// ManifestRequest reads a manifest by its tag or digest.
func (r Registry) ManifestRequest(repository, reference string) Request {
	return Request{
		Method: http.MethodGet, URL: r.URL + "/v2/" + repository + "/manifests/" + reference,
		Accept: ocispec.MediaTypeImageManifest,
	}
}

// Pull reads the manifest that a tag names, its config and its layers, compares
// each with its digest, and unpacks layers that are archives. It returns how
// many bytes it received.
func (r Registry) Pull(ctx context.Context, repository, tag string) (int64, error) {
	return r.pull(ctx, repository, tag, func(config bool, blob []byte) error {
		if config || !bytes.HasPrefix(blob, []byte{0x1f, 0x8b}) { // gzip, RFC 1952
			return nil
		}
		return unpack(blob)
	})
}

// Read is Pull without unpacking anything.
func (r Registry) Read(ctx context.Context, repository, tag string) (int64, error) {
	return r.pull(ctx, repository, tag, func(bool, []byte) error { return nil })
}

// ReadRecord reads the manifest that a tag names and its config, not its layers.
func (r Registry) ReadRecord(ctx context.Context, repository, tag string) error {
	_, err := r.pull(ctx, repository, tag, func(config bool, _ []byte) error {
		if config {
			return errEnough
		}
		return nil
	})
	return err
}

// errEnough ends a pull early.
var errEnough = errors.New("enough was read")

// pull reads a manifest and its blobs, the config first; each is shown to see.
func (r Registry) pull(ctx context.Context, repository, tag string, see func(config bool, blob []byte) error) (int64, error) {
	a, err := r.Send(ctx, r.ManifestRequest(repository, tag), http.StatusOK)
	if err != nil {
		return 0, err
	}
	if want := a.Header.Get("Docker-Content-Digest"); digest.FromBytes(a.Body).String() != want {
		return 0, fmt.Errorf("%s:%s: the manifest is not %s", repository, tag, want)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(a.Body, &m); err != nil {
		return 0, fmt.Errorf("%s:%s: %w", repository, tag, err)
	}
	received := int64(len(a.Body))
	for i, d := range append([]ocispec.Descriptor{m.Config}, m.Layers...) {
		blob, err := r.Send(ctx, Request{
			Method: http.MethodGet, URL: r.URL + "/v2/" + repository + "/blobs/" + d.Digest.String(),
		}, http.StatusOK)
		if err != nil {
			return 0, err
		}
		if digest.FromBytes(blob.Body) != d.Digest {
			return 0, fmt.Errorf("%s: the blob is not %s", repository, d.Digest)
		}
		received += int64(len(blob.Body))
		switch err := see(i == 0, blob.Body); {
		case errors.Is(err, errEnough):
			return received, nil
		case err != nil:
			return 0, fmt.Errorf("%s: blob %s: %w", repository, d.Digest, err)
		}
	}
	return received, nil
}

// unpack reads every file of an archive.
func unpack(data []byte) error {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	files := tar.NewReader(z)
	for {
		_, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := io.ReadAll(files); err != nil {
			return err
		}
	}
}

// Tags returns all tags of a repository.
func (r Registry) Tags(ctx context.Context, repository string) ([]string, error) {
	var all []string
	for last := ""; ; last = all[len(all)-1] {
		const page = 1000
		a, err := r.Send(ctx, Request{
			Method: http.MethodGet, URL: fmt.Sprintf("%s/v2/%s/tags/list?n=%d&last=%s", r.URL, repository, page, last),
		}, http.StatusOK)
		if err != nil {
			return nil, err
		}
		var list struct {
			Tags []string `json:"tags"`
		}
		if err := json.Unmarshal(a.Body, &list); err != nil {
			return nil, fmt.Errorf("tags of %s: %w", repository, err)
		}
		if all = append(all, list.Tags...); len(list.Tags) < page {
			return all, nil
		}
	}
}
