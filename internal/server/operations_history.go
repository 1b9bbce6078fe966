package server

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

const tagHistory = "History"

// addHistory registers the operations that read what was.
func (s *Server) addHistory(a huma.API) {
	const (
		space = "/api/v1/namespaces/{namespace}"
		one   = space + "/resources/{name}"
	)
	reads := []int{http.StatusNotFound, http.StatusConflict, http.StatusGone, http.StatusBadGateway}
	conditional := append([]int{http.StatusPreconditionFailed}, reads...)
	o := s.operation(a, tagHistory)
	get := func(path, id, summary string, errs []int) huma.Operation {
		return o(http.MethodGet, path, id, summary, http.StatusOK, errs)
	}
	huma.Register(a, get(one+"/versions", "list-versions", "List the history of a resource", reads), s.versions)
	huma.Register(a, get(one+"/versions/{version}", "get-version", "Read a version of a resource", conditional), s.version)
	huma.Register(a, get(one+"/diff", "diff-versions", "Compare two versions of a resource", reads), s.diffVersions)
	huma.Register(a, get(space+"/revisions", "list-revisions", "List the history of a namespace", reads), s.revisions)
	huma.Register(a, get(space+"/revisions/{revision}", "get-revision", "Read what a revision changed", conditional), s.revision)
	huma.Register(a, get(space+"/diff", "diff-revisions", "Compare two revisions of a namespace", reads), s.diffRevisions)
}
