package fsck

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

var errEnough = errors.New("too many findings")

// counts are the numbers of a Summary while they grow.
type counts struct {
	namespaces, ofNamespaces, revisions, thinned, versions, thinnedVersions, deployments atomic.Int64
}

// collector gathers findings, and what may become one.
type collector struct {
	mu        sync.Mutex
	summary   Summary // of findings alone
	suspects  []suspect
	last      time.Time // when the last suspect was seen
	truncated bool
}

// suspect is a finding that a write under way could explain. still reads again
// whether it stands.
type suspect struct {
	finding Finding
	chain   *chain // whose refresh it relies on; may be nil
	still   func(ctx context.Context) (bool, error)
}

// finding completes a finding with what its code says.
func complete(f Finding) Finding {
	k := kindOf(f.Code)
	if f.Severity == "" {
		f.Severity = k.severity
	}
	if f.Advice == "" {
		f.Advice = k.advice
	}
	return f
}

// report tells a finding that is certain. It returns errEnough when there are
// too many.
func (r *run) report(f Finding) error {
	f = complete(f)
	c := &r.found
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.truncated {
		return errEnough
	}
	switch f.Severity {
	case Error:
		c.summary.Errors++
	case Warning:
		c.summary.Warnings++
	default:
		c.summary.Infos++
	}
	if r.o.Found != nil {
		r.o.Found(f)
	}
	if c.summary.Errors+c.summary.Warnings+c.summary.Infos >= MaxFindings {
		c.truncated = true
		return errEnough
	}
	return nil
}

// suspect notes what looks wrong, to be read again at the end. Beyond
// MaxFindings the rest is not looked for any more.
func (r *run) suspect(s suspect) error {
	c := &r.found
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.suspects) < MaxFindings {
		c.suspects = append(c.suspects, s)
		c.last = time.Now()
	}
	return nil
}

// confirm reads again what looked wrong: at once, and what then still does once
// more when every write that was under way has landed.
func (r *run) confirm(ctx context.Context) error {
	suspects := r.found.suspects
	for _, wait := range []time.Duration{0, time.Until(r.found.last.Add(r.o.Patience))} {
		if len(suspects) == 0 {
			return nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
		var remain []suspect
		refreshed := map[*chain]bool{}
		for _, s := range suspects {
			if c := s.chain; c != nil && !refreshed[c] {
				if err := c.refresh(ctx); err != nil {
					return err
				}
				refreshed[c] = true
			}
			still, err := s.still(ctx)
			if err != nil {
				return err
			}
			if still {
				remain = append(remain, s)
			}
		}
		suspects = remain
	}
	for _, s := range suspects {
		if err := r.report(s.finding); err != nil {
			return err
		}
	}
	return nil
}

// summary is what is known by now.
func (r *run) summary() Summary {
	r.found.mu.Lock()
	s := r.found.summary
	s.Truncated = r.found.truncated
	r.found.mu.Unlock()
	s.Namespaces, s.OfNamespaces = int(r.counts.namespaces.Load()), int(r.counts.ofNamespaces.Load())
	s.Revisions, s.Thinned = r.counts.revisions.Load(), r.counts.thinned.Load()
	s.Versions, s.ThinnedVersions = r.counts.versions.Load(), r.counts.thinnedVersions.Load()
	s.Deployments, s.Bytes, s.Requests = r.counts.deployments.Load(), r.reader.bytes.Load(), r.reader.requests.Load()
	return s
}

// progressPause is how often progress is told.
const progressPause = 200 * time.Millisecond

// tellProgress tells it until stop is called.
func (r *run) tellProgress() (stop func()) {
	if r.o.Progress == nil {
		return func() {}
	}
	quit := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		tick := time.NewTicker(progressPause)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.o.Progress(r.summary())
			case <-quit:
				return
			}
		}
	})
	return func() {
		close(quit)
		wait.Wait()
	}
}
