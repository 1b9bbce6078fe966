package proxy

import (
	"net/http"
	"sync"
	"time"
)

// stale remembers what tags named before they were put.
type stale struct {
	lag time.Duration

	mu  sync.Mutex
	old map[string]past // by path
}

type past struct {
	answer Answer
	until  time.Time
}

// Stale returns a fault for requests of tags (/v2/.../manifests/<tag>): for lag
// after a tag was put, it reads as before, which may be "not found". Several
// puts in that time are seen together when the last is that old.
func Stale(lag time.Duration) Fault {
	s := &stale{lag: lag, old: map[string]past{}}
	return s.answer
}

func (s *stale) answer(c *Call) {
	switch c.Method {
	case http.MethodPut:
		s.put(c)
	case http.MethodGet, http.MethodHead:
		if before, ok := s.before(c.Path); ok {
			c.Reply(before)
			return
		}
		c.Pass()
	default:
		c.Pass()
	}
}

func (s *stale) put(c *Call) {
	answer, lagging := s.before(c.Path)
	if !lagging {
		var err error
		if answer, err = c.Now(); err != nil {
			c.Reset() // not forwarded: it would show at once
			return
		}
	}
	s.remember(c.Path, answer)
	c.Pass()
	s.remember(c.Path, answer)
}

func (s *stale) remember(path string, a Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.old[path] = past{a, time.Now().Add(s.lag)}
}

func (s *stale) before(path string) (Answer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.old[path]
	if ok && !time.Now().Before(p.until) {
		delete(s.old, path)
		ok = false
	}
	return p.answer, ok
}
