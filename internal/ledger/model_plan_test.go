package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"gitops-squared.io/gsq/internal/registry/faulty"
)

// plan is all that is drawn of one run of the model-based test. It is drawn
// before the run begins, so that rapid can repeat and shrink it.
type plan struct {
	exclusive bool          // as on the embedded registry: no claim to check, nothing outlives the process
	latency   time.Duration // up to which a request takes when nothing is wrong
	clients   [][]step
	events    []event
	rules     []rule
}

// step is what one client does next.
type step struct {
	event   bool          // waits for the end of the next event
	pause   time.Duration // before it
	patient bool          // waits until the ledger is ready
	former  bool          // asks the superseded ledger, if one still runs
	hangUp  time.Duration // when the caller leaves; 0: never

	namespace int
	kind      stepKind
	changes   []intended // of an apply; of a get, the first is what is read
	back      int        // of a rollback of the namespace: how many revisions, from the last one that the client saw
	prune     bool
	confirm   bool
	dryRun    bool
}

type stepKind string

const (
	stepApply stepKind = "apply"
	stepBack  stepKind = "roll back"
	stepGet   stepKind = "get"
	stepList  stepKind = "list"
)

// intended is a change whose precondition is known only when it is made.
type intended struct {
	name   int
	remove bool
	back   int // unless 0: roll back to the version that the client saw so many ago
	value  int // 0: one that nobody else writes; others are shared
	match  matchKind
}

type matchKind string

const (
	matchNone   matchKind = "-"
	matchLatest matchKind = "last seen" // If-Match with the digest that the client saw last
	matchOlder  matchKind = "older"     // with the one that it saw before that
	matchAny    matchKind = "*"
	matchAbsent matchKind = "absent" // If-None-Match: *
)

// event happens to the process, or to its clock.
type event struct {
	pause time.Duration // before it
	kind  eventKind
	stays time.Duration // how long a superseded ledger stays up
	lasts time.Duration // how long a frozen one stands still
}

type eventKind string

const (
	eventStop      eventKind = "stop"
	eventKill      eventKind = "kill"
	eventSupersede eventKind = "supersede"
	// The process stops, as by SIGSTOP, between its look whether it may move a
	// catalog's latest and the move; another one follows it.
	eventFreeze  eventKind = "freeze, supersede"
	eventForward eventKind = "clock an hour forward"
	eventBack    eventKind = "clock an hour back"
)

// rule spoils some requests: the next count ones that match, from a time after
// the end of an event on.
type rule struct {
	event int // how many have ended
	after time.Duration
	kind  faulty.Kind // "": every; "read", "write"
	repo  string      // part of the repository's name
	count int
	fault faulty.Fault
	then  faulty.Fault // of the one after these; may be nil
}

const (
	anyRead  faulty.Kind = "read"
	anyWrite faulty.Kind = "write"
)

// modelNames are the resources of the model, in the order of their names.
var modelNames = [...]string{"r0", "r1", "r2", "r3"}

func milliseconds(t *rapid.T, limit int, label string) time.Duration {
	return time.Duration(rapid.IntRange(0, limit).Draw(t, label)) * time.Millisecond
}

// often draws true in one of n cases.
func often(t *rapid.T, n int, label string) bool {
	return rapid.IntRange(0, n-1).Draw(t, label) == n-1
}

var anyIntended = rapid.Custom(func(t *rapid.T) intended {
	return intended{
		name:   rapid.IntRange(0, len(modelNames)-1).Draw(t, "name"),
		remove: often(t, 6, "delete"),
		back:   rapid.SampledFrom([]int{0, 0, 0, 0, 1, 2, 3}).Draw(t, "back"),
		value:  rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "value"),
		match:  rapid.SampledFrom([]matchKind{matchNone, matchNone, matchNone, matchNone, matchLatest, matchLatest, matchLatest, matchOlder, matchAny, matchAbsent}).Draw(t, "match"),
	}
})

var anyStep = rapid.Custom(func(t *rapid.T) step {
	s := step{
		event:     often(t, 7, "event"),
		patient:   !often(t, 4, "impatient"),
		former:    often(t, 3, "former"),
		namespace: rapid.SampledFrom([]int{0, 0, 1}).Draw(t, "namespace"),
		kind:      rapid.SampledFrom([]stepKind{stepApply, stepApply, stepApply, stepApply, stepBack, stepGet, stepList}).Draw(t, "kind"),
	}
	if often(t, 2, "pauses") {
		s.pause = milliseconds(t, 2000, "pause")
	}
	limit := 1
	if s.kind == stepApply && often(t, 3, "many") {
		limit = 3
		s.prune = often(t, 3, "prune")
		s.confirm = often(t, 2, "confirm")
	}
	s.changes = rapid.SliceOfNDistinct(anyIntended, 1, limit, func(c intended) int { return c.name }).Draw(t, "changes")
	if s.kind == stepBack {
		s.back = rapid.IntRange(0, 6).Draw(t, "back")
		s.confirm = !often(t, 3, "unconfirmed")
	}
	if s.kind == stepApply || s.kind == stepBack {
		s.dryRun = often(t, 10, "dry run")
		if often(t, 10, "hang up") {
			s.hangUp = milliseconds(t, 3000, "hangs up") + time.Millisecond
		}
	}
	return s
})

