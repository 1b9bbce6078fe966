package ledger_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// modelRun carries out a plan.
type modelRun struct {
	t      testing.TB
	plan   plan
	store  *faulty.Store
	fresh  bool          // the store is not initialised yet
	settle time.Duration // after the clients have ended
	poll   time.Duration // between two looks whether a ledger is ready
	began  time.Time
	jump   atomic.Int64 // of the wall clock, in nanoseconds

	now    atomic.Pointer[modelProcess]
	former atomic.Pointer[modelProcess] // the superseded one, while it runs
	ticks  atomic.Int64                 // calls and returns so far

	mu      sync.Mutex
	ended   []time.Time   // the start, and each event's end
	freeze  time.Duration // how long the next move of a catalog's latest takes; 0: no longer than it takes
	all     []*operation
	calm    bool // the rules are over
	hits    []int
	ordinal map[string]int       // requests so far, by kind and repository
	moved   map[string]time.Time // when a tag last changed, if that is known
}

type modelProcess struct {
	*process
	stale atomic.Int64 // the tick after which another ledger may have written; 0: never
}

// findings keeps what is found wrong in a run, so that rapid can shrink it: a
// failed testing.T cannot pass again.
type findings struct {
	testing.TB
	mu    sync.Mutex
	found []string
}

type fatal struct{}

func (r *findings) add(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found = append(r.found, text)
}

func (r *findings) Error(args ...any)            { r.add(fmt.Sprint(args...)) }
func (r *findings) Errorf(f string, args ...any) { r.add(fmt.Sprintf(f, args...)) }
func (r *findings) Fatal(args ...any)            { r.Error(args...); panic(fatal{}) }
func (r *findings) Fatalf(f string, args ...any) { r.Errorf(f, args...); panic(fatal{}) }

// carryOut runs a plan in a bubble, in its time, and returns all operations and
// what was found wrong.
func carryOut(t *testing.T, p plan) (all []*operation, found []string) {
	synctest.Test(t, func(t *testing.T) {
		all, found = p.run(t, func(r *modelRun) {
			r.store = initialised(r.t)
			r.settle, r.poll = 2*time.Minute, 100*time.Millisecond
		})
	})
	return all, found
}

// carryOutForReal runs a plan in real time on several processors. It must be an
// exclusive one whose processes have nothing to wait for.
func carryOutForReal(t *testing.T, p plan) (all []*operation, found []string) {
	return p.run(t, func(r *modelRun) {
		r.store = faulty.New()
		r.fresh, r.poll = true, time.Millisecond
	})
}

func (p plan) run(t *testing.T, prepare func(*modelRun)) ([]*operation, []string) {
	f := &findings{TB: t}
	r := &modelRun{t: f, plan: p, hits: make([]int, len(p.rules)), ordinal: map[string]int{}, moved: map[string]time.Time{}}
	func() {
		defer func() {
			if e := recover(); e != nil && e != (fatal{}) {
				panic(e)
			}
		}()
		prepare(r)
		r.run()
	}()
	f.mu.Lock()
	defer f.mu.Unlock()
	return r.all, f.found
}

func (r *modelRun) run() {
	r.store.SetFault(r.fate)
	r.now.Store(r.launch())
	r.await()
	r.began = time.Now()
	r.end()

	var work sync.WaitGroup
	for i, steps := range r.plan.clients {
		c := newModelClient(r, i)
		work.Go(func() { c.run(steps) })
	}
	work.Go(r.events)
	work.Wait()
	r.mu.Lock()
	r.calm = true
	r.mu.Unlock()
	time.Sleep(r.settle) // whatever is late lands, and is noticed

	last := newModelClient(r, len(r.plan.clients))
	last.finish("before")
	r.replace(r.now.Load().stop)
	last.finish("after")
	r.now.Load().stop()
	if former := r.former.Load(); former != nil {
		former.stop()
	}
	r.store.Flush()
	inspect(r.t, r.store)
	r.check()
}

func (r *modelRun) launch() *modelProcess {
	f := &freezer{Store: r.store, r: r}
	p := &modelProcess{process: launch(r.t, f, func(o *ledger.Options) {
		o.Exclusive, o.Fresh = r.plan.exclusive, r.fresh
		o.Now = func() time.Time { return time.Now().Add(time.Duration(r.jump.Load())) }
	})}
	f.process.Store(p)
	return p
}

// freezer is a process's registry. A frozen process ends no wait, so that its
// request is sent whatever its context says, unless it is killed.
type freezer struct {
	*faulty.Store
	r       *modelRun
	process atomic.Pointer[modelProcess] // nil for a moment at its launch
}

