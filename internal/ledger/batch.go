package ledger

import (
	"cmp"
	"slices"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// maxBatch bounds the changes of one revision that come from several requests,
// so that its commit record keeps within its bound.
const maxBatch = 1000

// batch collects the requests that are committed together. A resource is
// changed at most once, so every request is judged on committed content.
type batch struct {
	ns      *namespace
	base    *state
	formed  time.Time // when it was begun
	members []*pending
	same    []*pending      // that change nothing
	touched map[string]bool // names that a member changes or relies on
	blocked map[string]bool // names of requests that have to wait for the next batch
	closed  bool            // nothing may join any more

	outcomes  []Outcome // that change something, unsorted until build
	pushes    []registry.Push
	tags      []registry.Tag
	changes   []artifact.RecordChange
	resources int
	bytes     int
}

func newBatch(ns *namespace, base *state) *batch {
	return &batch{ns: ns, base: base, formed: time.Now(), touched: map[string]bool{}, blocked: map[string]bool{}, resources: len(base.Entries), bytes: base.bytes}
}

// join takes a request into the batch if it can. It returns false if the
// request has to wait for the next one; requests that name the same resources
// then wait too, so that each resource's requests keep their order. A request
// that fails or changes nothing is answered at once.
func (b *batch) join(p *pending) bool {
	full := len(b.members) > 0 && len(b.outcomes)+len(p.Changes) > maxBatch
	if b.closed || full || !b.free(p) {
		b.block(p)
		return false
	}
	outcomes, err := evaluate(p.Request, b.base.Snapshot)
	if err != nil {
		p.answer(Result{}, err)
		return true
	}
	if !changesAnything(outcomes) {
		p.outcomes = outcomes
		b.same = append(b.same, p)
		return true
	}
	if err := b.ns.checkBarred(outcomes); err != nil {
		p.answer(Result{}, err)
		return true
	}
	if err := b.materialise(p, outcomes); err != nil {
		p.answer(Result{}, err)
		return true
	}
	p.outcomes = outcomes
	b.members = append(b.members, p)
	for _, o := range outcomes {
		b.touched[o.Name] = true
	}
	b.closed = b.closed || p.everything()
	return true
}

// free reports whether the batch does not touch what p names. A request that
// prunes, or rolls the namespace back, names everything.
func (b *batch) free(p *pending) bool {
	if p.everything() && (len(b.touched) > 0 || len(b.blocked) > 0) {
		b.closed = true
		return false
	}
	return !slices.ContainsFunc(p.Changes, func(c Change) bool { return b.touched[c.Name] || b.blocked[c.Name] })
}

func (b *batch) block(p *pending) {
	for _, c := range p.Changes {
		b.blocked[c.Name] = true
	}
}

// materialise gives the outcomes their versions and bytes, and adds them to
// the batch unless they exceed a limit.
func (b *batch) materialise(p *pending, outcomes []Outcome) error {
	resources, bytes := b.resources, b.bytes
	var pushes []registry.Push
	var tags []registry.Tag
	var changes []artifact.RecordChange
	var changed []Outcome
	for i := range outcomes {
		o := &outcomes[i]
		if o.Operation == Unchanged {
			continue
		}
		a, err := b.ns.materialise(o)
		if err != nil {
			return err
		}
		if o.Before != nil {
			resources, bytes = resources-1, bytes-len(o.Before.YAML)
		}
		if o.After != nil {
			resources, bytes = resources+1, bytes+len(o.After.YAML)
		}
		repo := b.ns.l.layout.Resource(intent.Ref{Namespace: b.ns.name, Name: o.Name})
		pushes = append(pushes, registry.Push{Repository: repo, Artifact: a})
		tags = append(tags, versionTags(repo, o.Version, a.Manifest)...)
		changes = append(changes, recordChange(*o, p.Request))
		changed = append(changed, *o)
	}
	opts := b.ns.l.o
	if resources > opts.MaxResources && resources > b.resources {
		return fail(CodeLimit, nil, "namespace %s would hold %d resources, at most %d are allowed; use another namespace", b.ns.name, resources, opts.MaxResources)
	}
	if bytes > opts.MaxCatalogBytes && bytes > b.bytes {
		return fail(CodeLimit, nil, "the manifests of namespace %s would have %d bytes, at most %d are allowed; use another namespace", b.ns.name, bytes, opts.MaxCatalogBytes)
	}
	b.resources, b.bytes = resources, bytes
	b.pushes, b.tags = append(b.pushes, pushes...), append(b.tags, tags...)
	b.changes, b.outcomes = append(b.changes, changes...), append(b.outcomes, changed...)
	return nil
}

// materialise issues the version of an outcome, unless it is rolled back to one
// that it had, and returns its artifact.
func (ns *namespace) materialise(o *Outcome) (registry.Artifact, error) {
	if o.Operation == RolledBack && o.After != nil {
		return artifact.Resource(o.After.Resource, o.After.YAML), nil
	}
	o.Version = ns.l.stamps.next()
	if o.After == nil {
		a, err := artifact.Tombstone(intent.Ref{Namespace: ns.name, Name: o.Name}, o.Version)
		o.Digest = a.Manifest.Digest
		return a, err
	}
	r := o.After.Resource
	if r.Version = o.Version; r.Created == 0 {
		r.Created = o.Version
	}
	yaml, err := r.Manifest()
	if err != nil {
		return registry.Artifact{}, fail(CodeLimit, err, "the manifest of %s cannot be written", o.Name)
	}
	a := artifact.Resource(r, yaml)
	o.Digest = a.Manifest.Digest
	o.After = &Entry{Resource: r, YAML: yaml, Digest: o.Digest, Repository: ns.l.layout.Resource(r.Ref)}
	return a, nil
}

func recordChange(o Outcome, r Request) artifact.RecordChange {
	c := artifact.RecordChange{
		Operation: string(o.Operation), Name: o.Name, Actor: r.Actor, Verified: r.Verified && r.Actor != "", Reason: r.Reason,
		After: &artifact.VersionRef{Version: o.Version.String(), Digest: o.Digest},
	}
	if o.Before != nil {
		c.Before = &artifact.VersionRef{Version: o.Before.Version.String(), Digest: o.Before.Digest}
	}
	return c
}

// build makes the proposal of the batch, and the state that it leads to. The
// revision's digest is known only from the packed proposal.
func (b *batch) build() (proposal, *state, error) {
	slices.SortFunc(b.changes, func(x, y artifact.RecordChange) int { return cmp.Compare(x.Name, y.Name) })
	slices.SortFunc(b.outcomes, func(x, y Outcome) int { return cmp.Compare(x.Name, y.Name) })
	next := b.base.with(b.outcomes)
	layer, err := next.pack(&b.ns.l.packer, b.ns.name, b.base.parts)
	if err != nil {
		return proposal{}, nil, err
	}
	return proposal{record: b.ns.chain.record(b.changes), layer: layer, pushes: b.pushes, tags: b.tags}, next, nil
}
