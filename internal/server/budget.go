package server

import "sync"

// budget bounds the bytes that are held at once. A holder may have as much as
// nobody has: alone it gets a half, and with others around, what it gives back
// it gets again only up to an equal share. It is safe for concurrent use.
type budget struct {
	total int64

	mu   sync.Mutex
	held int64
	by   map[string]int64 // holders and what they hold
}

func newBudget(total int64) *budget { return &budget{total: total, by: map[string]int64{}} }

// take reserves n bytes for a holder, which must be given back, or reports
// that they are too many.
func (b *budget) take(holder string, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.by[holder]+n > b.total-b.held {
		return false
	}
	b.held += n
	b.by[holder] += n
	return true
}

func (b *budget) give(holder string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held -= n
	if b.by[holder] -= n; b.by[holder] == 0 {
		delete(b.by, holder)
	}
}
