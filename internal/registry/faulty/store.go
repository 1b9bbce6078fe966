package faulty

import (
	"slices"
	"sync"
	"time"
)

// DefaultTimeout of a request, as of a remote registry's.
const DefaultTimeout = 5 * time.Second

// Store is a registry.Registry in memory. It is safe for concurrent use.
// Everything is durable at once; a test restarts what stands on it by opening
// that again over the same Store.
type Store struct {
	*memory
	closed chan struct{}

	mu      sync.Mutex
	fault   func(Op) Fault
	timeout time.Duration
	ops     []Op
	late    []*lateWrite
}

// lateWrite is a write that takes effect when its timer fires.
type lateWrite struct {
	due   time.Time
	timer *time.Timer
	apply func()
}

// New returns an empty registry without faults.
func New() *Store { return connect(&memory{repos: map[string]*repository{}}) }

func connect(m *memory) *Store {
	return &Store{memory: m, closed: make(chan struct{}), timeout: DefaultTimeout}
}

// Raw returns another Store over the same content: without faults, with a log
// of its own. Tests look at the content through it, or write as a second
// client would; it can be given faults of its own.
func (s *Store) Raw() *Store { return connect(s.memory) }

// SetFault sets the function that is asked before every request; nil means no
// faults. It may be called concurrently and may use the Store's methods.
func (s *Store) SetFault(f func(Op) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// SetTimeout sets after what time a request gives up, whatever its context
// says. Zero means that only the context ends it.
func (s *Store) SetTimeout(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timeout = d
}

// Ops returns all requests so far, in the order in which they began.
func (s *Store) Ops() []Op {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ops)
}

// Count returns how many requests of the kinds there were; of all kinds, if
// none is named.
func (s *Store) Count(kinds ...Kind) int {
	n := 0
	for _, op := range s.Ops() {
		if len(kinds) == 0 || slices.Contains(kinds, op.Kind) {
			n++
		}
	}
	return n
}

// begin logs a request and returns its fault and time-out.
func (s *Store) begin(op Op) (Fault, time.Duration) {
	s.mu.Lock()
	op.N = len(s.ops) + 1
	s.ops = append(s.ops, op)
	fault, timeout := s.fault, s.timeout
	s.mu.Unlock()
	if fault == nil {
		return nil, timeout
	}
	return fault(op), timeout
}

// schedule lets a write take effect later.
func (s *Store) schedule(after time.Duration, apply func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return
	default:
	}
	w := &lateWrite{due: time.Now().Add(after), apply: apply}
	w.timer = time.AfterFunc(after, func() { s.finish(w) })
	s.late = append(s.late, w)
}

// finish lets a late write take effect, unless that happened already.
func (s *Store) finish(w *lateWrite) {
	s.mu.Lock()
	i := slices.Index(s.late, w)
	if i >= 0 {
		s.late = slices.Delete(s.late, i, i+1)
	}
	s.mu.Unlock()
	if i >= 0 {
		w.apply()
	}
}

// Pending returns how many late writes have yet to take effect.
func (s *Store) Pending() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.late)
}

// Flush lets all pending late writes take effect now, in the order in which
// they were due.
func (s *Store) Flush() {
	s.mu.Lock()
	pending := slices.Clone(s.late)
	s.mu.Unlock()
	slices.SortStableFunc(pending, func(a, b *lateWrite) int { return a.due.Compare(b.due) })
	for _, w := range pending {
		w.timer.Stop()
		s.finish(w)
	}
}

// Close drops the pending late writes and ends the requests that wait; later
// requests do not wait. It may be called more than once. The content stays.
func (s *Store) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.closed:
		return
	default:
		close(s.closed)
	}
	for _, w := range s.late {
		w.timer.Stop()
	}
	s.late = nil
}