func (f *freezer) Commit(ctx context.Context, t registry.Tag) error {
	if d := f.r.freezes(t); d > 0 {
		time.Sleep(d)
		if p := f.process.Load(); p != nil && p.line.cut.Load() {
			return registry.ErrUnavailable
		}
		ctx = context.WithoutCancel(ctx)
	}
	return f.Store.Commit(ctx, t)
}

// freezes returns for how long the process freezes before it moves a tag.
func (r *modelRun) freezes(t registry.Tag) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calm || !strings.Contains(t.Repository, "/catalog") {
		return 0
	}
	lasts := r.freeze
	r.freeze = 0
	return lasts
}

// freezing reports whether a process is still to freeze.
func (r *modelRun) freezing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.freeze > 0
}

// since returns the time since so many events have ended; negative if they have
// not, or if the clients are done. The caller holds mu.
func (r *modelRun) since(events int) time.Duration {
	if r.calm || events >= len(r.ended) {
		return -1
	}
	return time.Since(r.ended[events])
}

// end notes the end of an event.
func (r *modelRun) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = append(r.ended, time.Now())
}

// past returns how many events have ended.
func (r *modelRun) past() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ended) - 1
}

// await waits until the process is ready.
func (r *modelRun) await() {
	for p := r.now.Load(); p.Ready() != nil; time.Sleep(r.poll) {
		if code(p.Ready()) == ledger.CodeSuperseded {
			r.t.Errorf("a ledger was superseded that nobody followed")
			return
		}
		if time.Since(r.began) > time.Hour && !r.began.IsZero() {
			r.t.Errorf("the ledger is not ready: %v", p.Ready())
			return
		}
	}
}

// replace ends the process in some way and puts another in its place.
func (r *modelRun) replace(end func()) {
	end()
	r.now.Store(r.launch())
	r.await()
}

// supersede starts a second process while the first still writes.
func (r *modelRun) supersede(stays time.Duration) {
	first, second := r.now.Load(), r.launch()
	for {
		tick := r.ticks.Load()
		if err := second.Ready(); err == nil {
			first.stale.Store(max(1, tick))
			break
		} else if code(err) == ledger.CodeSuperseded {
			r.t.Errorf("a ledger was superseded that nobody followed")
			return
		}
		time.Sleep(r.poll)
	}
	if before := r.former.Swap(first); before != nil {
		before.stop()
	}
	r.now.Store(second)
	time.AfterFunc(stays, first.stop)
}

func (r *modelRun) events() {
	for _, e := range r.plan.events {
		time.Sleep(e.pause)
		switch e.kind {
		case eventStop:
			r.replace(r.now.Load().stop)
		case eventKill:
			r.replace(r.now.Load().kill)
		case eventSupersede:
			r.supersede(e.stays)
		case eventFreeze:
			r.mu.Lock()
			r.freeze = e.lasts
			r.mu.Unlock()
			for began := time.Now(); r.freezing() && time.Since(began) < 5*time.Second; {
				time.Sleep(r.poll)
			}
			r.supersede(e.stays)
		case eventForward:
			r.jump.Add(int64(time.Hour))
		case eventBack:
			r.jump.Add(-int64(time.Hour))
		}
		r.end()
	}
}

// fate is what happens to a request to the registry.
func (r *modelRun) fate(op faulty.Op) faulty.Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	read := op.Kind == faulty.Get || op.Kind == faulty.Resolve
	if f := r.spoilt(op, read); f != nil {
		return f
	}
	var late time.Duration
	if r.plan.latency > 0 {
		key := string(op.Kind) + op.Repository
		r.ordinal[key]++
		h := fnv.New32a()
		fmt.Fprint(h, key, r.ordinal[key])
		late = time.Duration(h.Sum32()) % r.plan.latency
	}
	if !read {
		r.moved[op.Repository+":"+op.Reference] = time.Now().Add(late)
	}
	if late == 0 {
		return nil
	}
	return faulty.Delay{For: late}
}

// spoilt returns the fault of the first rule that matches.
func (r *modelRun) spoilt(op faulty.Op, read bool) faulty.Fault {
	tag := op.Repository + ":" + op.Reference
	for i, rule := range r.plan.rules {
		switch {
		case r.hits[i] > rule.count, r.hits[i] == rule.count && rule.then == nil, r.since(rule.event) < rule.after, !strings.Contains(op.Repository, rule.repo):
			continue
		case rule.kind == anyRead && !read, rule.kind == anyWrite && read:
			continue
		case rule.kind != "" && rule.kind != anyRead && rule.kind != anyWrite && rule.kind != op.Kind:
			continue
		}
		fault := rule.fault
		if r.hits[i] == rule.count {
			fault = rule.then
		}
		_, late := fault.(faulty.StoredLate)
		switch {
		case fault == faulty.NotFound && (!read || op.Reference != "latest"), fault == faulty.Corrupt && !read:
			continue
		case fault == faulty.Stale && (!read || r.plan.exclusive || time.Since(r.moved[tag]) >= time.Second):
			continue // a remote registry is, and for a moment only
		case late && r.plan.exclusive:
			fault = faulty.StoredButError // nothing outlives the process
		}
		r.hits[i]++
		if !read && fault == faulty.StoredButError {
			r.moved[tag] = time.Now()
		} else if !read {
			delete(r.moved, tag) // if at all, nobody knows when
		}
		return fault
	}
	return nil
}

