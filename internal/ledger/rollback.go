package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gitops-squared.io/gsq/internal/intent"
)

// maxRollbacks bounds the rollbacks of namespaces that are under way at once:
// each holds a catalog.
const maxRollbacks = 8

// Target is the moment that a rollback of a namespace goes back to.
type Target struct {
	Revision int64     // its number; or, if that is 0,
	Time     time.Time // the last revision that is not after it
}

// past is a Target that was read.
type past struct {
	// present says that the moment has not passed: there is nothing to undo,
	// whatever is committed until this is judged.
	present bool
	Snapshot
}

// resolve reads what a prepared request is to go back to, if it is a rollback.
// What it reads was committed and never changes, so it can be read before the
// request's turn comes. done must be called when the request is answered.
func (l *Ledger) resolve(ctx context.Context, r *Request, deadline time.Time) (done func(), err error) {
	done = func() {}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	for i := range r.Changes {
		c := &r.Changes[i]
		if c.Version == 0 {
			continue
		}
		if c.earlier, err = l.version(ctx, intent.Ref{Namespace: r.Namespace, Name: c.Name}, c.Version); err != nil {
			return done, err
		}
	}
	if r.Rollback == nil {
		return done, nil
	}
	select {
	case l.rollbacks <- struct{}{}:
		done = func() { <-l.rollbacks }
	default:
		return done, fail(CodeQueueFull, nil, "%d rollbacks of namespaces are under way already; try again later", maxRollbacks)
	}
	r.past, err = l.past(ctx, r.Namespace, *r.Rollback)
	return done, err
}

// past reads a target.
func (l *Ledger) past(ctx context.Context, namespace string, t Target) (*past, error) {
	number := t.Revision
	if number == 0 {
		c, err := l.CommitAt(ctx, namespace, t.Time)
		if err != nil {
			return nil, err
		}
		now, err := l.List(namespace)
		if err != nil {
			return nil, err
		}
		if number = c.Revision.Number; number == now.Revision.Number {
			return &past{present: true}, nil
		}
	}
	s, err := l.ListAt(ctx, namespace, number)
	if err != nil {
		return nil, err
	}
	return &past{Snapshot: s}, nil
}

// version reads an earlier version of a resource, as Version does. CodeInvalid
// if it is a tombstone.
func (l *Ledger) version(ctx context.Context, ref intent.Ref, v intent.Version) (*Entry, error) {
	s, err := l.Version(ctx, ref.Namespace, ref.Name, v)
	if err != nil {
		return nil, err
	}
	if s.Entry == nil {
		return nil, fail(CodeInvalid, intent.Invalid{{
			Pointer: "/to", Detail: fmt.Sprintf("in version %s the resource is deleted; to have it so again, delete it", v),
		}}, "version %s of %s is a deletion; delete it instead", v, ref)
	}
	return s.Entry, nil
}

// rollBack returns what makes now the past. Both are sorted by name.
func (p *past) rollBack(now Snapshot) []Outcome {
	then := p.Entries
	if p.present {
		then = now.Entries
	}
	outcomes := make([]Outcome, 0, max(len(then), len(now.Entries)))
	for left := now.Entries; len(left)+len(then) > 0; {
		switch {
		case len(left) == 0 || len(then) > 0 && then[0].Name < left[0].Name:
			outcomes = append(outcomes, rolledBack(then[0].Name, nil, then[0]))
			then = then[1:]
		case len(then) == 0 || left[0].Name < then[0].Name:
			outcomes = append(outcomes, rolledBack(left[0].Name, left[0], nil))
			left = left[1:]
		default:
			outcomes = append(outcomes, rolledBack(left[0].Name, left[0], then[0]))
			left, then = left[1:], then[1:]
		}
	}
	return outcomes
}

// rolledBack is the outcome of a resource that was something else.
func rolledBack(name string, now, then *Entry) Outcome {
	o := Outcome{Name: name, Operation: RolledBack, Before: now, After: then}
	if then != nil {
		o.Version, o.Digest = then.Version, then.Digest
		if now != nil && now.Digest == then.Digest {
			o.Operation, o.After = Unchanged, now
		}
	}
	return o
}

// checkEarlier reports the resources that would be what today's schema does not
// allow. It may have changed since they were declared, and one object that
// Kubernetes refuses keeps Flux from applying all others.
func (r Request) checkEarlier(outcomes []Outcome) error {
	var refused []error
	for _, o := range outcomes {
		if o.Operation != RolledBack || o.After == nil {
			continue
		}
		if _, err := r.schema.Complete(o.After.Ref, o.After.Spec); err != nil {
			refused = append(refused, fail(CodeInvalid, nil, "%s in version %s is not valid any more: %v", o.Name, o.After.Version, err))
		}
	}
	switch len(refused) {
	case 0:
		return nil
	case 1:
		return refused[0]
	}
	return fail(CodeInvalid, errors.Join(refused...), "%d resources were declared in a way that is not valid any more; nothing changed", len(refused))
}
