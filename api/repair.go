package api

// RepairRequest is the body of POST …/repair.
type RepairRequest struct {
	Tags []RepairTag `json:"tags" minItems:"1" maxItems:"1000" nullable:"false" doc:"The tags that are said to be wrong, as gsq fsck finds them."`
}

// RepairTag is a tag that is said to be wrong.
type RepairTag struct {
	Resource string `json:"resource,omitempty" maxLength:"63" doc:"Whose tag it is; without it, the catalog's."`
	Tag      string `json:"tag" minLength:"1" maxLength:"128" doc:"Of a resource: latest, or a version; of the catalog: a revision, as r12."`
}

// RepairResult says what became of a tag.
type RepairResult string

// The results.
const (
	RepairDone    RepairResult = "repaired" // it was put
	RepairRight   RepairResult = "right"    // nothing was wrong with it
	RepairRefused RepairResult = "refused"  // Detail says why
)

// RepairedTag is a tag after a repair.
type RepairedTag struct {
	Resource string       `json:"resource,omitempty"`
	Tag      string       `json:"tag"`
	Result   RepairResult `json:"result" enum:"repaired,right,refused"`
	Digest   string       `json:"digest,omitempty" doc:"The manifest that the commit records say the tag names; absent if none does."`
	Detail   string       `json:"detail,omitempty" doc:"Why it was refused."`
}

// RepairResponse is the answer to POST …/repair.
type RepairResponse struct {
	Namespace string        `json:"namespace"`
	Tags      []RepairedTag `json:"tags" nullable:"false" doc:"In the order of the request."`
}
