package ledger_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gitops-squared.io/gsq/internal/ledger"
)

// The ledger against a model: a namespace is a map. Several clients create,
// update, delete, apply, get and list at once, with conditions, while the
// registry fails, the clock jumps, and the process is stopped, killed and
// superseded. What they were told has to be what some order of their calls
// gives on the model, and what the chain of commit records says.
//
//	go test ./internal/ledger -run TestModel -rapid.checks=10000
func TestModel(t *testing.T) {
	t.Parallel()
	for part := range 3 { // as rapid makes one run after the other
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			answers := map[string]int{}
			rapid.Check(t, func(rt *rapid.T) {
				all, found := carryOut(t, anyPlan.Draw(rt, "plan"))
				for _, o := range all {
					answers[kindOf(o)]++
				}
				if len(found) > 0 {
					rt.Fatal(strings.Join(found, "\n"))
				}
			})
			for _, k := range slices.Sorted(maps.Keys(answers)) {
				t.Logf("%6d %s", answers[k], k)
			}
		})
	}
}

// The same, without faults but with the processors' own disorder, and as many
// clients at the same moment as there are.
func TestModelInParallel(t *testing.T) {
	t.Parallel()
	for seed := range 30 {
		p := anyPlan.Example(seed)
		p.exclusive, p.latency, p.rules, p.events = true, 0, nil, nil
		for range 2 {
			p.events = append(p.events, event{pause: 5 * time.Millisecond, kind: eventStop})
		}
		for _, steps := range p.clients {
			for i := range steps {
				steps[i].pause, steps[i].hangUp = 0, 0
			}
		}
		if _, found := carryOutForReal(t, p); len(found) > 0 {
			t.Fatalf("%#v\n%s", p, strings.Join(found, "\n"))
		}
	}
}

// kindOf says what kind of an operation with what kind of an end it was.
func kindOf(o *operation) string {
	kind := "apply"
	switch {
	case o.get != "":
		kind = "get"
	case o.list:
		kind = "list"
	case o.request.DryRun:
		kind = "dry run"
	case o.request.Rollback != nil:
		kind = "rollback"
	case slices.ContainsFunc(o.request.Changes, func(c ledger.Change) bool { return c.Version != 0 }):
		kind = "apply with rollback"
	case o.request.Prune:
		kind = "prune"
	}
	if o.code != "" {
		kind += " " + string(o.code)
	}
	if o.made != nil {
		kind += ", made"
	}
	if o.stale() {
		kind += ", superseded"
	}
	return kind
}
