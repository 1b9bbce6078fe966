package load

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/gsq"
)

// writer is one caller. It owns its resources, so that it knows the order of
// everything that was done to them.
type writer struct {
	id        int
	namespace string
	server    *gsq.Server
	writes    int
	random    *rand.Rand
	resources []*resource
	fallback  *gsq.Server
	pause     time.Duration
	load      *Load

	attempts                                            []*attempt
	acknowledged, unknown, missing, refused, superseded int
	slowest                                             time.Duration
}

// errStopped says that the load was stopped while a write had no outcome, and
// that it did not happen.
var errStopped = errors.New("stopped")

// retryPause is how long a writer waits after a refusal.
const retryPause = 50 * time.Millisecond

// answerTimeout is far above the server's own bound on an answer.
const answerTimeout = 30 * time.Second

func newWriter(o Options, id int, l *Load) *writer {
	w := &writer{
		id: id, namespace: o.Namespaces[id%len(o.Namespaces)], server: o.Server, writes: o.Writes,
		fallback: o.Fallback, pause: o.Pause, load: l,
		random: rand.New(rand.NewPCG(o.Seed, uint64(id)+1)),
	}
	for i := range o.Resources {
		w.resources = append(w.resources, newResource(fmt.Sprintf("%sw%d-r%d", o.Name, id, i)))
	}
	return w
}

func (w *writer) run(ctx context.Context) error {
	for n := range w.writes {
		if n > 0 && w.stopped(ctx, w.pause) {
			return context.Cause(ctx)
		}
		a := w.next(n)
		if err := w.perform(ctx, a); errors.Is(err, errStopped) {
			return nil
		} else if err != nil {
			return fmt.Errorf("writer %d, write %d: %w", w.id, n, err)
		}
		w.load.finished.Add(1)
		if n%5 == 0 {
			if err := w.look(ctx, w.resources[w.random.IntN(len(w.resources))]); err != nil {
				return fmt.Errorf("writer %d, after write %d: %w", w.id, n, err)
			}
		}
	}
	return nil
}

// next chooses the next write. After an unknown outcome, half of the time it
// is the same again: that is what callers are told to do.
func (w *writer) next(n int) *attempt {
	if n > 0 {
		last := w.attempts[n-1]
		if last.outcome == unknownOutcome && last.repeatable() && w.random.IntN(2) == 0 {
			again := *last
			return &again
		}
	}
	a := &attempt{}
	first := w.random.IntN(len(w.resources))
	spec := func(i int) *api.Spec { // no two writes want the same
		return &api.Spec{Type: "vm", Size: []string{"small", "medium", "large"}[n%3], Region: fmt.Sprintf("w%d-n%d-%d", w.id, n, i), Replicas: 1 + n%10}
	}
	switch kind := w.random.IntN(10); {
	case kind < 2:
		a.changes = []change{{w.resources[first], nil}}
	case kind < 4: // several at once
		a.apply = true
		for i := range min(3, len(w.resources)) {
			r := w.resources[(first+i)%len(w.resources)]
			if i == 2 && r.certainlyPresent() {
				a.changes = append(a.changes, change{r, nil})
			} else {
				a.changes = append(a.changes, change{r, spec(i)})
			}
		}
	default:
		a.changes = []change{{w.resources[first], spec(0)}}
	}
	return a
}

// perform sends a write until it has an outcome, and records that.
func (w *writer) perform(ctx context.Context, a *attempt) error {
	method, path, body := a.request(w.namespace)
	for {
		began := time.Now()
		answered, err := w.send(ctx, method, path, body)
		if err == nil {
			w.slowest = max(w.slowest, time.Since(began))
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, gsq.ErrNotSent):
		case err != nil, answered.Code() == api.CodeOutcomeUnknown:
			w.unknown++
			a.outcome = unknownOutcome
			w.record(a)
			return nil
		case answered.Status == http.StatusServiceUnavailable: // nothing changed
			w.refused++
			if answered.Code() == api.CodeSuperseded {
				w.superseded++
				if w.fallback != nil {
					w.server, w.fallback = w.fallback, w.server
				}
			}
		case answered.Status == http.StatusNotFound && a.deletesOne():
			w.missing++
			a.outcome = missingOutcome
			return w.settle(a)
		case answered.Status/100 == 2:
			w.acknowledged++
			w.load.acknowledged.Add(1)
			if err := a.read(answered); err != nil {
				return err
			}
			return w.settle(a)
		default:
			return fmt.Errorf("%s %s %s: answered %d %s", method, path, body, answered.Status, answered.Body)
		}
		if w.stopped(ctx, retryPause) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return errStopped
		}
	}
}

// stopped pauses, and returns true if the load or ctx ended by then.
func (w *writer) stopped(ctx context.Context, pause time.Duration) bool {
	select {
	case <-ctx.Done():
		return true
	case <-w.load.stopping:
		return true
	case <-time.After(pause):
		return false
	}
}

func (w *writer) send(ctx context.Context, method, path string, body []byte) (gsq.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	if body == nil {
		return w.server.Do(ctx, method, path, nil)
	}
	return w.server.Do(ctx, method, path, body)
}

// settle checks an answer against what was possible, and records it.
func (w *writer) settle(a *attempt) error {
	if err := a.plausible(); err != nil {
		return err
	}
	w.record(a)
	return nil
}

func (w *writer) record(a *attempt) {
	w.attempts = append(w.attempts, a)
	for _, c := range a.changes {
		c.resource.after(c.spec, a.outcome)
	}
}

// look reads a resource: it must be in a state that is possible.
func (w *writer) look(ctx context.Context, r *resource) error {
	answered, err := w.send(ctx, http.MethodGet, "/api/v1/namespaces/"+w.namespace+"/resources/"+r.name, nil)
	switch {
	case err != nil, answered.Status == http.StatusServiceUnavailable:
		return nil // it is down: nothing was learnt
	case answered.Status == http.StatusNotFound:
		if !r.mayBe(nil) {
			return fmt.Errorf("%s is missing: %s", r.name, answered.Body)
		}
		return nil
	case answered.Status != http.StatusOK:
		return fmt.Errorf("reading %s: answered %d %s", r.name, answered.Status, answered.Body)
	}
	var got api.Resource
	if err := answered.Decode(&got); err != nil {
		return err
	}
	if !r.mayBe(&got.Spec) {
		return fmt.Errorf("%s is %+v, possible is %s", r.name, got.Spec, r)
	}
	return nil
}
