package ledger

import (
	"context"
	"errors"
	"sync"

	"gitops-squared.io/gsq/internal/registry"
)

// cachedSnapshots bounds the earlier revisions that are held for readers who
// page through them.
const cachedSnapshots = 16

// cache holds the last few snapshots that were read from the registry.
type cache struct {
	mu    sync.Mutex
	order []cacheKey
	held  map[cacheKey]Snapshot
}

type cacheKey struct {
	namespace string
	number    int64
}

func (c *cache) get(k cacheKey) (Snapshot, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, ok := c.held[k]
	return s, ok
}

func (c *cache) put(k cacheKey, s Snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held = map[cacheKey]Snapshot{}
	}
	if _, ok := c.held[k]; ok {
		return
	}
	if len(c.order) >= cachedSnapshots {
		delete(c.held, c.order[0])
		c.order = c.order[1:]
	}
	c.order = append(c.order, k)
	c.held[k] = s
}

// ListAt returns a namespace's content at a revision, read from the registry
// unless it is the present one or was read lately. CodeNotFound if there is no
// such revision, CodeRevisionExpired if it was thinned.
func (l *Ledger) ListAt(ctx context.Context, namespace string, number int64) (Snapshot, error) {
	ns, err := l.namespace(namespace)
	if err != nil {
		return Snapshot{}, err
	}
	head := ns.state.Load().Snapshot
	if number == head.Revision.Number {
		return head, nil
	}
	if number < 1 || number > head.Revision.Number {
		return Snapshot{}, errNoRevision(namespace, number, head.Revision.Number)
	}
	key := cacheKey{namespace, number}
	if s, ok := l.earlier.get(key); ok && !ns.isThinned(number) { // what is thinned can go at any time
		return s, nil
	}
	rev, err := ns.chain.revision(ctx, number)
	if errors.Is(err, registry.ErrNotFound) {
		// It is asked now whether that was thinned, which may have happened meanwhile.
		if ns.isThinned(number) {
			return Snapshot{}, fail(CodeRevisionExpired, err, "the content of revision %d of namespace %s is not kept any more; the oldest revision that is kept is %d", number, namespace, numberOf(ns.state.Load().checkpoint)+1)
		}
	}
	if err != nil {
		return Snapshot{}, readFailed(err, "revision %d of namespace %s", number, namespace)
	}
	s, err := readState(l.layout, namespace, rev)
	if err != nil {
		return Snapshot{}, fail(CodeCorrupt, err, "revision %d of namespace %s is damaged in the registry", number, namespace)
	}
	l.earlier.put(key, s.Snapshot)
	return s.Snapshot, nil
}

// isThinned reports whether a checkpoint holds the revision, so that its content
// may be gone.
func (ns *namespace) isThinned(number int64) bool {
	return number <= numberOf(ns.state.Load().checkpoint)
}

func errNoRevision(namespace string, number, last int64) *Error {
	return fail(CodeNotFound, nil, "namespace %s has no revision %d; its last one is %d", namespace, number, last)
}
