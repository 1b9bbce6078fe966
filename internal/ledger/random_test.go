package ledger_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

var (
	randomSeeds = flag.Int("random-seeds", 50, "how many random runs TestRandomFaults makes")
	randomFirst = flag.Uint64("random-first", 1, "the seed of its first run")
)

// Clients write at random while requests to the registry fail at random and
// the process is stopped, killed and superseded. Each client knows the order of
// its own writes to its own resources, and that is all that the checks need: an
// acknowledged write is there until its client's next one, a write that changed
// nothing never appears, and what Flux reads is whole and never falls behind.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	for seed := *randomFirst; seed < *randomFirst+uint64(*randomSeeds); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) { newWorld(t, seed).run() })
		})
	}
}

var worldNamespaces = []string{"default", "team"}

// world is one random run. What is drawn depends on the order of requests, so
// a seed repeats the kind of a run, not its every step.
type world struct {
	t     *testing.T
	store *faulty.Store
	now   atomic.Pointer[process]

	mu     sync.Mutex
	rand   *rand.Rand
	stormy bool      // requests fail
	calm   time.Time // since when nothing fails and the same process runs; zero while something does

	acknowledged map[string]int64 // the highest revision, by namespace
	tags         map[string]string
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, store: initialised(t), rand: rand.New(rand.NewPCG(seed, 0)),
		acknowledged: map[string]int64{}, tags: map[string]string{},
	}
	w.store.SetFault(w.fault)
	return w
}

func (w *world) draw(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.rand.IntN(n)
}

func (w *world) seconds(limit int) time.Duration {
	return time.Duration(w.draw(limit*1000)) * time.Millisecond
}

// fault is every request's fate.
func (w *world) fault(op faulty.Op) faulty.Fault {
	w.mu.Lock()
	stormy := w.stormy
	w.mu.Unlock()
	if !stormy || w.draw(100) >= 8 {
		return nil
	}
	read := op.Kind == faulty.Get || op.Kind == faulty.Resolve
	switch w.draw(9) {
	case 0:
		return faulty.Refused
	case 1:
		return faulty.Unreachable
	case 2:
		return faulty.NotStored
	case 3:
		return faulty.Timeout
	case 4:
		return faulty.Delay{For: w.seconds(6)}
	case 5:
		if read {
			return faulty.Corrupt
		}
		return faulty.StoredButError
	default:
		return faulty.StoredLate{After: w.seconds(10)}
	}
}

func (w *world) run() {
	w.now.Store(start(w.t, w.store))
	var clients sync.WaitGroup
	all := make([]*client, 4)
	for i := range all {
		all[i] = &client{w: w, name: fmt.Sprintf("c%d", i), may: map[string][]string{}, had: map[string][]*ledger.Entry{}}
		clients.Go(all[i].run)
	}
	var weather, watch sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	weather.Go(func() { w.weather(ctx) })
	watching, cancelWatch := context.WithCancel(context.Background())
	watch.Go(func() { w.watch(watching) })
	clients.Wait()
	cancel()
	weather.Wait()
	w.setStormy(false)
	time.Sleep(2 * time.Minute) // whatever is late lands, and is noticed
	cancelWatch()
	watch.Wait()

	w.restart(w.now.Load().stop)
	p := w.now.Load()
	for _, ns := range worldNamespaces {
		apply(w.t, p, ns, put("next", "small"))
	}
	p.stop()
	w.store.Flush()
	live := inspect(w.t, w.store)
	for _, c := range all {
		c.check(live)
	}
}

func (w *world) setStormy(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stormy, w.calm = on, time.Now()
}

// weather changes what goes wrong, until ctx ends.
func (w *world) weather(ctx context.Context) {
	for ctx.Err() == nil {
		w.setStormy(w.draw(3) > 0)
		p := w.now.Load()
		switch w.draw(6) {
		case 0:
			w.restart(p.stop)
		case 1:
			w.restart(p.kill)
		case 2:
			// A second one starts while the first still writes.
			w.restart(func() { time.AfterFunc(w.seconds(30), p.stop) })
		}
		select {
		case <-ctx.Done():
		case <-time.After(w.seconds(30)):
		}
	}
}

// restart ends the process in some way and puts another in its place.
func (w *world) restart(end func()) {
	end()
	w.now.Store(launch(w.t, w.store))
	for w.now.Load().Ready() != nil {
		time.Sleep(100 * time.Millisecond)
		if code(w.now.Load().Ready()) == ledger.CodeSuperseded {
			w.t.Error("a ledger was superseded that nobody followed")
			return
		}
	}
	w.mu.Lock()
	w.calm = time.Now()
	w.mu.Unlock()
}

func (w *world) acknowledge(namespace string, r ledger.Revision) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.acknowledged[namespace] = max(w.acknowledged[namespace], r.Number)
}

// behindLimit is for how long latest may be behind while a ledger runs and
// nothing fails: it looks each second while a write of its own can land.
const behindLimit = 2 * time.Second

// watch is Flux, and somebody who compares.
func (w *world) watch(ctx context.Context) {
	behind := map[string]time.Time{}
	for ctx.Err() == nil {
		for _, ns := range worldNamespaces {
			w.mu.Lock()
			want, calm := w.acknowledged[ns], w.calm
			settled := !w.stormy && time.Since(calm) > 6*time.Second
			w.mu.Unlock()
			number := w.read(ns)
			if number >= want || !settled {
				delete(behind, ns)
			} else if since, ok := behind[ns]; !ok {
				behind[ns] = time.Now()
			} else if time.Since(since) > behindLimit {
				w.t.Errorf("%s: latest is revision %d for %v although %d was acknowledged", ns, number, time.Since(since), want)
			}
		}
		time.Sleep(250 * time.Millisecond)
	}
}