// check compares the clients' words with the specification and with the chain.
func (r *modelRun) check() {
	ids := map[string]*operation{}
	for _, o := range r.all {
		ids[o.id] = o
	}
	slices.SortFunc(r.all, func(a, b *operation) int { return int(a.call - b.call) })
	for _, ns := range worldNamespaces {
		p := readPast(r.t, r.store, ns, ids)
		for _, o := range r.all {
			if o.namespace != ns {
				continue
			}
			p.look(o)
			if err := p.explain(o); err != nil {
				r.t.Errorf("%v: %v", o, err)
			}
		}
		if err := checkOrder(ns, r.all); err != nil {
			r.t.Error(err)
		}
		if err := checkLinearizable(ns, r.all); err != nil {
			r.t.Error(err)
		}
	}
}

// checkTags looks for the tags of what was acknowledged just now, as Flux does.
func (r *modelRun) checkTags(o *operation) {
	raw, layout := r.store.Raw(), artifact.Layout{Prefix: prefix}
	names := func(repo, tag string, want digest.Digest) {
		if d, err := raw.Resolve(context.Background(), repo, tag); err != nil || d.Digest != want {
			r.t.Errorf("%v: it was answered, and %s:%s is %s (%v)", o, repo, tag, short(d.Digest.String()), err)
		}
	}
	repo := layout.Catalog(o.namespace)
	names(repo, artifact.RevisionTag(o.revision.Number), o.revision.Digest)
	if a, err := raw.Get(context.Background(), repo, artifact.Latest); err != nil {
		r.t.Errorf("%v: it was answered, and %s has no latest: %v", o, repo, err)
	} else if rev, err := artifact.Unpack(artifact.TypeFluxConfig, artifact.TypeFluxContent, a); err != nil {
		r.t.Errorf("%v: latest of %s: %v", o, repo, err)
	} else if o.moved() && rev.Record.Number < o.revision.Number && !r.plan.freezes() { // who was frozen may put it back
		r.t.Errorf("%v: it was answered, and latest of %s is revision %d", o, repo, rev.Record.Number)
	}
	for _, out := range o.outcomes {
		names(layout.Resource(intent.Ref{Namespace: o.namespace, Name: out.Name}), out.Version.String(), out.Digest)
	}
}

// modelClient makes one call after the other.
type modelClient struct {
	r      *modelRun
	number int
	calls  int
	seen   map[string][]string        // digests by namespace/name, the last one last
	had    map[string][]*ledger.Entry // the same, as they were
	last   map[string]int64           // the highest revision seen, by namespace
}

func newModelClient(r *modelRun, number int) *modelClient {
	return &modelClient{r: r, number: number, seen: map[string][]string{}, had: map[string][]*ledger.Entry{}, last: map[string]int64{}}
}

func (c *modelClient) run(steps []step) {
	for _, s := range steps {
		for past := c.r.past(); s.event && c.r.past() == past && past < len(c.r.plan.events); {
			time.Sleep(c.r.poll)
		}
		time.Sleep(s.pause)
		for p := c.r.now.Load(); s.patient && p.Ready() != nil && time.Since(c.r.began) < time.Hour; p = c.r.now.Load() {
			time.Sleep(c.r.poll)
		}
		o := &operation{namespace: worldNamespaces[s.namespace]}
		switch s.kind {
		case stepGet:
			o.get = modelNames[s.changes[0].name]
		case stepList:
			o.list = true
		case stepBack:
			to := max(1, c.last[o.namespace]-int64(s.back))
			o.request = &ledger.Request{Rollback: &ledger.Target{Revision: to}, Confirm: s.confirm, DryRun: s.dryRun}
		default:
			o.request, o.earlier = &ledger.Request{Prune: s.prune, Confirm: s.confirm, DryRun: s.dryRun}, map[string]cell{}
			for _, i := range s.changes {
				change, earlier := c.change(o.namespace, i)
				o.request.Changes = append(o.request.Changes, change)
				o.earlier[change.Name] = earlier
			}
		}
		c.call(o, s.former, s.hangUp)
	}
}

