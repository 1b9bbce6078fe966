// Package ledger is the only code that writes resources and catalogs. It
// queues and batches changes, commits each batch as one revision of its
// namespace's catalog, and never builds on a state that it could not read.
// docs/architecture.md describes the commit protocol, docs/formats.md the bytes.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// Options of a ledger. Registry, Prefix and Schema are required.
type Options struct {
	Registry registry.Registry
	Prefix   string // of all repositories, without a slash at the end
	Schema   *intent.Schema

	// Exclusive says that nobody else can write the prefix (the embedded
	// registry behind its lock), so that the writer claim needs no checks.
	Exclusive bool

	// Fresh says that a missing system catalog means an empty registry rather
	// than an unreadable one (a data folder without its marker): Run then
	// initialises it.
	Fresh bool

	MaxResources    int // a catalog; default 1,000
	MaxCatalogBytes int // manifests of a catalog; default 16 MiB
	QueueLength     int // waiting requests a namespace; default 1,024

	// Retention is that of namespaces which have none of their own; the zero
	// value keeps everything. CollectEvery is the pause between two collections
	// in the background; 0 means that there are none.
	Retention    artifact.Retention
	CollectEvery time.Duration

	Now func() time.Time // the wall clock for versions; default time.Now
	Log *slog.Logger     // default slog.Default()

	Observer Observer // may be nil
}

func (o Options) complete() (Options, error) {
	if o.Registry == nil || o.Prefix == "" || strings.HasSuffix(o.Prefix, "/") || o.Schema == nil {
		return o, errors.New("ledger: registry, prefix (without a slash at the end) and schema are required")
	}
	if o.MaxResources == 0 {
		o.MaxResources = 1000
	}
	if o.MaxCatalogBytes == 0 {
		o.MaxCatalogBytes = 16 << 20
	}
	if o.QueueLength == 0 {
		o.QueueLength = 1024
	}
	if err := o.Retention.Check(); err != nil {
		return o, fmt.Errorf("ledger: %w", err)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Observer == nil {
		o.Observer = unobserved{}
	}
	return o, nil
}

// Ledger is safe for concurrent use.
type Ledger struct {
	o      Options
	layout artifact.Layout
	stamps stamps
	packer catalog.Packer
	turns  turns

	rollbacks  chan struct{}        // has room for each rollback of a namespace that is under way
	collecting [modes]chan struct{} // has room for each collection that is under way

	fits func([]artifact.Thinned) int // how many revisions go into one checkpoint

	notReady atomic.Pointer[Error] // nil while writes are accepted

	mu         sync.RWMutex
	claim      *claim
	loading    *system               // becomes system once it is read; used by load alone
	system     *system               // nil until it was read
	namespaces map[string]*namespace // all that a ledger has touched, with what they know of unanswered writes
	creations  map[string]*creation
	closed     bool
	work       context.Context // of all goroutines below; set by Run
	quiet      context.Context // ends when a drain begins
	workers    sync.WaitGroup  // what a drain waits for
	watchers   sync.WaitGroup  // what ends with work

	earlier   cache
	commits   commits
	unpacking chan struct{} // has room for the reader of a checkpoint
}

// New returns a ledger that is not ready until Run has loaded it.
func New(o Options) (*Ledger, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	l := &Ledger{
		o: o, layout: artifact.Layout{Prefix: o.Prefix}, stamps: stamps{now: o.Now}, turns: newTurns(o),
		namespaces: map[string]*namespace{}, creations: map[string]*creation{},
		rollbacks: make(chan struct{}, maxRollbacks), unpacking: make(chan struct{}, 1), fits: artifact.Fits,
	}
	for i := range l.collecting {
		l.collecting[i] = make(chan struct{}, collectionsAtOnce)
	}
	l.notReady.Store(fail(CodeNotReady, nil, "the ledger is not loaded yet; try again later"))
	return l, nil
}

// Run claims the prefix, loads the state from the registry, repeating until it
// succeeds, and then keeps watch until ctx ends. Then it drains: what was
// accepted is committed or answered, within 12 seconds. It must be called
// once. It returns nil after a drain, also when it never became ready.
func (l *Ledger) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	l.mu.Lock()
	l.work, l.quiet = work, ctx
	l.mu.Unlock()

	l.loadUntilReady(ctx)
	if l.o.CollectEvery > 0 {
		l.watchers.Go(func() { l.collectInBackground(ctx) })
	}
	<-ctx.Done()

	l.notReady.Store(errStopping())
	l.mu.Lock()
	l.closed = true
	for _, ns := range l.namespaces {
		ns.close()
	}
	l.mu.Unlock()
	drained := make(chan struct{})
	go func() {
		l.workers.Wait()
		close(drained)
	}()
	limit := time.NewTimer(drainTime)
	defer limit.Stop()
	select {
	case <-drained:
	case <-limit.C:
		l.o.Log.Warn("stopping with commits that the registry has not confirmed; the next start settles them")
	}
	cancel()
	<-drained
	l.watchers.Wait()
	return nil
}

func errStopping() *Error {
	return fail(CodeNotReady, nil, "the server is stopping; nothing changed, try again elsewhere or later")
}

