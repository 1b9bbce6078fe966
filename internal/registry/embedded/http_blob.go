package embedded

import (
	"net/http"
	"time"

	"github.com/opencontainers/go-digest"
)

const octetStream = "application/octet-stream"

func (h *handler) getBlob(w http.ResponseWriter, r *http.Request, t target) error {
	d := digest.Digest(t.reference)
	if err := checkDigest(d); err != nil {
		return err
	}
	var b blob
	err := h.store.read(r.Context(), func() error {
		var err error
		if r.Method == http.MethodHead {
			b, err = h.store.confirm(t.repo, d)
		} else {
			b, err = h.store.openBlobOf(t.repo, d)
		}
		return err
	})
	if err != nil {
		return err
	}
	defer b.Close()
	w.Header().Set("Content-Type", octetStream)
	setDigest(w, d)
	http.ServeContent(w, r, "", time.Time{}, b)
	return nil
}

func (h *handler) deleteBlob(w http.ResponseWriter, r *http.Request, t target) error {
	d := digest.Digest(t.reference)
	if err := checkDigest(d); err != nil {
		return err
	}
	if err := h.store.deleteBlob(r.Context(), t.repo, d); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// created answers that a blob is in the repository.
func created(w http.ResponseWriter, repo string, d digest.Digest) {
	setDigest(w, d)
	w.Header().Set("Location", "/v2/"+repo+"/blobs/"+d.String())
	w.WriteHeader(http.StatusCreated)
}