// read reads a namespace's latest as Flux does; it must be whole. It returns 0
// for one that is not there.
func (w *world) read(namespace string) int64 {
	raw, repo := w.store.Raw(), artifact.Layout{Prefix: prefix}.Catalog(namespace)
	a, err := raw.Get(context.Background(), repo, artifact.Latest)
	if err != nil {
		return 0
	}
	rev, err := artifact.Unpack(artifact.TypeFluxConfig, artifact.TypeFluxContent, a)
	if err != nil {
		w.t.Fatalf("%s: latest: %v", namespace, err)
	}
	if _, err := catalog.Unpack(namespace, rev.Layer.Data); err != nil {
		w.t.Fatalf("%s: latest: %v", namespace, err)
	}
	// Revision tags are write-once.
	for n := max(1, rev.Record.Number-1); n <= rev.Record.Number+1; n++ {
		d, err := raw.Resolve(context.Background(), repo, artifact.RevisionTag(n))
		if err != nil {
			continue
		}
		key := repo + ":" + artifact.RevisionTag(n)
		if before, ok := w.tags[key]; ok && before != d.Digest.String() {
			w.t.Errorf("%s named %s, and now %s", key, before, d.Digest)
		}
		w.tags[key] = d.Digest.String()
	}
	return rev.Record.Number
}

// client writes its own resources, one request after the other.
type client struct {
	w    *world
	name string
	may  map[string][]string        // what each resource may be, "" for absent; by namespace/name
	had  map[string][]*ledger.Entry // what it is known to have been
}

func (c *client) run() {
	for i := range 14 {
		c.write(i)
		time.Sleep(c.w.seconds(3))
	}
}

func (c *client) possible(key string) []string {
	if m, ok := c.may[key]; ok {
		return m
	}
	return []string{""}
}

func (c *client) write(i int) {
	w := c.w
	r := ledger.Request{Namespace: worldNamespaces[w.draw(len(worldNamespaces))]}
	want := map[string]string{}
	for k := range 1 + w.draw(2) {
		name := fmt.Sprintf("%s-%d", c.name, k)
		if w.draw(4) == 0 {
			r.Changes, want[r.Namespace+"/"+name] = append(r.Changes, del(name)), ""
			continue
		}
		if had := c.had[r.Namespace+"/"+name]; len(had) > 0 && w.draw(4) == 0 {
			e := had[w.draw(len(had))]
			r.Changes, want[r.Namespace+"/"+name] = append(r.Changes, ledger.Change{Name: name, Version: e.Version}), e.Spec.Region
			continue
		}
		spec := intent.Spec{Type: "vm", Size: "small", Region: fmt.Sprintf("%s-%d", c.name, i), Replicas: 1 + w.draw(10)}
		r.Changes, want[r.Namespace+"/"+name] = append(r.Changes, ledger.Change{Name: name, Spec: spec}), spec.Region
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if w.draw(10) == 0 { // the caller hangs up
		defer time.AfterFunc(w.seconds(4), cancel).Stop()
	}
	p, began := w.now.Load(), time.Now()
	result, err := p.Apply(ctx, r)
	if took := time.Since(began); took > 5*time.Second {
		w.t.Errorf("an answer after %v: %v", took, err)
	}
	cut := p.line.cut.Load()
	switch answer := code(err); {
	case err == nil:
		w.acknowledge(r.Namespace, result.Revision)
		for _, o := range result.Outcomes {
			key := r.Namespace + "/" + o.Name
			before := ""
			if o.Before != nil {
				before = o.Before.Spec.Region
			}
			if !slices.Contains(c.possible(key), before) {
				w.t.Errorf("%s: before its change it was %q, want one of %q", key, before, c.possible(key))
			}
			c.may[key] = []string{want[key]}
			if o.After != nil {
				c.had[key] = append(c.had[key], o.After)
			}
		}
	case answer == ledger.CodeOutcomeUnknown || cut && err != nil:
		for key, value := range want {
			c.may[key] = append(slices.Clone(c.possible(key)), value)
		}
	case answer == ledger.CodeNotFound || answer == ledger.CodeNamespaceNotFound:
		absent := false
		for key, value := range want {
			absent = absent || value == "" && slices.Contains(c.possible(key), "")
		}
		if !absent {
			w.t.Errorf("%v, but none of %v may be absent: %v", err, want, c.may)
		}
	case answer == ledger.CodeRegistryUnavailable, answer == ledger.CodeNotReady, answer == ledger.CodeSuperseded,
		answer == ledger.CodeCorrupt: // as it looked to a start
	default:
		w.t.Errorf("unexpected answer: %v", err)
	}
}

// check compares the end with what this client was told.
func (c *client) check(live map[string]map[string]string) {
	for key, may := range c.may {
		ns, name, _ := strings.Cut(key, "/")
		got := ""
		if yaml := live[ns][name]; yaml != "" {
			r, err := intent.Parse([]byte(yaml))
			if err != nil {
				c.w.t.Fatal(err)
			}
			got = r.Spec.Region
		}
		if !slices.Contains(may, got) {
			c.w.t.Errorf("%s is %q at the end, want one of %q", key, got, may)
		}
	}
}
