package embedded

import (
	"net/http"
	"strings"
	"time"
)

// HandlerOptions of Store.Handler.
type HandlerOptions struct {
	// ReservedPrefix is the repository at and below which this handler refuses
	// every write, because only the ledger writes there. Empty means none.
	ReservedPrefix string
}

// ioTimeout is how long one piece of a body may take to arrive or to leave. A
// transfer of any length may go on while each piece keeps to it, whatever the
// server's own time-outs are.
const ioTimeout = 60 * time.Second

// handler serves the store over HTTP.
type handler struct {
	store    *Store
	reserved string
}

// Handler serves the OCI distribution API (spec 1.1: pull, push, content
// discovery, content management, and _catalog) at /v2/. A write is answered
// with success only when it is durable.
func (s *Store) Handler(o HandlerOptions) http.Handler {
	return &handler{store: s, reserved: strings.Trim(o.ReservedPrefix, "/")}
}

type action func(w http.ResponseWriter, r *http.Request, t target) error

// actions of an endpoint by method. HEAD is where GET is.
func (h *handler) actions(e endpoint) map[string]action {
	switch e {
	case endpointPing:
		return map[string]action{http.MethodGet: h.ping}
	case endpointCatalog:
		return map[string]action{http.MethodGet: h.listRepositories}
	case endpointTags:
		return map[string]action{http.MethodGet: h.listTags}
	case endpointReferrers:
		return map[string]action{http.MethodGet: h.listReferrers}
	case endpointManifest:
		return map[string]action{http.MethodGet: h.getManifest, http.MethodPut: h.putManifest, http.MethodDelete: h.deleteManifest}
	case endpointBlob:
		return map[string]action{http.MethodGet: h.getBlob, http.MethodDelete: h.deleteBlob}
	case endpointUploads:
		return map[string]action{http.MethodPost: h.beginUpload}
	case endpointUpload:
		return map[string]action{http.MethodGet: h.getUpload, http.MethodPatch: h.patchUpload, http.MethodPut: h.putUpload, http.MethodDelete: h.deleteUpload}
	}
	return nil
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w = &deadlineWriter{ResponseWriter: w, controller: http.NewResponseController(w)}
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	t := parsePath(r.URL.Path)
	if err := h.serve(w, r, t); err != nil {
		refused, notFound := codesOf(t.endpoint)
		h.answerProblem(w, r, problemOf(err, refused, notFound))
	}
}

func (h *handler) serve(w http.ResponseWriter, r *http.Request, t target) error {
	actions := h.actions(t.endpoint)
	if actions == nil {
		return problemf(http.StatusNotFound, codeUnsupported, "there is nothing at %s", r.URL.Path)
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	act := actions[method]
	if act == nil {
		var allowed []string
		for _, m := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			if actions[m] != nil || m == http.MethodHead && actions[http.MethodGet] != nil {
				allowed = append(allowed, m)
			}
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return problemf(http.StatusMethodNotAllowed, codeUnsupported, "%s is not possible here, only %s", r.Method, strings.Join(allowed, ", "))
	}
	if t.repo != "" || t.endpoint >= endpointTags {
		if err := checkRepository(t.repo); err != nil {
			return &problem{http.StatusBadRequest, codeNameInvalid, err}
		}
	}
	if method != http.MethodGet && h.isReserved(t.repo) {
		return problemf(http.StatusForbidden, codeDenied, "only the ledger writes to repository %s and all others at or below %s; use the API to change resources, or push to another repository", t.repo, h.reserved)
	}
	return act(w, r, t)
}

func (h *handler) isReserved(repo string) bool {
	return h.reserved != "" && (repo == h.reserved || strings.HasPrefix(repo, h.reserved+"/"))
}

// codesOf returns the error codes for what was refused, and for what was not
// found, at an endpoint.
func codesOf(e endpoint) (refused, notFound string) {
	switch e {
	case endpointManifest:
		return codeManifestInvalid, codeManifestUnknown
	case endpointBlob, endpointReferrers:
		return codeDigestInvalid, codeBlobUnknown
	case endpointUploads, endpointUpload:
		return codeBlobUploadInvalid, codeBlobUploadUnknown
	}
	return codeNameInvalid, codeNameUnknown
}

func (h *handler) ping(w http.ResponseWriter, _ *http.Request, _ target) error {
	if err := h.store.ready(); err != nil {
		return err
	}
	answerJSON(w, http.StatusOK, "application/json", struct{}{})
	return nil
}

// ready returns why the store cannot serve, or nil.
func (s *Store) ready() error {
	s.life.RLock()
	defer s.life.RUnlock()
	return s.usable()
}

// deadlineWriter gives each piece of an answer its own time.
type deadlineWriter struct {
	http.ResponseWriter
	controller *http.ResponseController
}

func (w *deadlineWriter) WriteHeader(status int) {
	w.extend()
	w.ResponseWriter.WriteHeader(status)
}

func (w *deadlineWriter) Write(p []byte) (int, error) {
	w.extend()
	return w.ResponseWriter.Write(p)
}

// extend has no effect on a writer that knows no deadlines.
func (w *deadlineWriter) extend() {
	_ = w.controller.SetWriteDeadline(time.Now().Add(ioTimeout))
}

// Unwrap is for http.ResponseController.
func (w *deadlineWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
