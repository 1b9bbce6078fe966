package ledger

import (
	"errors"
	"time"

	"gitops-squared.io/gsq/internal/registry"
)

// Observer is told what a ledger does. Its methods are called in the middle of
// writes, by many goroutines at once: they must not block.
type Observer interface {
	// Answered: a request that was no dry run was answered, took after Apply
	// was called. The code is empty if it succeeded, unchanged ones included.
	Answered(took time.Duration, code Code)

	// Committed: a batch of so many requests became a revision that changes
	// that many resources.
	Committed(requests, changes int)

	// Spent: a phase of a commit took that long, whatever came of it.
	Spent(p Phase, took time.Duration)

	// Collected: a collection that was no dry run has ended.
	Collected(c Collection)

	// Freed: the registry has freed space that nothing named any more.
	Freed(f registry.Freed)

	// Repaired: something was put right that a registry which answers would
	// not have left behind.
	Repaired(r Repair)
}

// Phase is a part of a commit.
type Phase string

// The phases, in their order. A request that has to join a second batch spends
// its wait anew; all other phases are those of the batch, and of the commits
// that create a namespace.
const (
	PhaseWait  Phase = "wait"  // from a request's arrival in the queue until its batch is formed
	PhaseBuild Phase = "build" // judging the batch, its manifests and its catalog
	PhasePush  Phase = "push"  // everything by digest
	PhaseCheck Phase = "check" // the claim, and the head
	PhaseOffer Phase = "offer" // putting latest: the commit point, repetitions included
	PhaseTags  Phase = "tags"  // revision and version tags
)

// Phases lists all phases in their order.
func Phases() []Phase {
	return []Phase{PhaseWait, PhaseBuild, PhasePush, PhaseCheck, PhaseOffer, PhaseTags}
}

// Repair is something that was put right.
type Repair string

// The repairs.
const (
	RepairPutForward Repair = "put-forward" // a late or lost write had put latest back
	RepairAdopted    Repair = "adopted"     // a commit of an earlier ledger became the head
	RepairRepeated   Repair = "repeated"    // an unconfirmed commit was looked for, to be offered again
	RepairTagged     Repair = "tagged"      // the head's revision tag was gone
)

// Repairs lists all repairs.
func Repairs() []Repair {
	return []Repair{RepairPutForward, RepairAdopted, RepairRepeated, RepairTagged}
}

// unobserved is the Observer of who sets none.
type unobserved struct{}

func (unobserved) Answered(time.Duration, Code) {}
func (unobserved) Committed(int, int)           {}
func (unobserved) Spent(Phase, time.Duration)   {}
func (unobserved) Repaired(Repair)              {}
func (unobserved) Collected(Collection)         {}
func (unobserved) Freed(registry.Freed)         {}

// spent tells the observer of a phase that began at start, and returns when it
// ended.
func (c *chain) spent(p Phase, start time.Time) time.Time {
	now := time.Now()
	c.observer.Spent(p, now.Sub(start))
	return now
}

// codeOf returns the code of an error that a caller is answered, empty for nil.
func codeOf(err error) Code {
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	if err != nil {
		return CodeCorrupt // an artifact that cannot be made
	}
	return ""
}
