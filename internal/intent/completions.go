package intent

import "sync"

// Bounds of what completions remember.
const (
	maxKnownSpecs = 1024
	maxKnownText  = 256 // bytes of one spec
)

// completions remembers valid specs with their defaults filled in. There are
// many resources and few kinds of spec. The zero value is empty.
type completions struct {
	mu    sync.RWMutex
	specs map[Spec]Spec
}

func (c *completions) find(spec Spec) (Spec, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	complete, ok := c.specs[spec]
	return complete, ok
}

func (c *completions) add(spec, complete Spec) {
	if len(complete.Type)+len(complete.Size)+len(complete.Region) > maxKnownText {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.specs == nil || len(c.specs) >= maxKnownSpecs {
		c.specs = make(map[Spec]Spec) // as good as any choice of what to forget
	}
	c.specs[spec] = complete
}
