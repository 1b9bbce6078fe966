package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// The operations of a take-over in commit records.
const (
	TakenOver Operation = "take-over" // the first version that this ledger gave it
	Dropped   Operation = "drop"      // invalid, and the operator chose to leave it out
)

// Choice is what the operator wants done with an object that is not valid.
type Choice string

// The choices.
const (
	UseLastValid Choice = "use-last-valid"
	Drop         Choice = "drop"
)

// TakeOverOptions are the operator's words.
type TakeOverOptions struct {
	Choices map[string]Choice // by the object's name, only for invalid ones
	Confirm bool              // dropping all, or more than half, is meant
}

// TakeOverReport says what a take-over found and did.
type TakeOverReport struct {
	Resources []string        // taken over, sorted
	Dropped   []string        // left out by the operator's word
	Invalid   []InvalidObject // that still need a choice: nothing was published
	Outside   []string        // live resource repositories that the old catalog does not name, where the registry can list them
}

// InvalidObject is an object of the old catalog that cannot be published.
type InvalidObject struct {
	Name      string // as the old catalog has it; the file's name if it has none
	Faults    intent.Invalid
	LastValid string // its last valid version, empty if it has none
}

// ErrInvalidObjects says that a take-over needs the operator's choices; the
// report lists the objects.
var ErrInvalidObjects = errors.New("the old catalog holds objects that are not valid")

// TakeOver makes a registry that the proof of concept wrote this ledger's own.
// Its catalog says what is live. Everything is validated first; while an
// object is invalid nothing is published. The old catalog stays as revision
// r0. It takes the settle time of 15 seconds. Interrupted, it continues when
// called again with the same choices; done, it refuses.
func TakeOver(ctx context.Context, o Options, to TakeOverOptions) (TakeOverReport, error) {
	l, err := New(o)
	if err != nil {
		return TakeOverReport{}, err
	}
	l.work = ctx
	// Before anything is said of objects that were dealt with long ago.
	if d, err := resolve(ctx, l.o.Registry, l.layout.System(), artifact.Latest); err == nil {
		return TakeOverReport{}, l.initialised(d)
	}
	old, err := l.readOld(ctx)
	if err != nil {
		return TakeOverReport{}, err
	}
	plan, report, err := l.plan(ctx, old, to)
	if err != nil {
		return report, err
	}
	sys, err := l.claimFresh(ctx)
	if err != nil {
		return report, err
	}
	ns := l.known(artifact.DefaultNamespace)
	if err := ns.takeOver(ctx, old, plan); err != nil {
		return report, err
	}
	if err := sys.set(ctx, ctx, artifact.DefaultNamespace, Active, "", func() error { return nil }); err != nil {
		return report, fmt.Errorf("committing the system catalog: %w", err)
	}
	return report, nil
}

// readOld returns the proof of concept's catalog: r0, where an earlier attempt
// got so far, else latest.
func (l *Ledger) readOld(ctx context.Context) (registry.Artifact, error) {
	repo := l.layout.Catalog(artifact.DefaultNamespace)
	old, err := get(ctx, l.o.Registry, repo, artifact.RevisionTag(0))
	if errors.Is(err, registry.ErrNotFound) {
		old, err = get(ctx, l.o.Registry, repo, artifact.Latest)
	}
	if err != nil {
		return registry.Artifact{}, fmt.Errorf("reading the old catalog %s: %w", repo, err)
	}
	if len(old.Blobs) != 2 || old.Blobs[1].MediaType != artifact.TypeFluxContent {
		return registry.Artifact{}, fmt.Errorf("%s (%s) is not a catalog: want one layer %s", repo, old.Manifest.Digest, artifact.TypeFluxContent)
	}
	return old, nil
}

// decision is what becomes of one object of the old catalog.
type decision struct {
	name    string
	before  *artifact.VersionRef // its newest artifact; nil if it has none
	dropped bool
	spec    intent.Spec
	created intent.Version
}