// change makes the change that is intended now, and says what the resource was
// in the version that it is rolled back to.
func (c *modelClient) change(namespace string, i intended) (out ledger.Change, earlier cell) {
	out = ledger.Change{Name: modelNames[i.name], Delete: i.remove}
	if had := c.had[namespace+"/"+out.Name]; i.back > 0 && len(had) >= i.back {
		entry := had[len(had)-i.back]
		out.Version, earlier = entry.Version, cellOf(entry)
	}
	if !i.remove {
		value := fmt.Sprintf("shared-%d", i.value)
		if i.value == 0 {
			value = c.next()
		}
		out.Spec = spec(value)
	}
	seen := c.seen[namespace+"/"+out.Name]
	match := func(back int) string { // no condition on what was never seen
		if len(seen) < back {
			return ""
		}
		return seen[len(seen)-back]
	}
	switch i.match {
	case matchLatest:
		out.IfMatch = match(1)
	case matchOlder:
		out.IfMatch = match(2)
	case matchAny:
		out.IfMatch = "*"
	case matchAbsent:
		out.IfNoneMatch = true
	}
	return out, earlier
}

// next names the client's next call.
func (c *modelClient) next() string { return fmt.Sprintf("c%d-%d", c.number, c.calls) }

// call makes a call and notes what came of it.
func (c *modelClient) call(o *operation, former bool, hangUp time.Duration) {
	r := c.r
	o.id, o.client = c.next(), c.number
	c.calls++
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if hangUp > 0 {
		defer time.AfterFunc(hangUp, cancel).Stop()
	}
	o.call = r.ticks.Add(1)
	if o.ledger = r.now.Load(); former && r.former.Load() != nil {
		o.ledger = r.former.Load()
	}
	began := time.Now()
	switch {
	case o.get != "":
		var e *ledger.Entry
		if e, o.revision, o.err = o.ledger.Get(o.namespace, o.get); o.err == nil {
			o.entries = []*ledger.Entry{e}
		}
	case o.list:
		var s ledger.Snapshot
		s, o.err = o.ledger.List(o.namespace)
		o.revision, o.entries = s.Revision, s.Entries
	default:
		o.request.Namespace, o.request.Actor, o.request.Reason = o.namespace, fmt.Sprintf("c%d", c.number), o.id
		var result ledger.Result
		result, o.err = o.ledger.Apply(ctx, *o.request)
		o.revision, o.outcomes = result.Revision, result.Outcomes
	}
	o.ret = r.ticks.Add(1)
	if took := time.Since(began); took > 5*time.Second {
		r.t.Errorf("%v: an answer after %v", o, took)
	}
	o.code = code(o.err)
	switch o.code {
	case ledger.CodeForeignWriter:
		// Where a namespace's first revision was not seen for a moment, it is
		// refused to make another. And what a frozen process moves after its
		// successor's own offer has nobody's word: it stays until a restart.
		unseen := r.plan.lies() && strings.Contains(o.err.Error(), "before its first revision")
		if !unseen && !r.plan.freezes() {
			r.t.Errorf("%v: %v", o, o.err)
		}
	case ledger.CodeInvalid, ledger.CodeLimit, ledger.CodeQueueFull, ledger.CodeNamespaceDeleted:
		r.t.Errorf("%v: %v", o, o.err)
	case ledger.CodeCorrupt:
		if !r.plan.lies() {
			r.t.Errorf("%v: %v", o, o.err)
		}
	case "":
		if o.err != nil {
			r.t.Errorf("%v: %v", o, o.err)
		}
	}
	if o.err == nil && o.request != nil && !o.request.DryRun {
		r.checkTags(o)
	}
	c.remember(o)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, o)
}

func (c *modelClient) remember(o *operation) {
	c.last[o.namespace] = max(c.last[o.namespace], o.revision.Number)
	note := func(e *ledger.Entry) {
		key := o.namespace + "/" + e.Name
		c.had[key] = append(c.had[key], e)
		if seen := c.seen[key]; len(seen) == 0 || seen[len(seen)-1] != e.Digest.String() {
			c.seen[key] = append(seen, e.Digest.String())
		}
	}
	for _, e := range o.entries {
		note(e)
	}
	for _, out := range o.outcomes {
		if out.After != nil && out.After.Digest != "" {
			note(out.After)
		}
	}
}

// finish reads and writes every namespace when all is well: it must succeed.
func (c *modelClient) finish(value string) {
	for _, ns := range worldNamespaces {
		for _, o := range []*operation{
			{namespace: ns, list: true},
			{namespace: ns, request: &ledger.Request{Changes: []ledger.Change{{Name: modelNames[0], Spec: spec(value)}}}},
			{namespace: ns, list: true},
		} {
			c.call(o, false, 0)
			frozen := o.code == ledger.CodeForeignWriter && c.r.plan.freezes() && value == "before"
			if o.err != nil && o.code != ledger.CodeNamespaceNotFound && !frozen {
				c.r.t.Errorf("%v, although nothing was wrong: %v", o, o.err)
			}
		}
	}
}
