package fsck

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
)

// systemReplay compares each system catalog with the one before it: they differ
// in what the record says, and in clusters that came.
type systemReplay struct {
	named map[string]bool  // every namespace that a record or a catalog names
	head  *artifact.System // the newest that can be read

	after       *artifact.System // of the revision after the next one; nil if it cannot be read
	afterRecord artifact.Record
}

func newSystemReplay(*run) *systemReplay { return &systemReplay{named: map[string]bool{}} }

// names returns every namespace that the history ever named, sorted.
func (s *systemReplay) names() []string { return slices.Sorted(maps.Keys(s.named)) }

// clusters returns the clusters that are listed, sorted.
func (s *systemReplay) clusters() []string {
	if s.head == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.head.Clusters))
}

// state is what the head says of a namespace; empty if that is not known.
func (s *systemReplay) state(namespace string) string {
	if s.head == nil {
		return ""
	}
	return s.head.Namespaces[namespace].State
}

func (s *systemReplay) gap() { s.after = nil }

func (s *systemReplay) newer(artifact.Record) {}

func (s *systemReplay) step(_ context.Context, c *chain, rev *revision) error {
	for _, change := range rev.Record.Changes {
		if why := wrongSystemChange(change); why != "" {
			f := c.finding(ChangeInvalid, rev.number, rev.Manifest.Digest, "In revision %d, the change of %q %s.", rev.number, change.Name, why)
			f.Resource = change.Name
			if err := c.report(f); err != nil {
				return err
			}
			continue
		}
		s.named[change.Name] = true
	}
	if rev.layer == nil {
		s.after = nil
		return nil
	}
	content, err := artifact.ParseSystem(rev.layer.Data)
	if err != nil {
		s.after = nil
		return c.report(c.finding(LayerInvalid, rev.number, rev.Manifest.Digest, "The layer of revision %d is no system catalog: %v.", rev.number, err))
	}
	for name := range content.Namespaces {
		s.named[name] = true
	}
	if s.head == nil {
		s.head = &content
	}
	if err := s.compare(c, content); err != nil {
		return err
	}
	s.after, s.afterRecord = &content, rev.Record
	return nil
}

func (s *systemReplay) end(_ context.Context, c *chain) error {
	if !c.complete {
		return nil
	}
	return s.compare(c, artifact.System{}) // before revision 1 there was nothing
}

// wrongSystemChange says what is wrong with a change by itself.
func wrongSystemChange(change artifact.RecordChange) string {
	switch change.Operation {
	case artifact.StateCreating, artifact.StateActive, artifact.StateDeleted, artifact.OperationRetention:
	default:
		return fmt.Sprintf("has the operation %q, which a system catalog does not have", change.Operation)
	}
	switch {
	case !intent.IsLabel(change.Name):
		return "is of something whose name no namespace can have"
	case change.Before != nil || change.After != nil:
		return "names versions, which namespaces do not have"
	}
	return ""
}

// compare checks what the revision after this one did.
func (s *systemReplay) compare(c *chain, before artifact.System) error {
	if s.after == nil {
		return nil
	}
	number := s.afterRecord.Number
	note := func(code Code, name, format string, args ...any) error {
		f := c.finding(code, number, "", format, args...)
		f.Resource = name
		return c.report(f)
	}
	changes := map[string]artifact.RecordChange{}
	for _, change := range s.afterRecord.Changes {
		changes[change.Name] = change
	}
	names := maps.Clone(s.after.Namespaces)
	maps.Copy(names, before.Namespaces)
	for _, change := range s.afterRecord.Changes {
		if _, ok := s.after.Namespaces[change.Name]; !ok && wrongSystemChange(change) == "" {
			names[change.Name] = artifact.SystemNamespace{}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		old, had := before.Namespaces[name]
		now, has := s.after.Namespaces[name]
		change, changed := changes[name]
		var err error
		switch {
		case changed && wrongSystemChange(change) != "": // it was reported
		case changed && !has:
			err = note(ChangeMismatch, name, "Revision %d says %s of namespace %s, but does not hold it.", number, change.Operation, name)
		case changed:
			if want := expected(old, had, change.Operation, s.afterRecord.Time, now.Retention); want != now {
				err = note(ChangeMismatch, name, "Revision %d says %s of namespace %s, but holds %+v where that leads to %+v.", number, change.Operation, name, now, want)
			}
		case !has:
			err = note(ChangeUnexplained, name, "Namespace %s is gone in revision %d, without a change that says so.", name, number)
		case !had:
			err = note(ChangeUnexplained, name, "Namespace %s appeared in revision %d, without a change that says so.", name, number)
		case old != now:
			err = note(ChangeUnexplained, name, "Namespace %s changed in revision %d from %+v to %+v, without a change that says so.", name, number, old, now)
		}
		if err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before.Clusters)) {
		if now, ok := s.after.Clusters[name]; !ok || now != before.Clusters[name] {
			if err := note(ChangeUnexplained, name, "Cluster %s is gone, or another one, in revision %d.", name, number); err != nil {
				return err
			}
		}
	}
	return nil
}

// expected is what a change makes of a namespace's entry.
func expected(old artifact.SystemNamespace, had bool, operation, time string, retention artifact.Retention) artifact.SystemNamespace {
	if !had {
		old.CreatedAt = time
	}
	if operation == artifact.OperationRetention {
		old.Retention = retention
	} else {
		old.State = operation
	}
	return old
}
