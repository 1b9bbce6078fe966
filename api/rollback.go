package api

// ResourceRollback is the body of POST …/resources/{name}/rollback.
type ResourceRollback struct {
	To     string `json:"to" maxLength:"19" pattern:"^v[1-9][0-9]*$" patternDescription:"v and a number of microseconds" doc:"The version that the resource is to have again."`
	DryRun bool   `json:"dryRun,omitempty" doc:"Answer what would happen and write nothing."`
	Reason string `json:"reason,omitempty" maxLength:"1024" doc:"Why; it is kept in the commit record."`
}

// NamespaceRollback is the body of POST …/namespaces/{namespace}/rollback.
type NamespaceRollback struct {
	To      string `json:"to" minLength:"1" maxLength:"64" doc:"The revision (r12) or the moment (RFC 3339) whose content the namespace is to have again."`
	Confirm bool   `json:"confirm,omitempty" doc:"Do it although it deletes everything, or more than half of the resources."`
	DryRun  bool   `json:"dryRun,omitempty" doc:"Answer what would happen and write nothing."`
	Reason  string `json:"reason,omitempty" maxLength:"1024" doc:"Why; it is kept in the commit record."`
}

// RollbackChange is what a rollback did to one resource.
type RollbackChange struct {
	Name      string    `json:"name"`
	Operation Operation `json:"operation" enum:"rollback,unchanged"`
	Deleted   bool      `json:"deleted,omitempty" doc:"True: it did not exist then, so it is deleted."`
	Version   string    `json:"version,omitempty" doc:"The version that it has again, or still; of a deletion, the tombstone's. Absent for a deletion in a dry run."`
	Digest    string    `json:"digest,omitempty" doc:"The digest of that version's artifact."`
	Before    *Spec     `json:"before,omitempty" doc:"Absent when the resource did not exist."`
	After     *Spec     `json:"after,omitempty" doc:"Absent when it is deleted."`
}

// RollbackResponse is the answer to a rollback.
type RollbackResponse struct {
	Namespace  string           `json:"namespace"`
	Revision   Revision         `json:"revision" doc:"The revision that holds the result; the present one when nothing changed, or in a dry run."`
	DryRun     bool             `json:"dryRun" doc:"True: nothing was written."`
	Changes    []RollbackChange `json:"changes" nullable:"false" doc:"Sorted by name."`
	RolledBack int              `json:"rolledBack" doc:"How many resources changed."`
	Unchanged  int              `json:"unchanged" doc:"How many are what they were then."`
}
