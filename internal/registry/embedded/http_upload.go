package embedded

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/opencontainers/go-digest"
)

// beginUpload mounts a blob, takes a whole one, or opens a session.
func (h *handler) beginUpload(w http.ResponseWriter, r *http.Request, t target) error {
	query := r.URL.Query()
	if query.Has("mount") {
		d, err := digestParameter(r, "mount")
		if err != nil {
			return err
		}
		mounted, err := h.store.mount(r.Context(), query.Get("from"), t.repo, d)
		if err != nil {
			return err
		}
		if mounted {
			created(w, t.repo, d)
			return nil
		}
	} else if query.Has("digest") {
		return h.takeWhole(w, r, t.repo)
	}
	algorithm := digest.SHA256
	if query.Has("digest-algorithm") {
		algorithm = digest.Algorithm(query.Get("digest-algorithm"))
		if algorithm != digest.SHA256 && algorithm != digest.SHA512 {
			return problemf(http.StatusBadRequest, codeDigestInvalid, "the digest algorithm must be sha256 or sha512, not %q", string(algorithm))
		}
	}
	u, err := h.store.beginUpload(t.repo, algorithm)
	if err != nil {
		return err
	}
	defer h.store.release(u)
	h.locate(w, u)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// takeWhole takes a blob from the body of the request that announces it.
func (h *handler) takeWhole(w http.ResponseWriter, r *http.Request, repo string) error {
	d, err := digestParameter(r, "digest")
	if err != nil {
		return err
	}
	u, err := h.store.beginUpload(repo, d.Algorithm())
	if err != nil {
		return err
	}
	defer h.store.release(u)
	defer h.store.end(u)
	if err := receive(w, r, u.spool, r.ContentLength, h.store.options.MaxUploadBytes); err != nil {
		return bodyProblem(err)
	}
	if err := u.spool.store(r.Context(), repo, d); err != nil {
		return err
	}
	created(w, repo, d)
	return nil
}

// getUpload answers how much of the blob is there.
func (h *handler) getUpload(w http.ResponseWriter, _ *http.Request, t target) error {
	u, err := h.store.holdUpload(t.repo, t.reference)
	if err != nil {
		return err
	}
	defer h.store.release(u)
	h.locate(w, u)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// patchUpload appends a chunk.
func (h *handler) patchUpload(w http.ResponseWriter, r *http.Request, t target) error {
	u, err := h.store.holdUpload(t.repo, t.reference)
	if err != nil {
		return err
	}
	defer h.store.release(u)
	if err := h.appendChunk(w, r, u); err != nil {
		return err
	}
	h.locate(w, u)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// putUpload appends the last chunk, if there is one, and closes the session.
// One whose content has another digest ends.
func (h *handler) putUpload(w http.ResponseWriter, r *http.Request, t target) error {
	u, err := h.store.holdUpload(t.repo, t.reference)
	if err != nil {
		return err
	}
	defer h.store.release(u)
	d, err := digestParameter(r, "digest")
	if err != nil {
		return err
	}
	if err := h.appendChunk(w, r, u); err != nil {
		return err
	}
	defer h.store.end(u)
	if err := u.spool.store(r.Context(), t.repo, d); err != nil {
		return err
	}
	created(w, t.repo, d)
	return nil
}

// deleteUpload cancels a session.
func (h *handler) deleteUpload(w http.ResponseWriter, _ *http.Request, t target) error {
	u, err := h.store.holdUpload(t.repo, t.reference)
	if err != nil {
		return err
	}
	defer h.store.release(u)
	h.store.end(u)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// appendChunk appends a request's body to a held session. A chunk at another
// place than the end is 416 and changes nothing. A body that breaks off leaves
// the session with what came of it; one that breaks the rules ends it.
func (h *handler) appendChunk(w http.ResponseWriter, r *http.Request, u *upload) error {
	expected := r.ContentLength
	if header := r.Header.Get("Content-Range"); header != "" {
		first, length, err := parseContentRange(header)
		if err != nil {
			return err
		}
		if first != u.spool.size {
			h.locate(w, u)
			return problemf(http.StatusRequestedRangeNotSatisfiable, codeBlobUploadInvalid, "the chunk begins at byte %d, but the upload has %d bytes; go on from there", first, u.spool.size)
		}
		if expected >= 0 && expected != length {
			return problemf(http.StatusBadRequest, codeSizeInvalid, "Content-Range %q names %d bytes, Content-Length says %d", header, length, expected)
		}
		expected = length
	}
	err := receive(w, r, u.spool, expected, h.store.options.MaxUploadBytes)
	if err != nil && !errors.Is(err, errBodyEnded) {
		h.store.end(u)
	}
	return bodyProblem(err)
}

// locate tells where a session goes on and how much it has. Nothing yet is
// shown as 0-0, as clients expect it.
func (h *handler) locate(w http.ResponseWriter, u *upload) {
	w.Header().Set("Location", "/v2/"+u.repo+"/blobs/uploads/"+u.id)
	w.Header().Set("Range", "0-"+strconv.FormatInt(max(u.spool.size-1, 0), 10))
	w.Header().Set("Docker-Upload-UUID", u.id)
}

func digestParameter(r *http.Request, name string) (digest.Digest, error) {
	d := digest.Digest(r.URL.Query().Get(name))
	if err := checkDigest(d); err != nil {
		return "", problemf(http.StatusBadRequest, codeDigestInvalid, "parameter %s: %w", name, err)
	}
	return d, nil
}

// bodyProblem gives a body that broke off its answer.
func bodyProblem(err error) error {
	if errors.Is(err, errBodyEnded) {
		return &problem{http.StatusBadRequest, codeSizeInvalid, err}
	}
	return err
}
