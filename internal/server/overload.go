package server

import (
	"net/http"
	"strings"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/registry"
)

const (
	// heldTransferBytes bounds what uploads to the registry hold in memory.
	heldTransferBytes = 64 << 20
	// blobTransferBytes is what the upload of a blob holds, of whatever size.
	blobTransferBytes = 128 << 10
)

// limit answers requests that are too many at once with 503. Those that an
// operator needs then are always let through.
func (s *Server) limit(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := connectionOf(r)
		if !c.begin(urgent(r.URL.Path)) {
			tooMany().write(w)
			return
		}
		defer c.end()
		next.ServeHTTP(w, r)
	})
}

func urgent(path string) bool {
	switch path {
	case "/livez", "/readyz", "/healthz", "/metrics":
		return true
	}
	return false
}

// limitUploads answers uploads that would take too much memory with 503. One
// repository's leave room for another's.
func (s *Server) limitUploads(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		holder, size := upload(r)
		if size == 0 {
			next.ServeHTTP(w, r)
			return
		}
		if !s.uploads.take(holder, size) {
			overloaded("Too many uploads are under way; try again.").write(w)
			return
		}
		defer s.uploads.give(holder, size)
		next.ServeHTTP(w, r)
	})
}

// upload returns the repository and the memory of an upload; of a request
// without a body it is 0.
func upload(r *http.Request) (repository string, size int64) {
	if r.ContentLength == 0 {
		return "", 0
	}
	if repository, _, ok := strings.Cut(r.URL.Path, "/manifests/"); ok {
		if r.ContentLength < 0 || r.ContentLength > registry.MaxManifestBytes {
			return repository, registry.MaxManifestBytes
		}
		return repository, r.ContentLength
	}
	repository, _, _ = strings.Cut(r.URL.Path, "/blobs/")
	return repository, blobTransferBytes
}

func tooMany() *problem {
	return overloaded("The server answers too many requests at once; nothing changed, try again.")
}

func overloaded(detail string) *problem { return newProblem(api.CodeOverloaded, "%s", detail) }
