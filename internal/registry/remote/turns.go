package remote

import (
	"context"
	"slices"
	"strings"
	"sync"
)

// turns bounds how many requests run at once. Those that wait are served in
// turn: one of each tenant that has any, then the next of each, so that many
// requests of one tenant do not delay the few of another.
type turns struct {
	mu      sync.Mutex
	free    int
	waiting map[string][]chan struct{} // by tenant, in order of arrival; closed when it is their turn
	order   []string                   // tenants that wait, the next to be served first
}

func newTurns(n int) *turns {
	return &turns{free: n, waiting: map[string][]chan struct{}{}}
}

// acquire waits for the tenant's turn, or returns the context's error. Each
// success must be followed by one release.
func (q *turns) acquire(ctx context.Context, tenant string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	q.mu.Lock()
	if q.free > 0 { // then nobody waits
		q.free--
		q.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	if len(q.waiting[tenant]) == 0 {
		q.order = append(q.order, tenant)
	}
	q.waiting[tenant] = append(q.waiting[tenant], turn)
	q.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		if !q.leave(tenant, turn) {
			q.release() // it became our turn at the same time
		}
		return ctx.Err()
	}
}

// leave takes a waiter out of its queue; false if it is not there any more.
func (q *turns) leave(tenant string, turn chan struct{}) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.waiting[tenant], turn)
	if i < 0 {
		return false
	}
	q.waiting[tenant] = slices.Delete(q.waiting[tenant], i, i+1)
	if len(q.waiting[tenant]) == 0 {
		delete(q.waiting, tenant)
		q.order = slices.DeleteFunc(q.order, func(t string) bool { return t == tenant })
	}
	return true
}

// release gives the place to the next that waits.
func (q *turns) release() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.order) == 0 {
		q.free++
		return
	}
	tenant := q.order[0]
	q.order = q.order[1:]
	queue := q.waiting[tenant]
	close(queue[0])
	if len(queue) > 1 {
		q.waiting[tenant] = queue[1:]
		q.order = append(q.order, tenant)
	} else {
		delete(q.waiting, tenant)
	}
}

// tenant returns on whose behalf a repository is used: the namespace, if the
// name is that of a resource (…/resources/<namespace>/<name>) or of a catalog
// (…/catalogs/<namespace>, …/catalog for "default"), else the repository.
func tenant(repository string) string {
	parts := strings.Split(repository, "/")
	last := len(parts) - 1
	switch {
	case last >= 2 && parts[last-2] == "resources":
		return "namespace " + parts[last-1]
	case last >= 1 && parts[last-1] == "catalogs":
		return "namespace " + parts[last]
	case parts[last] == "catalog":
		return "namespace default"
	}
	return repository
}
