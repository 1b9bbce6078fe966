// Package api holds the types that travel between the server and its clients
// as JSON. docs/api.md describes the endpoints that carry them. It imports
// nothing but the standard library.
//
// Times are RFC 3339 in UTC. Digests are those of OCI manifests, such as
// "sha256:…". Fields that are documented as absent are left out of the JSON.
package api
