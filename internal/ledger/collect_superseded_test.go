package ledger_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// sleeper is a process's connection to the registry. From a certain request on
// it lets nothing through until it thaws, as if the process were stopped and
// later continued: requests that have been begun are sent then, whatever their
// context says, and answers arrive then.
type sleeper struct {
	registry.Registry
	at     func(faulty.Kind, string, digest.Digest) bool // of which request or answer on
	frozen chan struct{}                                 // closed when it freezes
	thawed chan struct{}                                 // closed to continue
	once   sync.Once
	late   atomic.Int64 // deletions that are sent after the thaw because they had been begun

	mu sync.Mutex // of at, as requests are sent several at once
}

func newSleeper(r registry.Registry, at func(faulty.Kind, string, digest.Digest) bool) *sleeper {
	return &sleeper{Registry: r, at: at, frozen: make(chan struct{}), thawed: make(chan struct{})}
}

// pass waits while the process is frozen. It reports whether it did.
func (f *sleeper) pass(kind faulty.Kind, repo string, d digest.Digest) bool {
	f.mu.Lock()
	freezes := f.at(kind, repo, d)
	f.mu.Unlock()
	if freezes {
		f.once.Do(func() { close(f.frozen) })
	}
	select {
	case <-f.thawed:
		return false
	default:
	}
	select {
	case <-f.frozen:
		<-f.thawed
		return true
	default:
		return false
	}
}

func (f *sleeper) Resolve(ctx context.Context, repo, reference string) (ocispec.Descriptor, error) {
	d, err := f.Registry.Resolve(ctx, repo, reference)
	f.pass(faulty.Resolve, repo, "")
	return d, err
}

func (f *sleeper) Delete(ctx context.Context, repo string, d digest.Digest) error {
	if f.pass(faulty.Delete, repo, d) {
		f.late.Add(1)
		ctx = context.WithoutCancel(ctx)
	}
	return f.Registry.Delete(ctx, repo, d)
}

// sliceOfDeletions is how long a slice of deletions may take.
const sliceOfDeletions = 200 * time.Millisecond

// Another ledger takes the claim in the middle of a collection: between two
// slices of deletions, or while the process of the collection is frozen, for
// longer than the settle time, so that the successor reads, brings back versions
// that were about to go, and writes. The first one deletes nothing more, but for
// the requests that it had begun, and all that the successor has is whole.
func TestSupersededDuringACollection(t *testing.T) {
	t.Parallel()
	const db = prefix + "/resources/default/db"
	for name, c := range map[string]struct {
		at   func(first, signature digest.Digest) func(faulty.Kind, string, digest.Digest) bool
		late int  // deletions that had been begun
		live bool // the process is not frozen, only slow
	}{
		"between two slices": {
			at: func(digest.Digest, digest.Digest) func(faulty.Kind, string, digest.Digest) bool {
				return nth(faulty.Delete, catalogRepo, 20)
			},
			live: true,
		},
		"frozen when it has looked at the claim": {
			at: func(digest.Digest, digest.Digest) func(faulty.Kind, string, digest.Digest) bool {
				var deleting bool // revisions, the last of which is followed by versions
				revisions := nth(faulty.Delete, catalogRepo, 21)
				return func(kind faulty.Kind, repo string, d digest.Digest) bool {
					deleting = deleting || revisions(kind, repo, d)
					return deleting && kind == faulty.Resolve && repo == prefix+"/writer"
				}
			},
		},
		"frozen with deletions under way": {
			at: func(digest.Digest, digest.Digest) func(faulty.Kind, string, digest.Digest) bool {
				return nth(faulty.Delete, catalogRepo, 2) // after the probe's
			},
			late: 8,
		},
		"frozen with the deletion of a signature under way": {
			at: func(_, signature digest.Digest) func(faulty.Kind, string, digest.Digest) bool {
				return func(kind faulty.Kind, _ string, d digest.Digest) bool {
					return kind == faulty.Delete && d == signature
				}
			},
			late: 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				keep := keeping(artifact.Retention{Revisions: 2})
				store := initialised(t)
				p := start(t, store, keep)
				first := apply(t, p, "default", put("db", "small")).Outcomes[0]
				signature := sign(t, store, db, first.Digest)
				for _, size := range []string{"large", "medium"} { // one is to go
					apply(t, p, "default", put("db", size))
				}
				grow(t, p, 20)
				time.Sleep(2 * time.Minute)
				p.stop()

				f := newSleeper(store, c.at(first.Digest, signature))
				if c.live {
					close(f.thawed)
					store.SetFault(func(op faulty.Op) faulty.Fault {
						if op.Kind == faulty.Delete {
							return faulty.Delay{For: sliceOfDeletions / 2}
						}
						return nil
					})
				}
				p = start(t, f, keep)
				before := prove(t, store, "default")
				ended := make(chan ledger.Collection, 1)
				go func() {
					done, _ := p.Collect(context.Background(), "default", false)
					ended <- done
				}()
				<-f.frozen
				other := store.Raw() // the same content, with a list of requests of its own
				t.Cleanup(other.Close)
				next := start(t, other, keep)
				back := ledger.Request{Namespace: "default", Changes: []ledger.Change{{Name: "db", Version: first.Version}}}
				if r, err := next.Apply(context.Background(), back); err != nil || r.Outcomes[0].Digest != first.Digest {
					t.Fatalf("the successor's rollback: %+v, %v", r, err)
				}
				apply(t, next, "default", put("new", "small"))
				deletions := store.Count(faulty.Delete)
				if !c.live {
					close(f.thawed)
				}
				if done := <-ended; done.Err == nil || done.Err.Code != ledger.CodeSuperseded {
					t.Errorf("the collection ended with %+v", done)
				}
				time.Sleep(2 * time.Minute)
				if n := store.Count(faulty.Delete) - deletions; n != c.late || int(f.late.Load()) != c.late {
					t.Errorf("%d deletions after another ledger's claim, %d of them begun before, want %d", n, f.late.Load(), c.late)
				}
				if e, _, err := next.Get("default", "db"); err != nil || e.Digest != first.Digest {
					t.Errorf("db is %v (%v)", e, err)
				}
				proveSame(t, store, proof{digests: before.digests}).same(t, next, "default")

				// The successor goes on with the collection.
				time.Sleep(2 * time.Minute)
				collect(t, next, "default", false)
				after := proveSame(t, store, proof{digests: before.digests})
				after.same(t, next, "default")
				for n := range after.revision {
					if n <= after.thinned {
						t.Errorf("r%d is left", n)
					}
				}
				p.kill()
				next.stop()
			})
		})
	}
}

// nth reports the nth request of a kind to a repository.
func nth(kind faulty.Kind, repo string, n int) func(faulty.Kind, string, digest.Digest) bool {
	var mu sync.Mutex
	seen := 0
	return func(k faulty.Kind, r string, _ digest.Digest) bool {
		mu.Lock()
		defer mu.Unlock()
		if k != kind || r != repo {
			return false
		}
		seen++
		return seen == n
	}
}
