package ledger

import (
	"sync"
	"time"

	"gitops-squared.io/gsq/internal/intent"
)

// stamps issues the ledger's time: max(clock, highest issued + 1) in Unix
// microseconds, so that versions increase whatever the clock does.
type stamps struct {
	now  func() time.Time
	mu   sync.Mutex
	last intent.Version
}

func (s *stamps) next() intent.Version {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(intent.Version(s.now().UnixMicro()), s.last+1)
	return s.last
}

// observe raises the highest issued to v, which was read from the registry.
func (s *stamps) observe(v intent.Version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = max(s.last, v)
}
