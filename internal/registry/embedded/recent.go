package embedded

import "sync"

// recentChunks remembers chunks that are stored, so that a catalog's unchanged
// ones need not be looked for each time: the newest maxRecent to twice as many.
// Only a collection deletes chunks; it removes them here before it lets writers
// go on, who hold Store.blobs from asking here until they have written.
type recentChunks struct {
	mu          sync.Mutex
	young, aged map[chunkSum]struct{}
}

// maxRecent is what some hundred namespaces need; a sum takes about 50 bytes.
const maxRecent = 16 << 10

func (r *recentChunks) has(sum chunkSum) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.young[sum]; ok {
		return true
	}
	if _, ok := r.aged[sum]; !ok {
		return false
	}
	r.insert(sum) // it is used, so it stays
	return true
}

// add notes chunks that have been applied.
func (r *recentChunks) add(sums map[chunkSum]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for sum := range sums {
		r.insert(sum)
	}
}

func (r *recentChunks) insert(sum chunkSum) {
	if r.young == nil || len(r.young) >= maxRecent {
		r.young, r.aged = map[chunkSum]struct{}{}, r.young
	}
	r.young[sum] = struct{}{}
}

// remove forgets a chunk that is being deleted.
func (r *recentChunks) remove(sum chunkSum) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.young, sum)
	delete(r.aged, sum)
}

// forget makes everything be looked for again, after a chunk was found missing.
func (r *recentChunks) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.young, r.aged = nil, nil
}
