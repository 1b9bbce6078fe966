package embedded

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// maxTagParameters bounds the tags that one push of a manifest sets.
const maxTagParameters = 100

func (h *handler) getManifest(w http.ResponseWriter, r *http.Request, t target) error {
	if isDigest(t.reference) {
		if err := checkDigest(digest.Digest(t.reference)); err != nil {
			return &problem{http.StatusBadRequest, codeDigestInvalid, err}
		}
	} else if err := checkTag(t.reference); err != nil {
		return &problem{http.StatusNotFound, codeManifestUnknown, err} // no such tag can exist
	}
	var m registry.Manifest
	err := h.store.read(r.Context(), func() error {
		var err error
		m, err = h.store.manifest(t.repo, t.reference)
		return err
	})
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", m.MediaType)
	setDigest(w, m.Digest)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(m.Data))
	return nil
}

// setDigest sets the headers by which a client names what it gets.
func setDigest(w http.ResponseWriter, d digest.Digest) {
	w.Header().Set("Docker-Content-Digest", d.String())
	w.Header().Set("ETag", `"`+d.String()+`"`)
}

func (h *handler) putManifest(w http.ResponseWriter, r *http.Request, t target) error {
	tags, err := tagsOf(r, t.reference)
	if err != nil {
		return err
	}
	data, err := readBody(w, r, registry.MaxManifestBytes)
	if err != nil {
		return err
	}
	mediaType, err := manifestType(r.Header.Get("Content-Type"), data)
	if err != nil {
		return err
	}
	m := registry.NewManifest(mediaType, data)
	if isDigest(t.reference) {
		m.Digest = digest.Digest(t.reference)
		if err := verify(m.Digest, data); err != nil {
			return &problem{http.StatusBadRequest, codeDigestInvalid, err}
		}
	}
	c, err := parseManifest(m.MediaType, m.Data)
	if err != nil {
		return err
	}
	if err := h.store.putManifest(r.Context(), t.repo, m, c, tags); err != nil {
		return err
	}
	if c.subject != nil {
		w.Header().Set("OCI-Subject", c.subject.Digest.String())
	}
	if isDigest(t.reference) {
		for _, tag := range tags {
			w.Header().Add("OCI-Tag", tag)
		}
	}
	setDigest(w, m.Digest)
	w.Header().Set("Location", "/v2/"+t.repo+"/manifests/"+m.Digest.String())
	w.WriteHeader(http.StatusCreated)
	return nil
}

// tagsOf returns the tags that a push of a manifest sets: the one in its path,
// or those in its query.
func tagsOf(r *http.Request, reference string) ([]string, error) {
	tags := r.URL.Query()["tag"]
	if !isDigest(reference) {
		if len(tags) > 0 {
			return nil, problemf(http.StatusBadRequest, codeUnsupported, "the parameter tag is for pushes by digest")
		}
		tags = []string{reference}
	} else if err := checkDigest(digest.Digest(reference)); err != nil {
		return nil, &problem{http.StatusBadRequest, codeDigestInvalid, err}
	}
	if len(tags) > maxTagParameters {
		return nil, problemf(http.StatusRequestURITooLong, codeUnsupported, "%d tags in one request, at most %d are allowed", len(tags), maxTagParameters)
	}
	for _, tag := range tags {
		if err := checkTag(tag); err != nil {
			return nil, &problem{http.StatusBadRequest, codeManifestInvalid, err}
		}
	}
	return tags, nil
}

// manifestType returns the media type of a pushed manifest: that of the
// header, without parameters, or the manifest's own if there is no header.
func manifestType(header string, data []byte) (string, error) {
	if header == "" {
		return declaredType(data), nil
	}
	mediaType, _, err := mime.ParseMediaType(header)
	if err != nil {
		return "", problemf(http.StatusBadRequest, codeManifestInvalid, "Content-Type %q: %w", header, err)
	}
	return strings.TrimSpace(mediaType), nil
}

func (h *handler) deleteManifest(w http.ResponseWriter, r *http.Request, t target) error {
	var err error
	switch {
	case !isDigest(t.reference):
		if err := checkTag(t.reference); err != nil {
			return &problem{http.StatusNotFound, codeManifestUnknown, err}
		}
		err = h.store.deleteTag(r.Context(), t.repo, t.reference)
	case checkDigest(digest.Digest(t.reference)) != nil:
		return &problem{http.StatusBadRequest, codeDigestInvalid, checkDigest(digest.Digest(t.reference))}
	default:
		err = h.store.Delete(r.Context(), t.repo, digest.Digest(t.reference))
	}
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}
