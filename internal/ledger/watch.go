package ledger

import (
	"sync"
	"sync/atomic"
)

// published is a namespace's content at its head, nil until it was read. Who
// waits for the next one is woken by a channel, so that nothing runs for them.
// It is safe for concurrent use.
type published struct {
	atomic.Pointer[state]

	mu   sync.Mutex
	next chan struct{} // closed by the next Store; nil while nobody waits
}

// Store makes s the content and wakes who waits for it.
func (p *published) Store(s *state) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.Pointer.Store(s)
	if p.next != nil {
		close(p.next)
		p.next = nil
	}
}

// awaited reports whether somebody waits for the next one.
func (p *published) awaited() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.next != nil
}

// watch returns the present content, and a channel that is closed once there
// is another.
func (p *published) watch() (*state, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.next == nil {
		p.next = make(chan struct{})
	}
	return p.Load(), p.next
}

// Watch returns a namespace's last revision, and a channel that is closed once
// there is a later one. It holds nothing for the caller: who sees the channel
// closed reads what came with Commit, from the last one that it knows on, and
// calls Watch again.
func (l *Ledger) Watch(namespace string) (Revision, <-chan struct{}, error) {
	ns, err := l.namespace(namespace)
	if err != nil {
		return Revision{}, nil, err
	}
	s, next := ns.state.watch()
	return s.Revision, next, nil
}
