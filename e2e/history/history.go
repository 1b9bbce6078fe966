package history

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"gitops-squared.io/gsq/internal/artifact"
)

// History is everything under a prefix.
type History struct {
	System     []artifact.Revision
	Namespaces map[string]*Namespace // those that are active
}

// Revisions is how many there are in all namespaces.
func (h *History) Revisions() int {
	n := 0
	for _, namespace := range h.Namespaces {
		n += len(namespace.Revisions)
	}
	return n
}

// readers bounds how many requests run at once.
const readers = 16

// Read walks all revisions of the system catalog and of every active
// namespace. The error joins every fault that was found; the history then
// holds what could be read.
func (r *Reader) Read(ctx context.Context, prefix string) (*History, error) {
	layout := artifact.Layout{Prefix: prefix}
	system, err := r.chain(ctx, layout.System(), artifact.ScopeSystem, artifact.TypeSystemConfig, artifact.TypeSystem)
	if err != nil {
		return nil, err
	}
	content, err := artifact.ParseSystem(system[len(system)-1].Layer.Data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", layout.System(), err)
	}
	h := &History{System: system, Namespaces: map[string]*Namespace{}}
	var faults []error
	for name, s := range content.Namespaces {
		if s.State != artifact.StateActive {
			continue
		}
		n, err := r.namespace(ctx, layout, name)
		if err != nil {
			faults = append(faults, err)
		}
		if n != nil {
			h.Namespaces[name] = n
		}
	}
	return h, errors.Join(faults...)
}

// each calls f for 0 to n-1, several at once, and returns the results in order
// with all errors joined.
func each[T any](n int, f func(i int) (T, error)) ([]T, error) {
	results, faults := make([]T, n), make([]error, n)
	var wait sync.WaitGroup
	free := make(chan struct{}, readers)
	for i := range n {
		free <- struct{}{}
		wait.Go(func() {
			results[i], faults[i] = f(i)
			<-free
		})
	}
	wait.Wait()
	return results, errors.Join(faults...)
}
