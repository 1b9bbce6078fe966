package ledger

import (
	"context"
	"time"
)

// standing is what a slice of deletions knows of the claim. Unlike a tag, what a
// late deletion removes cannot be put back, so that each is preceded by a look
// at the claim that is recent enough: who has claimed the prefix since that look
// began cannot have settled before the deletion ends.
type standing struct {
	claim *claim
	turn  chan struct{} // held by who looks
	asked time.Time     // when the last look began
}

// standingTime is for how long a look counts: longer than one can take, and so
// short that with a deletion's own time-out it stays far below settle.
const standingTime = readTimeout + sliceTime

func newStanding(c *claim) *standing { return &standing{claim: c, turn: make(chan struct{}, 1)} }

// check returns nil if the claim stood a moment ago, else what claim.check does.
// It may be called concurrently.
func (s *standing) check(ctx context.Context) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	for s.asked.IsZero() || time.Since(s.asked) >= standingTime {
		asked := time.Now()
		if err := s.claim.check(ctx); err != nil {
			return err
		}
		s.asked = asked
	}
	return nil
}
