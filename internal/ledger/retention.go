package ledger

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"gitops-squared.io/gsq/internal/artifact"
)

// Retention is what a namespace keeps of its history.
type Retention struct {
	Own       artifact.Retention // set for the namespace; the zero value if nothing is
	Effective artifact.Retention // what counts: its own, else the server's default
}

// Retention returns what a namespace keeps. CodeNamespaceNotFound or
// CodeNamespaceDeleted if there is no such namespace.
func (l *Ledger) Retention(namespace string) (Retention, error) {
	sys, err := l.systemOf(namespace)
	if err != nil {
		return Retention{}, err
	}
	own := sys.content.Load().Namespaces[namespace].Retention
	return Retention{Own: own, Effective: l.effective(own)}, nil
}

func (l *Ledger) effective(own artifact.Retention) artifact.Retention {
	if own == (artifact.Retention{}) {
		return l.o.Retention
	}
	return own
}

// systemOf returns the system catalog, if a namespace is active in it.
func (l *Ledger) systemOf(namespace string) (*system, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.system == nil {
		return nil, l.notReady.Load()
	}
	switch l.system.stateOf(namespace) {
	case Active:
		return l.system, nil
	case Gone:
		return nil, fail(CodeNamespaceDeleted, nil, "namespace %s was deleted; restore it first", namespace)
	}
	return nil, errNoNamespace(namespace)
}

// SetRetention commits what a namespace keeps from now on, as a revision of the
// system catalog; the zero value means the server's default again. Nothing is
// deleted by that: a collection does. It returns when the outcome is durable, or
// known not to happen, or (CodeOutcomeUnknown) within five seconds. What is set
// already makes no revision.
func (l *Ledger) SetRetention(ctx context.Context, namespace string, r artifact.Retention, by Author) error {
	if err := r.Check(); err != nil {
		return fail(CodeInvalid, nil, "%v", err)
	}
	if err := by.check(); err != nil {
		return err
	}
	if err := l.Ready(); err != nil {
		return err
	}
	sys, err := l.systemOf(namespace)
	if err != nil {
		return err
	}
	var begun atomic.Bool
	outcome := func(err error) error {
		var unknown unknownError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &unknown), begun.Load():
			return fail(CodeOutcomeUnknown, err, "the registry has not confirmed the namespace's retention; repeating the request is safe")
		case errors.Is(err, errSuperseded):
			return errSupersededBy(err)
		case errors.Is(err, errForeign):
			return fail(CodeForeignWriter, err, "somebody else wrote the system catalog; nothing is changed in it until that is put right")
		case errors.Is(err, errDamaged):
			return fail(CodeCorrupt, err, "the system catalog is damaged in the registry; nothing is changed in it")
		}
		return fail(CodeRegistryUnavailable, err, "the registry did not take the namespace's retention in time; nothing changed, try again")
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return errStopping()
	}
	work := l.work
	prepare, abandon := context.WithTimeout(work, patience)
	done := make(chan error, 1)
	l.workers.Go(func() {
		defer abandon()
		done <- sys.setRetention(work, prepare, namespace, r, by, func() error {
			begun.Store(true)
			return prepare.Err()
		})
	})
	l.mu.Unlock()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case err := <-done:
		if err != nil && !errors.As(err, new(unknownError)) {
			begun.Store(false) // it ended without having happened
		}
		return outcome(err)
	case <-ctx.Done():
		abandon()
		return outcome(ctx.Err())
	case <-late.C:
		return outcome(context.DeadlineExceeded)
	}
}

// setRetention commits what a namespace keeps. begin is called before the
// commit point. Errors are those of chain.commit.
func (s *system) setRetention(ctx, prepare context.Context, namespace string, r artifact.Retention, by Author, begin func() error) error {
	return s.edit(ctx, prepare, namespace, begin, func(now artifact.SystemNamespace) (artifact.SystemNamespace, *artifact.RecordChange) {
		if now.Retention == r || State(now.State) != Active {
			return now, nil
		}
		now.Retention = r
		return now, &artifact.RecordChange{Operation: artifact.OperationRetention, Name: namespace, Actor: by.Actor, Verified: by.Verified, Reason: by.Reason}
	})
}

// Author is who changes something, and why.
type Author struct {
	Actor    string // empty means unknown
	Verified bool   // Actor is proven, not only the caller's word; needs an Actor
	Reason   string // may be empty
}

func (a Author) check() error {
	switch {
	case len(a.Actor) > maxActorBytes || !utf8.ValidString(a.Actor):
		return fail(CodeInvalid, nil, "the actor must be UTF-8 of at most %d bytes", maxActorBytes)
	case len(a.Reason) > maxReasonBytes || !utf8.ValidString(a.Reason):
		return fail(CodeInvalid, nil, "the reason must be UTF-8 of at most %d bytes", maxReasonBytes)
	case a.Verified && a.Actor == "":
		return fail(CodeInvalid, nil, "only an actor that is named can be verified")
	}
	return nil
}