// plan decides about every object of the old catalog. It writes nothing.
func (l *Ledger) plan(ctx context.Context, old registry.Artifact, to TakeOverOptions) ([]decision, TakeOverReport, error) {
	var report TakeOverReport
	objects, err := l.oldObjects(old.Blobs[1].Data)
	if err != nil {
		return nil, report, err
	}
	var plan []decision
	unused := maps.Clone(to.Choices)
	for _, obj := range objects {
		past, err := l.oldHistory(ctx, obj)
		if err != nil {
			return nil, report, err
		}
		d := decision{name: obj.name, before: past.newest, spec: obj.spec, created: past.created}
		choice := Choice("")
		if len(obj.faults) > 0 {
			choice = to.Choices[obj.name]
			delete(unused, obj.name)
		}
		switch {
		case len(obj.faults) == 0:
			report.Resources = append(report.Resources, obj.name)
		case choice == Drop:
			d.dropped = true
			report.Dropped = append(report.Dropped, obj.name)
		case choice == UseLastValid && past.valid != nil:
			d.spec = *past.valid
			report.Resources = append(report.Resources, obj.name)
		default:
			report.Invalid = append(report.Invalid, InvalidObject{Name: obj.name, Faults: obj.faults, LastValid: past.validVersion})
		}
		plan = append(plan, d)
	}
	if report.Outside, err = l.outside(ctx, objects); err != nil {
		return nil, report, err
	}
	for name, choice := range unused {
		return nil, report, fmt.Errorf("the choice %s names %q, which is not an invalid object of the old catalog", choice, name)
	}
	if len(report.Invalid) > 0 {
		return nil, report, ErrInvalidObjects
	}
	if n := len(report.Dropped); n*2 > len(plan) && !to.Confirm {
		return nil, report, fail(CodeConfirm, nil, "this would drop %d of %d objects; confirm it if that is meant", n, len(plan))
	}
	if n := len(report.Resources); n > l.o.MaxResources {
		return nil, report, fail(CodeLimit, nil, "the old catalog holds %d resources, at most %d are allowed", n, l.o.MaxResources)
	}
	return plan, report, nil
}

// takeOver tags the old catalog r0 and commits the first revision on it.
func (ns *namespace) takeOver(ctx context.Context, old registry.Artifact, plan []decision) error {
	c := ns.chain
	again, err := ns.l.readOld(ctx)
	if err != nil {
		return err
	}
	if again.Manifest.Digest != old.Manifest.Digest {
		return fmt.Errorf("the old catalog changed from %s to %s meanwhile; stop the proof of concept's server first", old.Manifest.Digest, again.Manifest.Digest)
	}
	d, err := resolve(ctx, c.reg, c.repo, artifact.Latest)
	if err != nil {
		return fmt.Errorf("reading latest of %s: %w", c.repo, err)
	}
	if d != old.Manifest.Digest {
		// An earlier attempt committed the first revision.
		_, err := c.recover(ctx)
		return err
	}
	if err := commitTag(ctx, c.reg, registry.Tag{Repository: c.repo, Name: artifact.RevisionTag(0), Manifest: old.Manifest}); err != nil {
		return fmt.Errorf("tagging the old catalog r0: %w", err)
	}
	c.head = head{parent: old.Manifest.Digest}
	p, next, err := ns.takeOverProposal(plan)
	if err != nil {
		return err
	}
	p.begin = func() error { return nil }
	p.publish = func() { ns.state.Store(next) }
	return c.commit(ctx, ctx, p)
}

func (ns *namespace) takeOverProposal(plan []decision) (proposal, *state, error) {
	var p proposal
	var changes []artifact.RecordChange
	var entries []*Entry
	for _, d := range plan {
		change := artifact.RecordChange{Operation: string(Dropped), Name: d.name, Before: d.before}
		if !d.dropped {
			o := Outcome{Name: d.name, Operation: TakenOver, After: &Entry{Resource: intent.Resource{
				Ref: intent.Ref{Namespace: ns.name, Name: d.name}, Spec: d.spec, Created: d.created,
			}}}
			a, err := ns.materialise(&o)
			if err != nil {
				return proposal{}, nil, err
			}
			change.Operation = string(TakenOver)
			change.After = &artifact.VersionRef{Version: o.Version.String(), Digest: o.Digest}
			p.pushes = append(p.pushes, registry.Push{Repository: o.After.Repository, Artifact: a})
			p.tags = append(p.tags, versionTags(o.After.Repository, o.Version, a.Manifest)...)
			entries = append(entries, o.After)
		}
		changes = append(changes, change)
	}
	next := newState(Revision{}, entries)
	layer, err := next.pack(&ns.l.packer, ns.name, nil)
	if err != nil {
		return proposal{}, nil, err
	}
	p.record, p.layer = ns.chain.record(changes), layer
	return p, next, nil
}
