package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// longHistory is a registry whose namespace default has a history that no
// ledger wrote: revision n is of the second n after the first one, and declares
// the resource web in the region n, if n-2 is a multiple of every.
type longHistory struct {
	t         testing.TB
	every     int64
	store     *faulty.Store
	packer    catalog.Packer
	raw       registry.Registry
	layout    artifact.Layout
	first     time.Time // of revision 1
	thin      []artifact.Thinned
	artifacts []registry.Artifact // of web, by revision
	versions  []intent.Version
	layer     registry.Blob // of the last revision
}

// newLongHistory writes a history up to revision n.
func newLongHistory(t testing.TB, n, every int64) *longHistory {
	t.Helper()
	store := initialised(t)
	h := &longHistory{
		t: t, every: every, store: store, raw: store.Raw(), layout: artifact.Layout{Prefix: prefix},
		artifacts: make([]registry.Artifact, n+1), versions: make([]intent.Version, n+1),
	}
	a, err := h.raw.Get(context.Background(), h.layout.Catalog("default"), "r1")
	if err != nil {
		t.Fatal(err)
	}
	first, err := artifact.NewThinned(a.Manifest, a.Blobs[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	h.thin, h.layer = append(h.thin, first), a.Blobs[1]
	if h.first, err = intent.ParseTime(h.thin[0].Record.Time); err != nil {
		t.Fatal(err)
	}
	for number := int64(2); number <= n; number++ {
		if h.declared(number) == number {
			h.declare(number)
		} else {
			h.commit(nil)
		}
	}
	return h
}

// declared is the revision that declared what web is at a revision.
func (h *longHistory) declared(number int64) int64 { return number - (number-2)%h.every }

// at is the time of a revision.
func (h *longHistory) at(number int64) time.Time {
	return h.first.Add(time.Duration(number-1) * time.Second)
}

func region(number int64) string { return fmt.Sprintf("region-%d", number) }

func webRef() intent.Ref { return intent.Ref{Namespace: "default", Name: "web"} }

func (h *longHistory) declare(number int64) {
	v := intent.Version(h.at(number).UnixMicro() - 1)
	created := v
	change := artifact.RecordChange{Operation: "create", Name: "web", Actor: "Ada", Reason: region(number)}
	if number > 2 {
		created = h.versions[2]
		change.Operation = "update"
		before := h.declared(number - 1)
		change.Before = &artifact.VersionRef{Version: h.versions[before].String(), Digest: h.artifacts[before].Manifest.Digest}
	}
	r := intent.Resource{Ref: webRef(), Version: v, Created: created, Spec: intent.Spec{Type: "vm", Size: "small", Region: region(number), Replicas: 1}}
	yaml, err := r.Manifest()
	if err != nil {
		h.t.Fatal(err)
	}
	a := artifact.Resource(r, yaml)
	h.artifacts[number], h.versions[number] = a, v
	h.put(h.layout.Resource(webRef()), a, v.String(), artifact.Latest)
	change.After = &artifact.VersionRef{Version: v.String(), Digest: a.Manifest.Digest}
	data, _, err := h.packer.Pack("default", []catalog.Entry{{Name: "web", YAML: yaml}}, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	h.layer = registry.NewBlob(artifact.TypeFluxContent, data)
	h.commit(nil, change)
}

// commit adds a revision with the present layer.
func (h *longHistory) commit(checkpoint *artifact.CheckpointRef, changes ...artifact.RecordChange) {
	last := h.thin[len(h.thin)-1]
	if changes == nil {
		changes = []artifact.RecordChange{}
	}
	number := last.Record.Number + 1
	if checkpoint == nil {
		checkpoint = last.Record.Checkpoint
	}
	record := artifact.Record{
		Format: artifact.RecordFormat, Scope: last.Record.Scope, Number: number, Parent: last.Manifest.Digest,
		Time: intent.FormatTime(h.at(number)), Writer: last.Record.Writer, Changes: changes, Checkpoint: checkpoint,
	}
	a, err := artifact.Pack(artifact.TypeFluxConfig, record, h.layer)
	if err != nil {
		h.t.Fatal(err)
	}
	h.put(h.layout.Catalog("default"), a, artifact.RevisionTag(number), artifact.Latest)
	h.thin = append(h.thin, artifact.Thinned{Manifest: a.Manifest, Record: record})
}

func (h *longHistory) put(repo string, a registry.Artifact, tags ...string) {
	ctx := context.Background()
	err := h.raw.Put(ctx, registry.Push{Repository: repo, Artifact: a})
	for _, tag := range tags {
		if err == nil {
			err = h.raw.Commit(ctx, registry.Tag{Repository: repo, Name: tag, Manifest: a.Manifest})
		}
	}
	if err != nil {
		h.t.Fatal(err)
	}
}

// thinTo thins the revisions up to a number: a checkpoint keeps their records,
// the next revision names it, and they are deleted, as are the versions that
// only they hold.
func (h *longHistory) thinTo(number int64) {
	first, previous := int64(1), h.thin[len(h.thin)-1].Record.Checkpoint
	if previous != nil {
		first = previous.Number + 1
	}
	a, err := artifact.PackCheckpoint(previous, h.thin[first-1:number])
	if err != nil {
		h.t.Fatal(err)
	}
	h.put(h.layout.Catalog("default"), a, artifact.CheckpointTag(number))
	h.commit(&artifact.CheckpointRef{Number: number, Digest: a.Manifest.Digest})
	for n := first; n <= number; n++ {
		if err := h.raw.Delete(context.Background(), h.layout.Catalog("default"), h.thin[n-1].Manifest.Digest); err != nil {
			h.t.Fatal(err)
		}
		if n > 1 && n < int64(len(h.artifacts)) && h.versions[n] != 0 {
			if err := h.raw.Delete(context.Background(), h.layout.Resource(webRef()), h.artifacts[n].Manifest.Digest); err != nil {
				h.t.Fatal(err)
			}
		}
	}
}
