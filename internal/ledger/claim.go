package ledger

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// claim is this ledger's hold on the prefix. Whoever put its id at the writer
// repository last holds it; a registry has no compare-and-swap, so the others
// find out by looking, before and after every attempt at a catalog's latest.
type claim struct {
	reg       registry.Registry
	repo      string
	exclusive bool // a lock outside the registry guarantees it: nothing to check
	log       *slog.Logger
	id        string
	manifest  registry.Manifest
	held      context.Context // ends when the claim is found superseded
	lose      context.CancelFunc
}

var errSuperseded = errors.New("another ledger has claimed the prefix")

// takeClaim puts a new id at the writer repository, waits until no write of an
// earlier holder can be under way any more, and looks whether it still holds.
// The error is temporary unless it is errSuperseded.
func takeClaim(ctx context.Context, o Options, layout artifact.Layout, stamps *stamps) (*claim, error) {
	c := &claim{reg: o.Registry, repo: layout.Writer(), exclusive: o.Exclusive, log: o.Log}
	c.held, c.lose = context.WithCancel(context.Background())
	before, err := get(ctx, o.Registry, c.repo, artifact.Latest)
	switch {
	case err == nil:
		if earlier, err := artifact.UnpackClaim(before); err == nil {
			if t, ok := artifact.ClaimTime(earlier.ID); ok {
				stamps.observe(t)
			}
		}
	case !errors.Is(err, registry.ErrNotFound):
		return nil, fmt.Errorf("reading the writer claim: %w", err)
	}
	var random [8]byte
	rand.Read(random[:])
	c.id = artifact.ClaimID(stamps.next(), binary.BigEndian.Uint64(random[:]))
	host, _ := os.Hostname()
	a, err := artifact.Claim{ID: c.id, Host: host}.Pack()
	if err != nil {
		return nil, err
	}
	c.manifest = a.Manifest
	if err := put(ctx, o.Registry, registry.Push{Repository: c.repo, Artifact: a}); err != nil {
		return nil, fmt.Errorf("pushing the writer claim: %w", err)
	}
	var pause backoff
	for unanswered := false; ; {
		err := commitTag(ctx, o.Registry, registry.Tag{Repository: c.repo, Name: artifact.Latest, Manifest: c.manifest})
		if err == nil {
			break
		}
		// Once an attempt was not answered, it can land over any other claim,
		// so that from then on only this one may be put.
		if unanswered = unanswered || !registry.Settled(err); !unanswered {
			return nil, fmt.Errorf("putting the writer claim: %w", err)
		}
		o.Log.Warn("writer claim not confirmed, repeating", "error", err)
		if err := pause.wait(ctx); err != nil {
			return nil, err
		}
	}
	if c.exclusive {
		return c, nil
	}
	o.Log.Info("writer claim put; waiting for writes of an earlier holder to settle", "id", c.id, "wait", settle)
	if err := sleep(ctx, settle); err != nil {
		return nil, err
	}
	return c, c.check(ctx)
}

// check reads whether the claim still stands. The error is errSuperseded, from
// then on always, or what made the claim unreadable.
func (c *claim) check(ctx context.Context) error {
	if c.superseded() {
		return errSuperseded
	}
	if c.exclusive {
		return nil
	}
	d, err := resolve(ctx, c.reg, c.repo, artifact.Latest)
	if err != nil {
		return fmt.Errorf("reading the writer claim: %w", err)
	}
	if d != c.manifest.Digest {
		c.log.Error("another ledger has claimed the prefix; this one writes nothing more until it is restarted", "claim", c.id, "writer", d)
		c.lose()
		return errSuperseded
	}
	return nil
}

// superseded reports whether the claim was found lost, by whichever namespace.
func (c *claim) superseded() bool { return c.held.Err() != nil }

// guarded is a registry that takes no write after the claim was found lost.
// What is under way then is ended.
type guarded struct {
	registry.Registry
	claim *claim
}

func (g guarded) Put(ctx context.Context, pushes ...registry.Push) error {
	return g.claim.guard(ctx, func(ctx context.Context) error { return g.Registry.Put(ctx, pushes...) })
}

func (g guarded) Commit(ctx context.Context, t registry.Tag) error {
	return g.claim.guard(ctx, func(ctx context.Context) error { return g.Registry.Commit(ctx, t) })
}

func (g guarded) Tag(ctx context.Context, tags ...registry.Tag) error {
	return g.claim.guard(ctx, func(ctx context.Context) error { return g.Registry.Tag(ctx, tags...) })
}

func (g guarded) Delete(ctx context.Context, repo string, manifest digest.Digest) error {
	return g.claim.guard(ctx, func(ctx context.Context) error { return g.Registry.Delete(ctx, repo, manifest) })
}

func (c *claim) guard(ctx context.Context, write func(context.Context) error) error {
	if c.superseded() {
		return errSuperseded
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.held, cancel)()
	err := write(ctx)
	if err != nil && c.superseded() {
		return fmt.Errorf("%w: %w", errSuperseded, err)
	}
	return err
}

// earlier reports whether id is that of an earlier holder of the prefix.
func (c *claim) earlier(id string) bool {
	theirs, ok := artifact.ClaimTime(id)
	ours, _ := artifact.ClaimTime(c.id)
	return ok && id != c.id && theirs < ours
}

// observeWriter raises the issued time over that of a claim in a record.
func (s *stamps) observeWriter(id string) {
	if t, ok := artifact.ClaimTime(id); ok {
		s.observe(t)
	}
}
