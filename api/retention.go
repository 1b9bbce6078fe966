package api

import "time"

// RetentionPolicy says what a namespace keeps of its history at least. The zero
// value keeps everything.
type RetentionPolicy struct {
	Revisions         int64 `json:"revisions" minimum:"0" maximum:"1000000" doc:"The newest revisions, and the newest versions of each live resource: 2 or more; 0 only if everything is kept."`
	Seconds           int64 `json:"seconds" minimum:"0" maximum:"3153600000" doc:"Whatever was in force within that time."`
	TombstonesSeconds int64 `json:"tombstonesSeconds" minimum:"0" maximum:"3153600000" doc:"Of a deleted resource, its tombstone and its newest versions, for that time after the deletion."`
}

// KeepsEverything reports whether the policy lets nothing go.
func (p RetentionPolicy) KeepsEverything() bool { return p == RetentionPolicy{} }

// Retention is the answer to GET and PUT …/retention.
type Retention struct {
	Namespace string           `json:"namespace"`
	Own       *RetentionPolicy `json:"own,omitempty" doc:"What was set for the namespace; absent if nothing is, then the server's default counts."`
	Effective RetentionPolicy  `json:"effective" doc:"What counts; all 0 keeps everything."`
}

// RetentionRequest is the body of PUT …/retention. All 0 means that the
// namespace has no policy of its own any more.
type RetentionRequest struct {
	Revisions         int64  `json:"revisions,omitempty" minimum:"0" maximum:"1000000" doc:"As in the answer; 0, with the others, means the server's default."`
	Seconds           int64  `json:"seconds,omitempty" minimum:"0" maximum:"3153600000" doc:"As in the answer."`
	TombstonesSeconds int64  `json:"tombstonesSeconds,omitempty" minimum:"0" maximum:"3153600000" doc:"As in the answer."`
	Reason            string `json:"reason,omitempty" maxLength:"1024" doc:"Why; it is kept in the commit record."`
}

// CollectionRequest is the body of POST …/gc.
type CollectionRequest struct {
	DryRun bool `json:"dryRun,omitempty" doc:"Say what would go and delete nothing."`
}

// CollectionState says how far a collection is.
type CollectionState string

// The states of a collection.
const (
	CollectionRunning CollectionState = "running"
	CollectionDone    CollectionState = "done"
	CollectionFailed  CollectionState = "failed" // it ended early; what it did is done
)

// Collection is what a collection of a namespace's history has done so far; in
// a dry run, what it would do.
type Collection struct {
	Namespace string          `json:"namespace"`
	DryRun    bool            `json:"dryRun"`
	State     CollectionState `json:"state" enum:"running,done,failed"`
	BeganAt   time.Time       `json:"beganAt"`
	EndedAt   *time.Time      `json:"endedAt,omitempty" doc:"Absent while it runs."`
	Policy    RetentionPolicy `json:"policy" doc:"What counted."`

	Thinned   int64 `json:"thinned" doc:"The last revision of which only the record is kept; 0 if there is none."`
	Revisions int   `json:"revisions" doc:"Revisions that were deleted."`
	Versions  int   `json:"versions" doc:"Versions of resources that were deleted, tombstones included."`
	Referrers int   `json:"referrers" doc:"Signatures, attestations and the like that went with them."`
	Bytes     int64 `json:"bytes" doc:"Of all these and of what they name; what several name counts for each, so it is the most that can become free."`
	InUse     int   `json:"inUse" doc:"Thinned revisions that stay because a cluster runs them."`

	Freed   *Freed             `json:"freed,omitempty" doc:"What the registry freed. Absent if it frees space by means of its own."`
	Problem *CollectionProblem `json:"problem,omitempty" doc:"Why it failed."`
}

// Freed is what a registry freed.
type Freed struct {
	Blobs int   `json:"blobs" doc:"Blobs that nothing named any more, whoever deleted it."`
	Bytes int64 `json:"bytes" doc:"Their content."`
}

// CollectionProblem is why a collection failed.
type CollectionProblem struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail"`
}
