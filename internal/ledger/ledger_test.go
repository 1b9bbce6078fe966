package ledger_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/deploy/crd"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

const prefix = "gitops-squared"

// line is a process's connection to the registry: cut, nothing goes out any
// more, as when the process is killed.
type line struct {
	registry.Registry
	cut atomic.Bool
}

func (l *line) err() error {
	if l.cut.Load() {
		return registry.ErrUnreachable
	}
	return nil
}

func (l *line) Put(ctx context.Context, pushes ...registry.Push) error {
	// One at a time, so that a kill takes effect between two.
	for _, p := range pushes {
		if err := l.err(); err != nil {
			return err
		}
		if err := l.Registry.Put(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (l *line) Commit(ctx context.Context, t registry.Tag) error {
	return errors.Join(l.err(), l.do(func() error { return l.Registry.Commit(ctx, t) }))
}

func (l *line) Tag(ctx context.Context, tags ...registry.Tag) error {
	for _, t := range tags {
		if err := errors.Join(l.err(), l.do(func() error { return l.Registry.Tag(ctx, t) })); err != nil {
			return err
		}
	}
	return nil
}

func (l *line) do(f func() error) error {
	if l.cut.Load() {
		return registry.ErrUnreachable
	}
	return f()
}

func (l *line) Get(ctx context.Context, repo, ref string) (registry.Artifact, error) {
	if err := l.err(); err != nil {
		return registry.Artifact{}, err
	}
	return l.Registry.Get(ctx, repo, ref)
}

func (l *line) Resolve(ctx context.Context, repo, ref string) (ocispec.Descriptor, error) {
	if err := l.err(); err != nil {
		return ocispec.Descriptor{}, err
	}
	return l.Registry.Resolve(ctx, repo, ref)
}

func (l *line) Manifest(ctx context.Context, repo, ref string) (registry.Manifest, error) {
	if err := l.err(); err != nil {
		return registry.Manifest{}, err
	}
	return l.Registry.Manifest(ctx, repo, ref)
}

func (l *line) Blob(ctx context.Context, repo string, d ocispec.Descriptor) (registry.Blob, error) {
	if err := l.err(); err != nil {
		return registry.Blob{}, err
	}
	return l.Registry.Blob(ctx, repo, d)
}

func (l *line) Tags(ctx context.Context, repo, last string, n int) ([]string, error) {
	if err := l.err(); err != nil {
		return nil, err
	}
	return l.Registry.Tags(ctx, repo, last, n)
}

func (l *line) Referrers(ctx context.Context, repo string, subject digest.Digest, artifactType string) ([]ocispec.Descriptor, error) {
	if err := l.err(); err != nil {
		return nil, err
	}
	return l.Registry.Referrers(ctx, repo, subject, artifactType)
}

func (l *line) Delete(ctx context.Context, repo string, d digest.Digest) error {
	return l.do(func() error { return l.Registry.Delete(ctx, repo, d) })
}

// process is a running ledger.
type process struct {
	*ledger.Ledger
	line *line
	stop func() // drains
}

// kill ends the process without a drain: from now on nothing that it does
// reaches the registry.
func (p *process) kill() {
	p.line.cut.Store(true)
	p.stop()
}

// schema is compiled once: thousands of ledgers are started here.
var schema = sync.OnceValues(func() (*intent.Schema, error) { return intent.NewSchema(crd.PlatformResource) })

func options(t testing.TB, r registry.Registry) ledger.Options {
	compiled, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	return ledger.Options{
		Registry: r, Prefix: prefix, Schema: compiled,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}
}

// launch starts a ledger and does not wait for it.
func launch(t testing.TB, r registry.Registry, change ...func(*ledger.Options)) *process {
	t.Helper()
	ln := &line{Registry: r}
	o := options(t, ln)
	for _, f := range change {
		f(&o)
	}
	l, err := ledger.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	var stopped atomic.Bool
	p := &process{Ledger: l, line: ln}
	p.stop = func() {
		if stopped.Swap(true) {
			return
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(p.stop)
	return p
}

// start starts a ledger on an initialised registry and waits until it is ready.
func start(t testing.TB, r registry.Registry, change ...func(*ledger.Options)) *process {
	t.Helper()
	p := launch(t, r, change...)
	awaitReady(t, p)
	return p
}

func awaitReady(t testing.TB, p *process) {
	t.Helper()
	for range 600 {
		if p.Ready() == nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("not ready after a minute: %v", p.Ready())
}

// initialised returns an initialised registry.
func initialised(t testing.TB) *faulty.Store {
	t.Helper()
	s := faulty.New()
	t.Cleanup(s.Close)
	if err := ledger.Init(context.Background(), options(t, s)); err != nil {
		t.Fatalf("Init: %v", err)
	}
	return s
}

func put(name, size string) ledger.Change {
	return ledger.Change{Name: name, Spec: intent.Spec{Type: "vm", Size: size}}
}

func apply(t testing.TB, p *process, namespace string, changes ...ledger.Change) ledger.Result {
	t.Helper()
	r, err := p.Apply(context.Background(), ledger.Request{Namespace: namespace, Changes: changes})
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	return r
}

func code(err error) ledger.Code {
	var e *ledger.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

func TestLifeOfAResource(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)

		created := apply(t, p, "default", put("web", "small"))
		if o := created.Outcomes[0]; o.Operation != ledger.Created || o.Digest == "" || o.After.Spec.Replicas != 1 {
			t.Errorf("create: %+v", o)
		}
		if created.Revision.Number != 2 {
			t.Errorf("create: revision %d, want 2 after the empty first one", created.Revision.Number)
		}
		same := apply(t, p, "default", put("web", "small"))
		if o := same.Outcomes[0]; o.Operation != ledger.Unchanged || o.Digest != created.Outcomes[0].Digest || same.Revision != created.Revision {
			t.Errorf("unchanged: %+v at %+v", o, same.Revision)
		}
		updated := apply(t, p, "default", put("web", "large"))
		if o := updated.Outcomes[0]; o.Operation != ledger.Updated || o.Version <= created.Outcomes[0].Version || o.After.Created != created.Outcomes[0].Version {
			t.Errorf("update: %+v", o)
		}
		e, rev, err := p.Get("default", "web")
		if err != nil || e.Spec.Size != "large" || rev != updated.Revision || e.Digest != updated.Outcomes[0].Digest {
			t.Errorf("Get: %+v at %+v, %v", e, rev, err)
		}
		deleted := apply(t, p, "default", ledger.Change{Name: "web", Delete: true})
		if o := deleted.Outcomes[0]; o.Operation != ledger.Deleted || o.Digest == updated.Outcomes[0].Digest || o.After != nil {
			t.Errorf("delete: %+v", o)
		}
		if _, _, err := p.Get("default", "web"); code(err) != ledger.CodeNotFound {
			t.Errorf("Get after delete: %v", err)
		}
		at, err := p.ListAt(context.Background(), "default", created.Revision.Number)
		if err != nil || at.Find("web") == nil || at.Find("web").Digest != created.Outcomes[0].Digest {
			t.Errorf("ListAt: %+v, %v", at, err)
		}
		p.stop()
		inspect(t, store)
	})
}

func TestRestartKeepsEverything(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		apply(t, p, "default", put("a", "small"), put("b", "medium"))
		last := apply(t, p, "team", put("c", "large"))
		before, _ := p.List("default")
		p.kill()

		requests := store.Count()
		p = start(t, store)
		after, err := p.List("default")
		if err != nil || after.Revision != before.Revision || len(after.Entries) != 2 || after.Entries[0].Digest != before.Entries[0].Digest {
			t.Errorf("after a restart: %+v, %v; before: %+v", after, err, before)
		}
		team, err := p.List("team")
		if err != nil || team.Revision != last.Revision {
			t.Errorf("after a restart: %+v, %v", team, err)
		}
		if n := store.Count(faulty.Tags); n != 0 {
			t.Errorf("a start listed tags %d times", n)
		}
		t.Logf("a start sent %d requests", store.Count()-requests)
		inspect(t, store)
	})
}

func TestNamespaceIsCreatedByItsFirstWrite(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		if _, err := p.List("team"); code(err) != ledger.CodeNamespaceNotFound {
			t.Errorf("List before: %v", err)
		}
		for _, r := range []ledger.Request{
			{Namespace: "team", Changes: []ledger.Change{{Name: "x", Delete: true}}},
			{Namespace: "team", Changes: []ledger.Change{{Name: "x", Spec: intent.Spec{Type: "vm"}}}},
			{Namespace: "team", Changes: []ledger.Change{put("x", "small")}, DryRun: true},
			{Namespace: "team"},
			{Namespace: "Team", Changes: []ledger.Change{put("x", "small")}},
		} {
			p.Apply(context.Background(), r)
		}
		if all, _ := p.Namespaces(); len(all) != 1 {
			t.Errorf("requests that write nothing made namespaces: %+v", all)
		}
		errs := make(chan error, 20)
		for i := range 20 {
			go func() {
				_, err := p.Apply(context.Background(), ledger.Request{Namespace: "team", Changes: []ledger.Change{put("x"+string(rune('a'+i)), "small")}})
				errs <- err
			}()
		}
		for range 20 {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		all, err := p.Namespaces()
		if err != nil || len(all) != 2 || all[1].Name != "team" || all[1].State != ledger.Active || all[1].Resources != 20 {
			t.Errorf("Namespaces: %+v, %v", all, err)
		}
		p.stop()
		inspect(t, store)
	})
}
