package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"gitops-squared.io/gsq/internal/intent"
)

const (
	maxActorBytes  = 256
	maxReasonBytes = 1024
)

// prepare validates a request on its own and fills in the defaults of its
// specs. The error is CodeInvalid with every fault.
func prepare(schema *intent.Schema, r *Request) error {
	var faults intent.Invalid
	if err := intent.ValidateNamespace(r.Namespace); err != nil {
		errors.As(err, &faults)
	}
	namespaceFaulty := len(faults) > 0
	for _, text := range []struct {
		pointer, value string
		limit          int
	}{{"/actor", r.Actor, maxActorBytes}, {"/reason", r.Reason, maxReasonBytes}} {
		if len(text.value) > text.limit {
			faults = append(faults, intent.Fault{Pointer: text.pointer, Detail: fmt.Sprintf("at most %d bytes are allowed", text.limit)})
		} else if !utf8.ValidString(text.value) {
			// A commit record cannot hold it, and would fail the whole batch.
			faults = append(faults, intent.Fault{Pointer: text.pointer, Detail: "it is not UTF-8"})
		}
	}
	seen := make(map[string]int, len(r.Changes))
	changes := slices.Clone(r.Changes)
	for i := range changes {
		c := &changes[i]
		at := fmt.Sprintf("/changes/%d", i)
		if first, twice := seen[c.Name]; twice {
			faults = append(faults, intent.Fault{Pointer: at + "/name", Detail: fmt.Sprintf("%q is already named by change %d; a request changes a resource once", c.Name, first)})
			continue
		}
		seen[c.Name] = i
		if c.Delete || c.Version != 0 {
			continue // a name that cannot exist is simply not found
		}
		spec, err := schema.Complete(intent.Ref{Namespace: r.Namespace, Name: c.Name}, c.Spec)
		var invalid intent.Invalid
		if errors.As(err, &invalid) {
			for _, f := range invalid {
				if f.Pointer == "" && namespaceFaulty {
					continue // the namespace's, listed once above
				}
				faults = append(faults, intent.Fault{Pointer: at + f.Pointer, Detail: f.Detail})
			}
		} else if err != nil {
			return fail(CodeInvalid, err, "the declaration of %s cannot be read", c.Name)
		}
		c.Spec = spec
	}
	if r.Rollback != nil && len(r.Changes) > 0 {
		faults = append(faults, intent.Fault{Pointer: "/changes", Detail: "a rollback of the namespace has none"})
	}
	if len(faults) > 0 {
		return fail(CodeInvalid, faults, "the request is not valid")
	}
	slices.SortFunc(changes, func(a, b Change) int { return cmp.Compare(a.Name, b.Name) })
	r.Changes, r.schema = changes, schema
	return nil
}

// evaluate says what a prepared request would do to a namespace with these
// entries. The outcomes are sorted by name; those that change something have
// no version yet, and an After without bytes. It writes nothing.
func evaluate(r Request, now Snapshot) ([]Outcome, error) {
	outcomes := make([]Outcome, 0, len(r.Changes))
	var failed []error
	for _, c := range r.Changes {
		o, err := evaluateChange(r.Namespace, c, now.Find(c.Name))
		if err != nil {
			failed = append(failed, err)
			continue
		}
		outcomes = append(outcomes, o)
	}
	if len(failed) > 0 {
		return nil, firstOf(failed)
	}
	switch {
	case r.past != nil:
		outcomes = r.past.rollBack(now)
	case r.Prune:
		outcomes = prune(outcomes, now)
	}
	if err := r.checkEarlier(outcomes); err != nil {
		return nil, err
	}
	if r.everything() {
		if err := guard(r, outcomes, len(now.Entries)); err != nil {
			return nil, err
		}
	}
	return outcomes, nil
}

func evaluateChange(namespace string, c Change, before *Entry) (Outcome, error) {
	if c.IfNoneMatch && before != nil {
		return Outcome{}, fail(CodePreconditionFailed, nil, "%s exists already (its version is %s)", c.Name, before.Version)
	}
	if c.IfMatch != "" {
		if before == nil {
			return Outcome{}, fail(CodePreconditionFailed, nil, "%s does not exist", c.Name)
		}
		if c.IfMatch != "*" && c.IfMatch != before.Digest.String() {
			return Outcome{}, fail(CodePreconditionFailed, nil, "%s has been changed: it is %s now; read it again and decide", c.Name, before.Digest)
		}
	}
	if c.earlier != nil {
		return rolledBack(c.Name, before, c.earlier), nil
	}
	o := Outcome{Name: c.Name, Before: before}
	switch {
	case c.Delete && before == nil:
		return Outcome{}, fail(CodeNotFound, nil, "%s does not exist in namespace %s", c.Name, namespace)
	case c.Delete:
		o.Operation = Deleted
	case before != nil && before.Spec == c.Spec:
		o.Operation, o.After, o.Version, o.Digest = Unchanged, before, before.Version, before.Digest
	default:
		o.Operation = Created
		o.After = &Entry{Resource: intent.Resource{Ref: intent.Ref{Namespace: namespace, Name: c.Name}, Spec: c.Spec}}
		if before != nil {
			o.Operation, o.After.Created = Updated, before.Created
		}
	}
	return o, nil
}

// firstOf returns the only error, or one that names them all under the code of
// the first.
func firstOf(errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	var first *Error
	errors.As(errs[0], &first)
	return fail(first.Code, errors.Join(errs...), "%d changes of the request cannot be made", len(errs))
}

// prune adds the deletion of every entry that no outcome names.
func prune(outcomes []Outcome, now Snapshot) []Outcome {
	named := make(map[string]bool, len(outcomes))
	for _, o := range outcomes {
		named[o.Name] = true
	}
	for _, e := range now.Entries {
		if !named[e.Name] {
			outcomes = append(outcomes, Outcome{Name: e.Name, Operation: Deleted, Before: e})
		}
	}
	slices.SortFunc(outcomes, func(a, b Outcome) int { return cmp.Compare(a.Name, b.Name) })
	return outcomes
}

// guard is the deletion guard. Flux deletes what the catalog no longer holds,
// so a request that would empty it, or delete more than half of it, must say
// that it means to.
func guard(r Request, outcomes []Outcome, before int) error {
	deleted, created := 0, 0
	for _, o := range outcomes {
		switch {
		case o.After == nil:
			deleted++
		case o.Before == nil:
			created++
		}
	}
	empty := before > 0 && before+created-deleted == 0
	if r.Confirm || r.DryRun || deleted == 0 || (!empty && deleted*2 <= before) {
		return nil
	}
	return fail(CodeConfirm, nil, "this would delete %d of %d resources in namespace %s; confirm it if that is meant", deleted, before, r.Namespace)
}

func changesAnything(outcomes []Outcome) bool {
	return slices.ContainsFunc(outcomes, func(o Outcome) bool { return o.Operation != Unchanged })
}
