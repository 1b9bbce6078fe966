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
	for _, d := range append([]ocispec.Descriptor{m.Config}, m.Layers...) {
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
		if bytes.HasPrefix(blob.Body, []byte{0x1f, 0x8b}) { // gzip, RFC 1952
			if err := unpack(blob.Body); err != nil {
				return 0, fmt.Errorf("%s: blob %s: %w", repository, d.Digest, err)
			}
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
