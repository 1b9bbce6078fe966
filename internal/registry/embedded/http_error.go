package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"gitops-squared.io/gsq/internal/registry"
)

// Error codes of the OCI distribution spec 1.1, section "Error Codes".
const (
	codeBlobUnknown         = "BLOB_UNKNOWN"
	codeBlobUploadInvalid   = "BLOB_UPLOAD_INVALID"
	codeBlobUploadUnknown   = "BLOB_UPLOAD_UNKNOWN"
	codeDigestInvalid       = "DIGEST_INVALID"
	codeManifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN"
	codeManifestInvalid     = "MANIFEST_INVALID"
	codeManifestUnknown     = "MANIFEST_UNKNOWN"
	codeNameInvalid         = "NAME_INVALID"
	codeNameUnknown         = "NAME_UNKNOWN"
	codeSizeInvalid         = "SIZE_INVALID"
	codeDenied              = "DENIED"
	codeUnsupported         = "UNSUPPORTED"
	codeTooManyRequests     = "TOOMANYREQUESTS"

	// Ours, for answers of the 5xx class, which the specification leaves open.
	codeUnavailable = "UNAVAILABLE"
	codeCorrupt     = "CORRUPT"
)

// problem is an error with its answer.
type problem struct {
	status int
	code   string
	err    error
}

func (p *problem) Error() string { return p.err.Error() }
func (p *problem) Unwrap() error { return p.err }

func problemf(status int, code, format string, args ...any) *problem {
	return &problem{status: status, code: code, err: fmt.Errorf(format, args...)}
}

// problemOf gives an error its answer; refused and notFound are the codes for
// those two kinds, which depend on what was asked for.
func problemOf(err error, refused, notFound string) *problem {
	var p *problem
	var missing *MissingError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &missing):
		return &problem{http.StatusNotFound, codeManifestBlobUnknown, err}
	case errors.Is(err, errDigestMismatch):
		return &problem{http.StatusBadRequest, codeDigestInvalid, err}
	case errors.Is(err, errTooManyUploads):
		return &problem{http.StatusTooManyRequests, codeTooManyRequests, err}
	case errors.Is(err, errNoUpload):
		return &problem{http.StatusNotFound, codeBlobUploadUnknown, err}
	case errors.Is(err, errUploadBusy):
		return &problem{http.StatusConflict, codeBlobUploadInvalid, err}
	case errors.Is(err, registry.ErrTooLarge):
		return &problem{http.StatusRequestEntityTooLarge, codeSizeInvalid, err}
	case errors.Is(err, registry.ErrNotFound):
		return &problem{http.StatusNotFound, notFound, err}
	case errors.Is(err, registry.ErrRefused):
		return &problem{http.StatusBadRequest, refused, err}
	case errors.Is(err, registry.ErrUnavailable), errors.Is(err, registry.ErrUnreachable), errors.Is(err, registry.ErrNoSpace):
		return &problem{http.StatusServiceUnavailable, codeUnavailable, err}
	}
	return &problem{http.StatusInternalServerError, codeCorrupt, err}
}

// retryAfter is what clients are asked to wait, in seconds.
const retryAfter = "5"

// answerProblem writes a problem in the specification's form.
func (h *handler) answerProblem(w http.ResponseWriter, r *http.Request, p *problem) {
	if p.status >= http.StatusInternalServerError && r.Context().Err() == nil { // else the client is gone
		h.store.log.ErrorContext(r.Context(), "embedded registry: request failed", "method", r.Method, "path", r.URL.Path, "status", p.status, "error", p.Error())
	}
	if p.status == http.StatusTooManyRequests || p.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	type entry struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Detail  any    `json:"detail,omitempty"`
	}
	var entries []entry
	var missing *MissingError
	if errors.As(p.err, &missing) {
		for _, d := range missing.Digests {
			entries = append(entries, entry{p.code, "the repository does not have " + d.String() + "; push it first", map[string]string{"digest": d.String()}})
		}
	} else {
		entries = []entry{{Code: p.code, Message: p.err.Error()}}
	}
	answerJSON(w, p.status, "application/json", map[string]any{"errors": entries})
}

func answerJSON(w http.ResponseWriter, status int, mediaType string, body any) {
	data, err := json.Marshal(body)
	if err != nil { // nothing here holds what JSON cannot
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	w.Write(data) // the client is gone if that fails
}
