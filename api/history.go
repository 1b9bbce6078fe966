package api

import "time"

// HeaderActor is the header of a write that says who asks. Until identities are
// verified it is the client's word.
const HeaderActor = "Gsq-Actor"

// Operations that only histories name, besides Created, Updated and Deleted.
const (
	RolledBack Operation = "rollback"  // it became again what it was before
	TakenOver  Operation = "take-over" // its first version, of a registry that was taken over
	Dropped    Operation = "drop"      // left out of a take-over, because it was not valid
)

// Origin says who made a change, and why.
type Origin struct {
	Actor         string `json:"actor,omitempty" doc:"Who asked for it. Absent when nobody said so."`
	ActorVerified bool   `json:"actorVerified" doc:"True when the actor is proven; false: it is the caller's word."`
	Reason        string `json:"reason,omitempty" doc:"Why, in the caller's words. Absent when none was given."`
}

// VersionRef names one version of a resource.
type VersionRef struct {
	Version string `json:"version"`
	Digest  string `json:"digest" doc:"The digest of the version's artifact."`
}

// VersionEntry is one entry of a resource's history: a revision that changed it.
type VersionEntry struct {
	Version   string    `json:"version,omitempty" doc:"The version that the resource has since: of a delete, the tombstone's. Absent for what a take-over dropped."`
	Digest    string    `json:"digest,omitempty" doc:"The digest of that version's artifact."`
	Time      time.Time `json:"time" doc:"When the revision was committed."`
	Operation Operation `json:"operation" enum:"create,update,delete,rollback,take-over,drop"`
	Deleted   bool      `json:"deleted" doc:"True when the resource does not exist since."`
	Current   bool      `json:"current" doc:"True when this version is what the resource is now."`
	Origin
	Revision Revision `json:"revision" doc:"The revision that made it so."`
}

// VersionList is the answer to GET …/resources/{name}/versions.
type VersionList struct {
	Versions []VersionEntry `json:"versions" nullable:"false" doc:"Newest first. A page can hold fewer than limit, or none, although there are more."`
	Continue string         `json:"continue,omitempty" doc:"Passed back as the parameter continue, it gives the next page. Absent at the end of the history."`
}

// StoredVersion is one version of a resource, as it was declared, with the
// revision that made it. It never changes.
type StoredVersion struct {
	Name       string     `json:"name"`
	Namespace  string     `json:"namespace"`
	Version    string     `json:"version"`
	Digest     string     `json:"digest" doc:"The digest of this version's artifact; quoted, it is the ETag."`
	Repository string     `json:"repository" doc:"The OCI repository that holds every version of the resource."`
	Deleted    bool       `json:"deleted,omitempty" doc:"True when it is a tombstone: the resource was deleted."`
	Spec       *Spec      `json:"spec,omitempty" doc:"Absent on a tombstone."`
	CreatedAt  *time.Time `json:"createdAt,omitempty" doc:"When the resource was created. Absent on a tombstone."`
	UpdatedAt  time.Time  `json:"updatedAt" doc:"When the version was declared, or the resource deleted."`
	Operation  Operation  `json:"operation" enum:"create,update,delete,rollback,take-over"`
	Origin
	Revision Revision `json:"revision" doc:"The revision that made the version."`
}

// DatedRevision is a Revision and its time.
type DatedRevision struct {
	Number int64     `json:"number"`
	Digest string    `json:"digest" doc:"The digest of the catalog's manifest."`
	Time   time.Time `json:"time" doc:"When it was committed."`
}

// CommitChange is what a revision did to one resource.
type CommitChange struct {
	Name      string      `json:"name"`
	Operation Operation   `json:"operation" enum:"create,update,delete,rollback,take-over,drop"`
	Before    *VersionRef `json:"before,omitempty" doc:"Absent when the resource did not exist."`
	After     *VersionRef `json:"after,omitempty" doc:"Of a delete, the tombstone. Absent for what a take-over dropped."`
	Origin
}

// Commit is what the history says of one revision.
type Commit struct {
	DatedRevision
	Parent     string         `json:"parent,omitempty" doc:"The digest of the revision before it. Absent on the first one."`
	Actors     []string       `json:"actors" nullable:"false" doc:"Who asked for its changes, each once, sorted."`
	Reasons    []string       `json:"reasons" nullable:"false" doc:"Why, each once, sorted."`
	Changes    []CommitChange `json:"changes" nullable:"false" doc:"Sorted by name."`
	Checkpoint *CheckpointRef `json:"checkpoint,omitempty" doc:"The last checkpoint of the history at that time. Absent when there was none."`
}

// CheckpointRef names a checkpoint, which keeps the history of revisions whose
// content is gone.
type CheckpointRef struct {
	Number int64  `json:"number" doc:"The last revision that it holds."`
	Digest string `json:"digest" doc:"The digest of the checkpoint's manifest."`
}

// CommitList is the answer to GET …/revisions.
type CommitList struct {
	Revisions []Commit `json:"revisions" nullable:"false" doc:"Newest first. A page can hold fewer than limit, although there are more."`
	Continue  string   `json:"continue,omitempty" doc:"Passed back as the parameter continue, it gives the next page. Absent at the end of the history."`
}

// FieldChange is one field that differs.
type FieldChange struct {
	Path string `json:"path" doc:"JSON pointer (RFC 6901) into the declaration, such as /spec/size."`
	From any    `json:"from,omitempty" doc:"The value before. Absent when there was none."`
	To   any    `json:"to,omitempty" doc:"The value after. Absent when there is none."`
}

// VersionDiff is the answer to GET …/resources/{name}/diff.
type VersionDiff struct {
	Name      string        `json:"name"`
	Namespace string        `json:"namespace"`
	From      DiffSide      `json:"from"`
	To        DiffSide      `json:"to"`
	Changes   []FieldChange `json:"changes" nullable:"false" doc:"The fields that differ, sorted by path."`
	Text      string        `json:"text" doc:"The declarations' difference in the unified format; empty when there is none."`
}

// DiffSide is one of the two versions that are compared.
type DiffSide struct {
	Version string `json:"version,omitempty" doc:"Absent when the resource does not exist now."`
	Digest  string `json:"digest,omitempty"`
	Deleted bool   `json:"deleted,omitempty" doc:"True: the resource does not exist there."`
}

// ResourceDiff is how one resource differs between two revisions.
type ResourceDiff struct {
	Name      string        `json:"name"`
	Operation Operation     `json:"operation" enum:"create,update,delete" doc:"What leads from the one to the other."`
	From      *VersionRef   `json:"from,omitempty" doc:"Absent when the resource did not exist."`
	To        *VersionRef   `json:"to,omitempty" doc:"Absent when it does not exist."`
	Changes   []FieldChange `json:"changes" nullable:"false" doc:"The fields that differ, sorted by path."`
}

// NamespaceDiff is the answer to GET …/namespaces/{namespace}/diff.
type NamespaceDiff struct {
	Namespace string         `json:"namespace"`
	From      DatedRevision  `json:"from"`
	To        DatedRevision  `json:"to"`
	Resources []ResourceDiff `json:"resources" nullable:"false" doc:"The resources that differ, sorted by name."`
	Created   int            `json:"created"`
	Updated   int            `json:"updated"`
	Deleted   int            `json:"deleted"`
	Text      string         `json:"text" doc:"The declarations' differences in the unified format; empty when there are none."`
}
