package embedded

import (
	"strings"
)

// endpoint is a kind of address below /v2/ (OCI distribution spec 1.1, section
// "Endpoints").
type endpoint int

const (
	endpointNone endpoint = iota
	endpointPing
	endpointCatalog
	endpointTags
	endpointReferrers
	endpointManifest
	endpointBlob
	endpointUploads // where sessions begin
	endpointUpload  // a session
)

// target is what a path names. Neither field is validated.
type target struct {
	endpoint  endpoint
	repo      string
	reference string // tag, digest or session
}

// parsePath reads a path. One without a repository where there has to be one
// is none of the endpoints.
func parsePath(path string) target {
	rest, ok := strings.CutPrefix(path, "/v2/")
	switch {
	case path == "/v2" || ok && rest == "":
		return target{endpoint: endpointPing}
	case !ok:
		return target{}
	case rest == "_catalog":
		return target{endpoint: endpointCatalog}
	}
	t := parseRepositoryPath(rest)
	if t.repo == "" {
		return target{}
	}
	return t
}

// parseRepositoryPath reads from the end, because a repository's name may hold
// any of the words that the endpoints are made of.
func parseRepositoryPath(rest string) target {
	if repo, ok := strings.CutSuffix(strings.TrimSuffix(rest, "/"), "/blobs/uploads"); ok {
		return target{endpoint: endpointUploads, repo: repo}
	}
	before, reference := cutLast(rest)
	if repo, ok := strings.CutSuffix(before, "/blobs/uploads"); ok {
		return target{endpoint: endpointUpload, repo: repo, reference: reference}
	}
	repo, word := cutLast(before)
	t := target{repo: repo, reference: reference}
	switch {
	case word == "tags" && reference == "list":
		t.endpoint = endpointTags
	case word == "referrers":
		t.endpoint = endpointReferrers
	case word == "manifests":
		t.endpoint = endpointManifest
	case word == "blobs":
		t.endpoint = endpointBlob
	default:
		return target{}
	}
	return t
}

// cutLast splits at the last slash.
func cutLast(path string) (before, last string) {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return "", path
	}
	return path[:i], path[i+1:]
}
