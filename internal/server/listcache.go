package server

import (
	"sync"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/ledger"
)

// cachedListBytes bounds the whole lists that are held encoded, also those
// that nobody but a slow reader still needs.
const cachedListBytes = 8 << 20

// listCache holds the last whole list of each namespace as it is answered, so
// that many who ask for one revision cost one encoding. It is safe for
// concurrent use.
type listCache struct {
	mu    sync.Mutex
	held  int // bytes, about
	lists map[string]*encodedList
}

type encodedList struct {
	revision digest.Digest // of the catalog: it names the content
	size     int           // about
	users    int           // answers that are being written, and the cache itself; guarded by listCache.mu
	once     sync.Once
	body     []byte
}

// acquire returns a namespace's whole list, which must be released, or nil if
// there is no room for it: then it has to be encoded for this answer alone.
func (c *listCache) acquire(namespace string, s ledger.Snapshot) *encodedList {
	c.mu.Lock()
	l := c.lists[namespace]
	if l == nil || l.revision != s.Revision.Digest {
		if l = c.add(namespace, s); l == nil {
			c.mu.Unlock()
			return nil
		}
	}
	l.users++
	c.mu.Unlock()
	l.once.Do(func() { l.body = wholeList(s).encoded() })
	return l
}

// add makes room for a list, at the cost of others.
func (c *listCache) add(namespace string, s ledger.Snapshot) *encodedList {
	size := 0
	for _, e := range s.Entries {
		size += len(e.YAML) // JSON takes about as much
	}
	c.remove(namespace)
	for other := range c.lists {
		if c.held+size <= cachedListBytes {
			break
		}
		c.remove(other)
	}
	if c.held+size > cachedListBytes {
		return nil
	}
	l := &encodedList{revision: s.Revision.Digest, size: size, users: 1}
	c.lists[namespace] = l
	c.held += size
	return l
}

func (c *listCache) remove(namespace string) {
	if l := c.lists[namespace]; l != nil {
		delete(c.lists, namespace)
		c.drop(l)
	}
}

// drop ends one use.
func (c *listCache) drop(l *encodedList) {
	if l.users--; l.users == 0 {
		c.held -= l.size
	}
}

// release ends the use of a list that was acquired.
func (c *listCache) release(l *encodedList) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(l)
}
