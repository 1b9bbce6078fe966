package ledger_test

import (
	"context"
	"errors"
	"testing"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// proof is a namespace's history as the registry alone shows it.
type proof struct {
	records  []artifact.Record // number 1 first
	digests  []digest.Digest   // of their manifests
	thinned  int64             // the last one that is only in a checkpoint
	revision map[int64]bool    // whose tags are there
	versions map[string]bool   // <name>/<version> that are there
	live     map[string]string // at the head, name to digest
	untagged bool              // the head, as after a crash
}

// prove reads a namespace's history straight from the registry, through the
// checkpoints, trusting no ledger: the hash chain from the head to the first
// revision, each kept revision's catalog, each version that one of these has or
// whose record names it as made, and the tags of all that.
func prove(t testing.TB, store *faulty.Store, namespace string) proof {
	t.Helper()
	return proveChain(t, store, namespace, true)
}

// proveBelow is prove while the head's commit may be half way.
func proveBelow(t testing.TB, store *faulty.Store, namespace string) proof {
	t.Helper()
	return proveChain(t, store, namespace, false)
}

func proveChain(t testing.TB, store *faulty.Store, namespace string, whole bool) proof {
	t.Helper()
	ctx, raw, layout := context.Background(), store.Raw(), artifact.Layout{Prefix: prefix}
	repo := layout.Catalog(namespace)
	a, err := raw.Get(ctx, repo, artifact.Latest)
	if err != nil {
		t.Fatalf("%s: %v", repo, err)
	}
	head, err := artifact.Unpack(artifact.TypeFluxConfig, artifact.TypeFluxContent, a)
	if err != nil {
		t.Fatalf("%s: %v", repo, err)
	}
	n := head.Record.Number
	p := proof{
		records: make([]artifact.Record, n), digests: make([]digest.Digest, n),
		revision: map[int64]bool{}, versions: map[string]bool{}, live: map[string]string{},
	}
	if c := head.Record.Checkpoint; c != nil {
		p.thinned = c.Number
	}
	expected := head.Manifest.Digest
	version := func(name, version string, d digest.Digest) {
		t.Helper()
		repo := layout.Resource(intent.Ref{Namespace: namespace, Name: name})
		a, err := raw.Get(ctx, repo, version)
		if err != nil || a.Manifest.Digest != d {
			t.Errorf("%s: %s is %s (%v), want %s", repo, version, a.Manifest.Digest, err, d)
		}
	}
	for ; n > p.thinned; n-- {
		reference := artifact.RevisionTag(n)
		if n == head.Record.Number {
			reference = artifact.Latest
			d, err := raw.Resolve(ctx, repo, artifact.RevisionTag(n))
			if p.untagged = errors.Is(err, registry.ErrNotFound); !p.untagged && d.Digest != head.Manifest.Digest {
				if !whole {
					return p // a late write put an abandoned sibling there, for a moment
				}
				t.Fatalf("%s: r%d is %s, latest %s", repo, n, d.Digest, head.Manifest.Digest)
			}
		}
		a, err := raw.Get(ctx, repo, reference)
		if err != nil {
			t.Fatalf("%s: r%d: %v", repo, n, err)
		}
		rev, err := artifact.Unpack(artifact.TypeFluxConfig, artifact.TypeFluxContent, a)
		if err != nil || rev.Manifest.Digest != expected || rev.Record.Number != n {
			t.Fatalf("%s: r%d is %s (%v), its child names %s", repo, n, rev.Manifest.Digest, err, expected)
		}
		p.records[n-1], p.digests[n-1] = rev.Record, rev.Manifest.Digest
		p.revision[n] = true
		expected = rev.Record.Parent
		if n == head.Record.Number && !whole {
			continue
		}
		files, err := catalog.Unpack(namespace, rev.Layer.Data)
		if err != nil {
			t.Fatalf("%s: r%d: %v", repo, n, err)
		}
		for _, f := range files {
			r, a, err := artifact.ResourceOf(f.YAML)
			if err != nil {
				t.Fatalf("%s: r%d: %s: %v", repo, n, f.Name, err)
			}
			version(f.Name, r.Version.String(), a.Manifest.Digest)
			if n == head.Record.Number {
				p.live[f.Name] = a.Manifest.Digest.String()
				resource := layout.Resource(r.Ref)
				if d, err := raw.Resolve(ctx, resource, artifact.Latest); err != nil || d.Digest != a.Manifest.Digest {
					t.Errorf("%s: latest is %s (%v), want %s", resource, d.Digest, err, a.Manifest.Digest)
				}
			}
		}
		for _, c := range rev.Record.Changes {
			if c.After != nil {
				version(c.Name, c.After.Version, c.After.Digest)
			}
		}
	}
	for ref := head.Record.Checkpoint; ref != nil; {
		a, err := raw.Get(ctx, repo, artifact.CheckpointTag(ref.Number))
		if err != nil || a.Manifest.Digest != ref.Digest {
			t.Fatalf("%s: c%d is %s (%v), want %s", repo, ref.Number, a.Manifest.Digest, err, ref.Digest)
		}
		c, revisions, err := artifact.UnpackCheckpoint(a)
		if err != nil || c.Last != n || c.Head != expected {
			t.Fatalf("%s: c%d holds %d to %d, its head is %s (%v), want %s", repo, ref.Number, c.First, c.Last, c.Head, err, expected)
		}
		for ; n >= c.First; n-- {
			r := revisions[n-c.First]
			if r.Manifest.Digest != expected {
				t.Fatalf("%s: revision %d is %s, its child names %s", repo, n, r.Manifest.Digest, expected)
			}
			p.records[n-1], p.digests[n-1] = r.Record, r.Manifest.Digest
			expected = r.Record.Parent
			d, err := raw.Resolve(ctx, repo, artifact.RevisionTag(n))
			if err == nil {
				p.revision[n] = true
				if d.Digest != r.Manifest.Digest {
					t.Errorf("%s: r%d is %s, its checkpoint says %s", repo, n, d.Digest, r.Manifest.Digest)
				}
			} else if !errors.Is(err, registry.ErrNotFound) {
				t.Fatal(err)
			}
		}
		ref = c.Previous
	}
	if n != 0 || expected != "" {
		t.Fatalf("%s: the chain ends at revision %d with the parent %q", repo, n, expected)
	}
	for i, r := range p.records {
		if i > 0 && r.Time <= p.records[i-1].Time {
			t.Errorf("%s: revision %d is not later than the one before", repo, r.Number)
		}
		for _, c := range r.Changes {
			resource := layout.Resource(intent.Ref{Namespace: namespace, Name: c.Name})
			if _, err := raw.Resolve(ctx, resource, c.After.Version); err == nil {
				p.versions[c.Name+"/"+c.After.Version] = true
			}
		}
	}
	return p
}

// same compares the history with what a ledger says of it.
func (p proof) same(t testing.TB, l *process, namespace string) {
	t.Helper()
	if p.untagged {
		t.Error("the head has no tag")
	}
	for i := range p.records {
		c, err := l.Commit(context.Background(), namespace, int64(i+1))
		if err != nil {
			t.Errorf("Commit(%d): %v", i+1, err)
			continue
		}
		stamp, _ := p.records[i].Stamp()
		if c.Revision.Digest != p.digests[i] || c.Parent != p.records[i].Parent || len(c.Changes) != len(p.records[i].Changes) || !c.Revision.Time.Equal(stamp.Time()) {
			t.Errorf("Commit(%d) is %+v, want %+v", i+1, c, p.records[i])
		}
		at, err := l.CommitAt(context.Background(), namespace, c.Revision.Time)
		if err != nil || at.Revision.Number != int64(i+1) {
			t.Errorf("CommitAt(%v) is %d (%v), want %d", c.Revision.Time, at.Revision.Number, err, i+1)
		}
		_, err = l.ListAt(context.Background(), namespace, int64(i+1))
		if want := ledger.Code(""); err != nil || !p.revision[int64(i+1)] {
			if !p.revision[int64(i+1)] {
				want = ledger.CodeRevisionExpired
			}
			if code(err) != want {
				t.Errorf("ListAt(%d): %v, want %q", i+1, err, want)
			}
		}
	}
}
