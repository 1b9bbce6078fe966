package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
)

// Copy is a backup that was opened for reading.
type Copy struct {
	Source      Source
	Prefix      string       // of its repositories
	Description *Description // nil: another tool made the copy, or it is a registry
	Unfinished  bool         // a later run into the folder was interrupted; it holds what the last finished one described

	close func() error
}

// Close releases it.
func (c *Copy) Close() error {
	if c.close == nil {
		return nil
	}
	return c.close()
}

// Open opens a folder or a tar: a backup, or a copy of layouts that another
// tool made. prefix, unless empty, is that of its repositories.
func Open(path, prefix string) (*Copy, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return open(&folder{base: path}, prefix)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return OpenTar(f, prefix)
}

// OpenTar opens a tar, which is closed with it.
func OpenTar(f *os.File, prefix string) (*Copy, error) {
	a, err := readArchive(f, f, f.Close)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return open(a, prefix)
}

func open(f files, prefix string) (*Copy, error) {
	c, err := describeCopy(f, prefix)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	var want map[string]digest.Digest
	if c.Description != nil && !c.Unfinished {
		want = c.Description.Repositories
	}
	c.Source, c.close = newLayouts(f, "", want), f.Close
	return c, nil
}

func describeCopy(f files, prefix string) (*Copy, error) {
	_, err := f.read(unfinishedFile, 1)
	c := &Copy{Prefix: prefix, Unfinished: !errors.Is(err, fs.ErrNotExist)}
	data, err := f.read(descriptionFile, maxDescriptionBytes)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err == nil {
		if c.Description, err = parseDescription(data); err != nil {
			return nil, err
		}
		if prefix != "" && prefix != c.Description.Prefix {
			return nil, fmt.Errorf("it is the backup of the prefix %s, not of %s", c.Description.Prefix, prefix)
		}
		c.Prefix = c.Description.Prefix
		return c, nil
	}
	if c.Unfinished {
		return nil, fmt.Errorf("%w: the backup was never finished; run gsq backup again", ErrDamaged)
	}
	if prefix != "" {
		return c, nil
	}
	system := artifact.Layout{}.System()
	found, err := f.layouts(system)
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%w: it holds %d repositories named …%s, and no %s", ErrNothing, len(found), system, descriptionFile)
	}
	before, ok := strings.CutSuffix(found[0], system)
	if !ok || before == "" {
		return nil, fmt.Errorf("%w: its repository %s has no prefix: this is a folder within a backup, give the one above it that has %s", ErrNothing, found[0], descriptionFile)
	}
	c.Prefix = before
	return c, nil
}

// RestoreOptions of Restore. Copy and Ledger are required.
type RestoreOptions struct {
	Copy   *Copy
	At     time.Time      // restore the state of this moment; zero means the copy's
	Ledger ledger.Options // where to: its registry and prefix

	// KeepGoing restores what is left of a damaged copy. Heads must be whole.
	KeepGoing bool

	Progress *Progress // may be nil
	Now      func() time.Time
}

// ErrRestored says that the registry holds this copy already.
var ErrRestored = errors.New("this copy was restored already")

// Restore puts a copy into an empty registry: everything by digest, then the
// versions' and revisions' tags, then the catalogs' latest, and system's latest
// last. It holds the writer claim meanwhile, which takes 15 seconds on an
// external registry. Nothing is tagged before everything was read and verified.
// Interrupted, it continues when called again. A registry that has a system
// catalog is refused: with ErrRestored if the very same copy was restored there,
// else with ledger.ErrInitialised.
func Restore(ctx context.Context, o RestoreOptions) (Report, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Progress == nil {
		o.Progress = new(Progress)
	}
	if o.Ledger.Log == nil {
		o.Ledger.Log = slog.Default()
	}
	began := o.Now()
	target := NewRegistry(o.Ledger.Registry, o.Ledger.Prefix, false, o.Ledger.Log)
	c := newCopier(newReader(o.Copy.Source, o.Copy.Prefix, nil, o.Ledger.Log), target, o.KeepGoing, o.Progress)
	c.whole = true
	p, err := c.survey(ctx, o.At, o.Copy.Description)
	if err == nil {
		err = target.fits(ctx, p)
	}
	if err != nil {
		return c.report(p, began, o.Now()), err
	}
	err = ledger.Restore(ctx, o.Ledger, newest(p), func(ctx context.Context, r registry.Registry, check func(context.Context) error) error {
		target.to, target.check, target.manifest = r, check, c.r.manifest
		if err := c.run(ctx, p); err != nil {
			return err
		}
		for _, cut := range p.cuts {
			if _, ok := c.done[place{chainOf(cut), cut.Digest}]; !ok {
				return fmt.Errorf("%w: the head of %s is not whole", ErrDamaged, chainOf(cut))
			}
		}
		return target.finish(ctx, p, c.names(p), Description{})
	})
	if errors.Is(err, ledger.ErrInitialised) && target.holds(ctx, p) {
		err = ErrRestored
	}
	return c.report(p, began, o.Now()), err
}

// newest is the latest moment of the plan's records.
func newest(p *plan) intent.Version {
	var newest intent.Version
	for _, c := range p.cuts {
		newest = max(newest, intent.Version(c.Time.UnixMicro()))
	}
	return newest
}

// chainOf is the repository that a cut is of.
func chainOf(c Cut) string {
	if c.Namespace == "" {
		return artifact.Layout{}.System()
	}
	return artifact.Layout{}.Catalog(c.Namespace)
}

// fits refuses a registry whose catalogs are others than the plan's, before
// anything is written there.
func (t *Registry) fits(ctx context.Context, p *plan) error {
	if d, err := t.named(ctx, artifact.Layout{}.System(), artifact.Latest); err != nil || d != "" {
		return err // it is initialised: the ledger refuses it
	}
	for _, cut := range p.cuts {
		repo := chainOf(cut)
		for _, tag := range []string{artifact.Latest, artifact.RevisionTag(1)} {
			d, err := t.named(ctx, repo, tag)
			if err != nil {
				return err
			}
			if d != "" && p.found[place{repo, d}] == nil {
				return fmt.Errorf("%w: %s of %s%s is %s, which this copy does not have; restore into an empty registry, or under another prefix", ErrOther, tag, t.prefix, repo, d)
			}
		}
	}
	return nil
}

// holds reports whether the registry has the heads of the plan.
func (t *Registry) holds(ctx context.Context, p *plan) bool {
	for _, cut := range p.cuts {
		d, err := t.named(ctx, chainOf(cut), artifact.RevisionTag(cut.Number))
		if err != nil || d != cut.Digest {
			return false
		}
	}
	system, err := t.named(ctx, artifact.Layout{}.System(), artifact.Latest)
	return err == nil && system == p.cuts[0].Digest
}
