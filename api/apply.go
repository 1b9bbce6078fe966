package api

// ApplyRequest is the body of POST …/apply: all of it happens in one revision,
// or none of it. A name may occur once, in Resources or in Deletes.
type ApplyRequest struct {
	Resources []ApplyResource `json:"resources" nullable:"false" doc:"What is wanted. With prune=true, everything else in the namespace is deleted."`
	Deletes   []string        `json:"deletes,omitempty" nullable:"false" doc:"Names of resources to delete."`
	Reason    string          `json:"reason,omitempty" maxLength:"1024" doc:"Why; it is kept in the commit record."`
}

// ApplyResource is one resource of an ApplyRequest, with its preconditions.
type ApplyResource struct {
	Name        string `json:"name" maxLength:"63" pattern:"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$" patternDescription:"a DNS-1123 label: lower case letters, digits and '-', beginning and ending with a letter or digit" doc:"The resource's name in its namespace."`
	Spec        Spec   `json:"spec" doc:"What is wanted."`
	IfMatch     string `json:"ifMatch,omitempty" maxLength:"140" doc:"The digest that the resource must have now, or * when it must exist."`
	IfNoneMatch string `json:"ifNoneMatch,omitempty" enum:"*" doc:"*: the resource must not exist."`
}

// Operation is what a write did, or in a dry run would do, to a resource.
type Operation string

// The operations.
const (
	Created   Operation = "create"
	Updated   Operation = "update"
	Deleted   Operation = "delete"
	Unchanged Operation = "unchanged"
)

// Change is what happened to one resource.
type Change struct {
	Name      string    `json:"name"`
	Operation Operation `json:"operation" enum:"create,update,delete,unchanged"`
	Version   string    `json:"version,omitempty" doc:"The version that was made (of the tombstone, for a delete), or that stays. Absent for what a dry run would change."`
	Digest    string    `json:"digest,omitempty" doc:"The digest of that version's artifact. Absent for what a dry run would change."`
	Before    *Spec     `json:"before,omitempty" doc:"Absent when the resource did not exist."`
	After     *Spec     `json:"after,omitempty" doc:"Absent when the resource is deleted."`
}

// ApplyResponse is the answer to POST …/apply.
type ApplyResponse struct {
	Namespace string   `json:"namespace"`
	Revision  Revision `json:"revision" doc:"The revision that holds the result; the present one when nothing changed, or in a dry run."`
	DryRun    bool     `json:"dryRun" doc:"True: nothing was written."`
	Changes   []Change `json:"changes" nullable:"false" doc:"Sorted by name."`
	Created   int      `json:"created"`
	Updated   int      `json:"updated"`
	Deleted   int      `json:"deleted"`
	Unchanged int      `json:"unchanged"`
}