// anyEvent draws an event; external ones include a second ledger.
func anyEvent(exclusive bool) *rapid.Generator[event] {
	kinds := []eventKind{eventStop, eventKill, eventKill, eventForward, eventBack}
	if !exclusive {
		kinds = append(kinds, eventSupersede, eventFreeze, eventFreeze)
	}
	return rapid.Custom(func(t *rapid.T) event {
		return event{
			pause: milliseconds(t, 8000, "pause"),
			kind:  rapid.SampledFrom(kinds).Draw(t, "event"),
			stays: milliseconds(t, 30_000, "stays"),
			lasts: 15*time.Second + milliseconds(t, 15_000, "lasts"),
		}
	})
}

var anyFault = rapid.Custom(func(t *rapid.T) faulty.Fault {
	switch f := faulty.Failure(rapid.IntRange(0, int(faulty.Corrupt)+3).Draw(t, "fault")); {
	case f == 0:
		return faulty.Delay{For: milliseconds(t, 6000, "delay")}
	case f > faulty.Corrupt:
		if often(t, 2, "as late as can be") {
			return faulty.StoredLate{After: 10 * time.Second}
		}
		return faulty.StoredLate{After: milliseconds(t, 10_000, "late")}
	default:
		return f
	}
})

var anyRule = rapid.Custom(func(t *rapid.T) rule {
	r := rule{
		event: rapid.IntRange(0, 2).Draw(t, "event"),
		after: milliseconds(t, 8000, "after"),
		kind: rapid.SampledFrom([]faulty.Kind{
			"", anyWrite, anyRead, faulty.Commit, faulty.Commit, faulty.Commit, faulty.PutTag, faulty.PutBlob, faulty.PutManifest, faulty.Get, faulty.Resolve,
		}).Draw(t, "kind"),
		repo:  rapid.SampledFrom([]string{"", "/catalog", "/catalog", "/catalog", "/system", "/writer", "/resources"}).Draw(t, "repository"),
		count: rapid.SampledFrom([]int{1, 1, 2, 3, 10}).Draw(t, "count"),
		fault: anyFault.Draw(t, "fault"),
	}
	if often(t, 2, "and then") {
		r.then = anyFault.Draw(t, "then")
	}
	return r
})

var anyPlan = rapid.Custom(func(t *rapid.T) plan {
	p := plan{
		exclusive: often(t, 4, "exclusive"),
		latency:   rapid.SampledFrom([]time.Duration{0, 5 * time.Millisecond, 50 * time.Millisecond}).Draw(t, "latency"),
	}
	p.clients = rapid.SliceOfN(rapid.SliceOfN(anyStep, 3, 20), 2, 6).Draw(t, "clients")
	p.events = rapid.SliceOfN(anyEvent(p.exclusive), 0, 4).Draw(t, "events")
	p.rules = rapid.SliceOfN(anyRule, 0, 12).Draw(t, "rules")
	return p
})

// lies reports whether the registry answers reads with something else than it
// holds, so that a catalog can look damaged.
func (p plan) lies() bool {
	return slices.ContainsFunc(p.rules, func(r rule) bool {
		return slices.ContainsFunc([]faulty.Fault{faulty.NotFound, faulty.Stale, faulty.Corrupt}, func(f faulty.Fault) bool {
			return r.fault == f || r.then == f
		})
	})
}

// freezes reports whether a process may move something long after it looked.
func (p plan) freezes() bool {
	return slices.ContainsFunc(p.events, func(e event) bool { return e.kind == eventFreeze })
}

// GoString is how rapid shows a plan.
func (p plan) GoString() string {
	var b strings.Builder
	fmt.Fprintf(&b, "exclusive %v, latency %v\n", p.exclusive, p.latency)
	for i, steps := range p.clients {
		for j, s := range steps {
			fmt.Fprintf(&b, "  c%d-%d %+v\n", i, j, s)
		}
	}
	for _, e := range p.events {
		fmt.Fprintf(&b, "  event %+v\n", e)
	}
	for _, r := range p.rules {
		fmt.Fprintf(&b, "  rule %+v %T %T\n", r, r.fault, r.then)
	}
	return b.String()
}
