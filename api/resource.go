package api

import "time"

// DefaultNamespace is the namespace of the paths that name none. It always
// exists for readers: before its first write it is empty.
const DefaultNamespace = "default"

// Spec is what is wanted. Its rules are those of the PlatformResource custom
// resource definition; a server publishes them in /openapi.json.
type Spec struct {
	Type     string `json:"type"`
	Size     string `json:"size"`
	Region   string `json:"region,omitempty"`
	Replicas int    `json:"replicas,omitempty"` // 0, which JSON leaves out, means the default
}

// ResourceRequest is the body of POST …/resources: the resource is created, or
// updated when it exists.
type ResourceRequest struct {
	Name   string `json:"name" maxLength:"63" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" patternDescription:"a DNS-1123 label: lower case letters, digits and '-', beginning and ending with a letter or digit" doc:"The resource's name in its namespace."`
	Spec   Spec   `json:"spec" doc:"What is wanted."`
	Reason string `json:"reason,omitempty" maxLength:"1024" doc:"Why; it is kept in the commit record."`
}

// ResourcePut is the body of PUT …/resources/{name}.
type ResourcePut struct {
	Name   string `json:"name,omitempty" doc:"If it is there, it must be the name in the path."`
	Spec   Spec   `json:"spec" doc:"What is wanted."`
	Reason string `json:"reason,omitempty" maxLength:"1024" doc:"Why; it is kept in the commit record."`
}

// Resource is a live resource, or the answer to its creation or update.
type Resource struct {
	Name       string    `json:"name"`
	Namespace  string    `json:"namespace"`
	Version    string    `json:"version" doc:"The tag of this version's artifact, v and Unix microseconds."`
	Digest     string    `json:"digest" doc:"The digest of this version's artifact; quoted, it is the ETag."`
	Repository string    `json:"repository" doc:"The OCI repository that holds every version of the resource."`
	Spec       Spec      `json:"spec"`
	CreatedAt  time.Time `json:"createdAt"`
	UpdatedAt  time.Time `json:"updatedAt"`
	Revision   *Revision `json:"revision,omitempty" doc:"The revision of the namespace's catalog that holds this answer. Absent in lists, which name it once."`
	Unchanged  bool      `json:"unchanged,omitempty" doc:"True when a write changed nothing: no version and no revision were made."`
}

// ResourceDeleted is the answer to DELETE …/resources/{name}.
type ResourceDeleted struct {
	Name       string   `json:"name"`
	Namespace  string   `json:"namespace"`
	Version    string   `json:"version" doc:"The version of the tombstone."`
	Digest     string   `json:"digest" doc:"The digest of the tombstone's artifact."`
	Repository string   `json:"repository"`
	Deleted    bool     `json:"deleted" doc:"Always true."`
	Revision   Revision `json:"revision"`
}

// ResourceList is the answer to GET …/resources: the whole list, or with limit
// one page of it.
type ResourceList struct {
	Resources []Resource `json:"resources" nullable:"false" doc:"Sorted by name."`
	Count     int        `json:"count" doc:"The number of all matches, on whatever page they are."`
	Revision  Revision   `json:"revision" doc:"The revision that every page of this list shows."`
	Continue  string     `json:"continue,omitempty" doc:"Passed back as the parameter continue, it gives the next page. Absent on the last one."`
}

// Revision names one commit of a namespace's catalog. Number 0 means that
// there is none yet.
type Revision struct {
	Number int64  `json:"number" doc:"0 while nothing was committed."`
	Digest string `json:"digest" doc:"The digest of the catalog's manifest; empty while nothing was committed."`
}