func errSupersededBy(cause error) *Error {
	return fail(CodeSuperseded, cause, "another ledger has claimed this registry; this one writes nothing more until it is restarted")
}

// Ready returns nil once the ledger is loaded and may write, else an *Error
// that says what is missing.
func (l *Ledger) Ready() error {
	if err := l.notReady.Load(); err != nil {
		return err
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.claim.superseded() {
		return errSupersededBy(nil)
	}
	return nil
}

// Ping asks the registry for the system catalog. It returns nil, or an *Error
// that says why the registry cannot be used.
func (l *Ledger) Ping(ctx context.Context) error {
	if _, err := resolve(ctx, l.o.Registry, l.layout.System(), artifact.Latest); err != nil {
		return fail(CodeRegistryUnavailable, err, "the registry does not answer for the system catalog")
	}
	return nil
}

// Apply performs a request. It returns when the outcome is durable, or known
// not to happen, or (CodeOutcomeUnknown) within five seconds.
func (l *Ledger) Apply(ctx context.Context, r Request) (Result, error) {
	start := time.Now()
	result, err := l.apply(ctx, r, start.Add(patience))
	if !r.DryRun {
		l.o.Observer.Answered(time.Since(start), codeOf(err))
	}
	return result, err
}

func (l *Ledger) apply(ctx context.Context, r Request, deadline time.Time) (Result, error) {
	if err := prepare(l.o.Schema, &r); err != nil {
		return Result{}, err
	}
	if err := l.Ready(); err != nil {
		return Result{}, err
	}
	ns, err := l.namespace(r.Namespace)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) || e.Code != CodeNamespaceNotFound {
			return Result{}, err
		}
		if r.goesBack() {
			return Result{}, err
		}
		return l.applyFirst(ctx, r, deadline)
	}
	done, err := l.resolve(ctx, &r, deadline)
	defer done()
	if err != nil {
		return Result{}, err
	}
	if r.DryRun {
		return dryRun(r, ns.state.Load())
	}
	return ns.submit(ctx, r, deadline)
}

// applyFirst performs a request on a namespace that does not exist, which it
// creates if the request would write anything.
func (l *Ledger) applyFirst(ctx context.Context, r Request, deadline time.Time) (Result, error) {
	result, err := dryRun(r, &state{})
	if err != nil || r.DryRun {
		return result, err
	}
	if !changesAnything(result.Outcomes) {
		return Result{}, errNoNamespace(r.Namespace)
	}
	ns, err := l.create(ctx, r, deadline)
	if err != nil {
		return Result{}, err
	}
	return ns.submit(ctx, r, deadline)
}

func dryRun(r Request, s *state) (Result, error) {
	outcomes, err := evaluate(r, s.Snapshot)
	return Result{Revision: s.Revision, Outcomes: outcomes}, err
}

func errNoNamespace(name string) *Error {
	return fail(CodeNamespaceNotFound, nil, "namespace %s does not exist; the first write creates it", name)
}

// namespace returns a namespace whose content is known.
func (l *Ledger) namespace(name string) (*namespace, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.system == nil {
		return nil, l.notReady.Load()
	}
	switch l.system.stateOf(name) {
	case Gone:
		return nil, fail(CodeNamespaceDeleted, nil, "namespace %s was deleted; restore it first", name)
	case Active:
	default:
		return nil, errNoNamespace(name)
	}
	ns := l.namespaces[name]
	if ns == nil || ns.state.Load() == nil {
		if ns != nil && ns.problem.Load() != nil {
			return nil, ns.problem.Load()
		}
		return nil, fail(CodeNotReady, nil, "namespace %s is not loaded yet; try again later", name)
	}
	return ns, nil
}

// Get returns one resource and the revision that it was read from.
func (l *Ledger) Get(namespace, name string) (*Entry, Revision, error) {
	s, err := l.List(namespace)
	if err != nil {
		return nil, Revision{}, err
	}
	if e := s.Find(name); e != nil {
		return e, s.Revision, nil
	}
	return nil, Revision{}, fail(CodeNotFound, nil, "%s does not exist in namespace %s", name, namespace)
}

// List returns a namespace's present content, from memory.
func (l *Ledger) List(namespace string) (Snapshot, error) {
	ns, err := l.namespace(namespace)
	if err != nil {
		return Snapshot{}, err
	}
	return ns.state.Load().Snapshot, nil
}

// Namespaces returns all namespaces by name, deleted ones included.
func (l *Ledger) Namespaces() ([]Namespace, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.system == nil {
		return nil, l.notReady.Load()
	}
	var out []Namespace
	for name, s := range l.system.content.Load().Namespaces {
		created, err := intent.ParseTime(s.CreatedAt)
		if err != nil {
			return nil, fail(CodeCorrupt, err, "the system catalog is damaged")
		}
		n := Namespace{Name: name, State: State(s.State), Created: created}
		if ns := l.namespaces[name]; ns != nil {
			if st := ns.state.Load(); st != nil && n.State == Active {
				n.Revision, n.Resources = st.Revision, len(st.Entries)
			}
			if p := ns.problem.Load(); p != nil {
				n.Problem = p.Error()
			}
			n.Waiting, n.WaitingSince = ns.waiting()
		}
		out = append(out, n)
	}
	slices.SortFunc(out, func(a, b Namespace) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
