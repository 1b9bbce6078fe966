package api

import "time"

// NamespaceState says whether a namespace can be written.
type NamespaceState string

// The states of a namespace.
const (
	NamespaceCreating NamespaceState = "creating" // its first write is not finished yet
	NamespaceActive   NamespaceState = "active"
	NamespaceDeleted  NamespaceState = "deleted" // refuses writes until it is restored
)

// Namespace is one shard: its resources are one catalog, which Flux pulls.
type Namespace struct {
	Name      string         `json:"name"`
	State     NamespaceState `json:"state" enum:"creating,active,deleted"`
	CreatedAt time.Time      `json:"createdAt"`
	Revision  Revision       `json:"revision" doc:"The present revision; number 0 unless the namespace is active."`
	Resources int            `json:"resources" doc:"How many resources are live."`
	Catalog   Catalog        `json:"catalog"`
	Problem   string         `json:"problem,omitempty" doc:"Why the namespace refuses writes. Absent when it does not."`
}

// Catalog says where Flux finds a namespace's catalog.
type Catalog struct {
	Registry   string `json:"registry" doc:"Host and port of the registry; empty when it is the server's own, at /v2/ of the address that the request was sent to."`
	Repository string `json:"repository" doc:"The OCI repository; the tag latest is the present revision."`
	Insecure   bool   `json:"insecure,omitempty" doc:"True when the registry is spoken to by plain HTTP."`
}

// NamespaceList is the answer to GET /api/v1/namespaces.
type NamespaceList struct {
	Namespaces []Namespace `json:"namespaces" nullable:"false" doc:"Sorted by name, deleted ones included."`
	Count      int         `json:"count"`
}
