package load

import (
	"errors"
	"fmt"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/history"
	"gitops-squared.io/gsq/internal/intent"
)

// Check compares what the writers of all loads on the same namespaces were told
// with what the registry holds. The error joins every fault: an acknowledged
// write whose version is not in the history byte for byte and at its place, a
// resource that is not in a state that is possible, a version that nobody asked
// for, an apply that happened in parts, a change of a resource that was there
// before and is no writer's.
func Check(h *history.History, reports ...*Report) error {
	var writers []*writer
	for _, r := range reports {
		writers = append(writers, r.writers...)
	}
	told := map[string]bool{} // versions that an answer said to have made
	for _, w := range writers {
		for _, a := range w.attempts {
			for _, m := range a.made {
				told[m.version] = told[m.version] || !m.unchanged
			}
		}
	}
	var faults []error
	owned := map[string]map[string]bool{}
	for _, w := range writers {
		if owned[w.namespace] == nil {
			owned[w.namespace] = map[string]bool{}
		}
		for _, resource := range w.resources {
			owned[w.namespace][resource.name] = true
		}
		n := h.Namespaces[w.namespace]
		if n == nil {
			faults = append(faults, fmt.Errorf("namespace %s is not in the registry", w.namespace))
			continue
		}
		faults = append(faults, w.check(n, told))
	}
	for name, n := range h.Namespaces {
		for other, changes := range n.Changes {
			if owned[name] != nil && !owned[name][other] && len(changes) != 1 {
				faults = append(faults, fmt.Errorf("%s/%s: it was there before, and no writer's, but it changed: %+v", name, other, changes))
			}
		}
	}
	return errors.Join(faults...)
}

// check matches a writer's attempts, in their order, with the changes of its
// resources.
func (w *writer) check(n *history.Namespace, told map[string]bool) error {
	var faults []error
	rest := map[string][]history.Change{}
	for _, r := range w.resources {
		rest[r.name] = n.Changes[r.name]
		now, live := n.Live[r.name]
		state := (*api.Spec)(nil)
		if live {
			state = specOf(now.Spec)
		}
		if !r.mayBe(state) {
			faults = append(faults, fmt.Errorf("%s/%s is %+v, possible is %s", w.namespace, r.name, state, r))
		}
	}
	for _, a := range w.attempts {
		faults = append(faults, a.consume(rest, n.Changes, told))
	}
	for name, left := range rest {
		for _, c := range left {
			faults = append(faults, fmt.Errorf("%s/%s: nobody asked for %s of %s in r%d", w.namespace, name, c.After.Version, c.Operation, c.Revision))
		}
	}
	return errors.Join(faults...)
}

// consume takes the changes that an attempt made off the rest.
func (a *attempt) consume(rest, all map[string][]history.Change, told map[string]bool) error {
	switch a.outcome {
	case missingOutcome:
		return nil
	case unknownOutcome:
		return a.consumeUnknown(rest, told)
	}
	var faults []error
	revisions := map[int64]bool{} // in which its changes are
	for _, c := range a.changes {
		name := c.resource.name
		left, m := rest[name], a.made[name]
		if m.unchanged {
			// It was made before, by an attempt that was not answered.
			done := len(all[name]) - len(left)
			if done == 0 || !m.is(all[name][done-1]) {
				faults = append(faults, fmt.Errorf("%s: version %s (%s), which was answered, is not the one in the history", name, m.version, m.digest))
			}
			continue
		}
		if len(left) == 0 || !m.is(left[0]) || !c.wanted(left[0]) {
			faults = append(faults, fmt.Errorf("%s: the acknowledged version %s (%s) is not in its place in the history; there is %+v", name, m.version, m.digest, left))
			continue
		}
		revisions[left[0].Revision] = true
		rest[name] = left[1:]
	}
	if len(revisions) > 1 {
		faults = append(faults, fmt.Errorf("an apply is spread over several revisions: %v", revisions))
	}
	return errors.Join(faults...)
}

// consumeUnknown is consume for an attempt that was not answered: all of it
// happened, in one revision, or nothing.
func (a *attempt) consumeUnknown(rest map[string][]history.Change, told map[string]bool) error {
	revisions := map[int64]int{} // how many of its changes each holds
	for _, c := range a.changes {
		left := rest[c.resource.name]
		if len(left) == 0 || !c.wanted(left[0]) || told[left[0].After.Version] {
			continue
		}
		// A tombstone could be another attempt's; what is declared is unique.
		if a.apply && c.spec == nil && revisions[left[0].Revision] == 0 {
			continue
		}
		revisions[left[0].Revision]++
		rest[c.resource.name] = left[1:]
	}
	for revision, count := range revisions {
		if count != len(a.changes) {
			return fmt.Errorf("an apply of %d resources happened in parts: %d of them in r%d", len(a.changes), count, revision)
		}
	}
	return nil
}

// is says whether a change in the history is the version that was answered.
func (m made) is(h history.Change) bool {
	return h.After.Version == m.version && h.After.Digest.String() == m.digest
}

// wanted says whether a change in the history is what the attempt wants.
func (c change) wanted(h history.Change) bool {
	if c.spec == nil || h.Deleted() {
		return c.spec == nil && h.Deleted()
	}
	return *specOf(h.Resource.Spec) == *c.spec
}

func specOf(s intent.Spec) *api.Spec {
	return &api.Spec{Type: s.Type, Size: s.Size, Region: s.Region, Replicas: s.Replicas}
}
