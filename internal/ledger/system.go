package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// system is the catalog of the namespaces. Its chain belongs to whoever holds
// turn.
type system struct {
	chain   *chain
	turn    chan struct{} // capacity 1
	content atomic.Pointer[artifact.System]
	log     func(msg string, args ...any)
}

func newSystem(l *Ledger, claim *claim) *system {
	s := &system{turn: make(chan struct{}, 1), log: l.o.Log.Warn}
	s.chain = &chain{
		reg: guarded{l.o.Registry, claim}, claim: claim, stamps: &l.stamps, log: l.o.Log, observer: l.o.Observer,
		repo: l.layout.System(), scope: artifact.ScopeSystem,
		configType: artifact.TypeSystemConfig, layerType: artifact.TypeSystem,
		accept: s.accept, report: func(error) {}, progress: func() {},
	}
	s.content.Store(&artifact.System{Namespaces: map[string]artifact.SystemNamespace{}})
	return s
}

func (s *system) accept(rev artifact.Revision, parent *artifact.Revision) (acceptance, error) {
	content, err := artifact.ParseSystem(rev.Layer.Data)
	if err != nil {
		return acceptance{}, err
	}
	if parent != nil {
		before, err := artifact.ParseSystem(parent.Layer.Data)
		if err != nil {
			return acceptance{}, err
		}
		for name, ns := range before.Namespaces {
			changed := slices.ContainsFunc(rev.Record.Changes, func(c artifact.RecordChange) bool { return c.Name == name })
			if now, ok := content.Namespaces[name]; !ok || (now != ns && !changed) {
				return acceptance{}, fmt.Errorf("namespace %s changed, or is gone, without a change that says so", name)
			}
		}
		for name, c := range before.Clusters {
			if now, ok := content.Clusters[name]; !ok || now != c {
				return acceptance{}, fmt.Errorf("cluster %s changed, or is gone", name)
			}
		}
	}
	return acceptance{publish: func() { s.content.Store(&content) }}, nil
}

func (s *system) stateOf(namespace string) State {
	return State(s.content.Load().Namespaces[namespace].State)
}

// set commits a namespace's state. begin is called before the commit point.
// Errors are those of chain.commit.
func (s *system) set(ctx, prepare context.Context, namespace string, to State, actor string, begin func() error) error {
	return s.edit(ctx, prepare, namespace, begin, func(now artifact.SystemNamespace) (artifact.SystemNamespace, *artifact.RecordChange) {
		if State(now.State) == to || (to == Creating && State(now.State) == Active) {
			return now, nil
		}
		now.State = string(to)
		return now, &artifact.RecordChange{Operation: string(to), Name: namespace, Actor: actor}
	})
}

// edit commits what change makes of a namespace's entry, unless it says that
// there is nothing to change.
func (s *system) edit(ctx, prepare context.Context, namespace string, begin func() error, change func(artifact.SystemNamespace) (artifact.SystemNamespace, *artifact.RecordChange)) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-prepare.Done():
		return errors.Join(registry.ErrUnavailable, prepare.Err())
	}
	for {
		next := *s.content.Load()
		entry, made := change(next.Namespaces[namespace])
		if made == nil {
			return nil
		}
		err := s.commit(ctx, prepare, next, entry, *made, begin)
		if !errors.Is(err, errAdopted) {
			return err
		}
	}
}

func (s *system) commit(ctx, prepare context.Context, next artifact.System, entry artifact.SystemNamespace, made artifact.RecordChange, begin func() error) error {
	record := s.chain.record([]artifact.RecordChange{made})
	if entry.CreatedAt == "" {
		entry.CreatedAt = record.Time
	}
	next.Namespaces = maps.Clone(next.Namespaces)
	next.Namespaces[made.Name] = entry
	layer, err := next.Encode()
	if err != nil {
		return err
	}
	return s.chain.commit(ctx, prepare, proposal{
		record: record, layer: layer,
		begin:   begin,
		publish: func() { s.content.Store(&next) },
	})
}

// run looks after latest until ctx ends: each second while an unanswered write
// can land, else once a minute. Then it calls seen.
func (s *system) run(ctx context.Context, seen func(context.Context)) {
	looked := time.Now()
	for sleep(ctx, watchSettling) == nil {
		select {
		case s.turn <- struct{}{}:
		case <-ctx.Done():
			return
		}
		due := time.Since(looked) >= watchIdle || looked.Before(s.chain.settledAt)
		var err error
		if due {
			err = s.chain.check(ctx)
			looked = time.Now()
		}
		<-s.turn
		if err != nil && !errors.Is(err, errAdopted) && ctx.Err() == nil {
			s.log("looking after the system catalog failed", "error", err)
		}
		if due {
			seen(ctx)
		}
	}
}
