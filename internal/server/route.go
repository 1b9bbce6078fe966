package server

import (
	"net/http"
	"strings"

	"gitops-squared.io/gsq/api"
)

// route hands a request to what is registered for its path, and answers paths
// and methods that are not with a problem.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	unmatched, pattern := s.mux.Handler(r)
	if pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	// The mux answers 404, or 405 with the header Allow. Only its verdict is
	// of interest.
	verdict := &verdictWriter{header: http.Header{}}
	unmatched.ServeHTTP(verdict, r)
	if verdict.status == http.StatusMethodNotAllowed {
		allowed := verdict.header.Get("Allow")
		w.Header().Set("Allow", allowed)
		newProblem(api.CodeMethodNotAllowed, "%s does not have the method %s; it has %s.", excerpt(r.URL.Path), excerpt(r.Method), allowed).write(w)
		return
	}
	detail := "There is nothing at %s; /docs lists what there is."
	if strings.HasPrefix(r.URL.Path, "/v2/") {
		detail = "There is no registry at %s: this server uses an external one."
	}
	newProblem(api.CodeRouteNotFound, detail, excerpt(r.URL.Path)).write(w)
}

// verdictWriter keeps what a handler answers, but for the body.
type verdictWriter struct {
	header http.Header
	status int
}

func (v *verdictWriter) Header() http.Header         { return v.header }
func (v *verdictWriter) WriteHeader(status int)      { v.status = status }
func (v *verdictWriter) Write(p []byte) (int, error) { return len(p), nil }
