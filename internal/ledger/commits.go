package ledger

import (
	"container/list"
	"sync"

	"gitops-squared.io/gsq/internal/artifact"
)

// cachedCommitBytes bounds the commit records that are held for readers of the
// history, over all namespaces.
const cachedCommitBytes = 32 << 20

// commits holds the commit records that were read or written last, by their
// sizes. A record never changes, so nothing in it is ever wrong.
type commits struct {
	mu    sync.Mutex
	held  map[cacheKey]*list.Element
	order list.List // of cachedCommit, the last used first
	bytes int
}

type cachedCommit struct {
	key    cacheKey
	commit Commit
	bytes  int
}

func (c *commits) get(k cacheKey) (Commit, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.held[k]
	if !ok {
		return Commit{}, false
	}
	c.order.MoveToFront(e)
	return e.Value.(cachedCommit).commit, true
}

func (c *commits) put(k cacheKey, commit Commit) {
	size := commitBytes(commit)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held = map[cacheKey]*list.Element{}
	}
	if _, ok := c.held[k]; ok || size > cachedCommitBytes/4 {
		return
	}
	c.held[k] = c.order.PushFront(cachedCommit{k, commit, size})
	for c.bytes += size; c.bytes > cachedCommitBytes; {
		last := c.order.Remove(c.order.Back()).(cachedCommit)
		delete(c.held, last.key)
		c.bytes -= last.bytes
	}
}

// commitBytes is about what a commit takes in memory.
func commitBytes(c Commit) int {
	const fixed, change = 512, 400
	size := fixed + len(c.Changes)*change
	for _, r := range c.Changes {
		size += len(r.Name) + len(r.Actor) + len(r.Reason)
	}
	return size
}

func commitOf(m artifact.Thinned) (Commit, error) {
	stamp, err := m.Record.Stamp()
	if err != nil {
		return Commit{}, err
	}
	return Commit{
		Revision: Revision{Number: m.Record.Number, Digest: m.Manifest.Digest, Time: stamp.Time()},
		Parent:   m.Record.Parent, Writer: m.Record.Writer, Changes: m.Record.Changes, Checkpoint: m.Record.Checkpoint,
	}, nil
}
