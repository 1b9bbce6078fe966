package fsck_test

import (
	"bytes"
	"compress/gzip"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// tampering is one way to spoil a history. Each is found, and named exactly.
type tampering struct {
	name string
	// before may set twists; after spoils what was written. shop is the chain of
	// the namespace of that name.
	before func(b *book)
	write  func(b *book) *chainBook // default standard
	after  func(b *book, shop *chainBook)
	want   []string
}

func (x tampering) run(t *testing.T) {
	t.Parallel()
	b := newBook(t)
	if x.before != nil {
		x.before(b)
	}
	write := standard
	if x.write != nil {
		write = x.write
	}
	shop := write(b)
	if x.after != nil {
		x.after(b, shop)
	}
	found, s := check(t, b.store)
	expect(t, found, x.want...)
	bad := 0
	for _, f := range found {
		if f.Severity != "info" {
			bad++
		}
	}
	if s.Clean() != (bad == 0) {
		t.Errorf("%+v", s)
	}
}

func runAll(t *testing.T, all []tampering) {
	t.Helper()
	for _, x := range all {
		t.Run(x.name, x.run)
	}
}

// version is the version that a revision gave a resource.
func (c *chainBook) version(revision int64, name string) artifact.VersionRef {
	c.t.Helper()
	for _, change := range c.past[revision-1].record.Changes {
		if change.Name == name {
			return *change.After
		}
	}
	c.t.Fatalf("revision %d does not change %s", revision, name)
	return artifact.VersionRef{}
}

// rewrite stores a revision's artifact with another record, and returns it.
func (c *chainBook) rewrite(revision int64, change func(r *artifact.Record)) registry.Manifest {
	c.t.Helper()
	w := c.past[revision-1]
	record := w.record
	record.Changes = slices.Clone(record.Changes)
	change(&record)
	a := c.pack(draft{record: record, layer: w.artifact.Blobs[1].Data})
	c.book.put(c.repo, a)
	return a.Manifest
}

func TestTamperedChains(t *testing.T) {
	t.Parallel()
	reason := func(r *artifact.Record) { r.Changes[0].Reason = "nobody said so" }
	runAll(t, []tampering{
		{name: "edited layer", after: func(b *book, shop *chainBook) {
			b.store.ReplaceBlob(shop.repo, shop.past[4].artifact.Blobs[1].Digest, archive(t, "shop", shop.past[5].content))
		}, want: []string{"layer-damaged shop r5"}},
		{name: "cut-off layer", after: func(b *book, shop *chainBook) {
			layer := shop.past[4].artifact.Blobs[1]
			b.store.ReplaceBlob(shop.repo, layer.Digest, layer.Data[:len(layer.Data)/2])
		}, want: []string{"layer-damaged shop r5"}},
		{name: "missing layer", after: func(b *book, shop *chainBook) {
			b.store.DropBlob(shop.repo, shop.past[2].artifact.Blobs[1].Digest)
		}, want: []string{"layer-damaged shop r3"}},
		{name: "missing layer of the head", after: func(b *book, shop *chainBook) {
			b.store.DropBlob(shop.repo, shop.past[11].artifact.Blobs[1].Digest)
		}, want: []string{"layer-damaged shop r12"}},
		{name: "missing record", after: func(b *book, shop *chainBook) {
			b.store.DropBlob(shop.repo, shop.past[4].artifact.Blobs[0].Digest)
		}, want: []string{"revision-damaged shop r5"}},
		{name: "missing record of the head", after: func(b *book, shop *chainBook) {
			b.store.DropBlob(shop.repo, shop.past[11].artifact.Blobs[0].Digest)
		}, want: []string{"revision-damaged shop r12"}},
		{name: "edited record", after: func(b *book, shop *chainBook) {
			record := shop.past[4].artifact.Blobs[0]
			b.store.ReplaceBlob(shop.repo, record.Digest, bytes.Replace(record.Data, []byte("anna"), []byte("otto"), 1))
		}, want: []string{"revision-damaged shop r5"}},
		{name: "edited record with recomputed digests", after: func(b *book, shop *chainBook) {
			b.store.SetTag(shop.repo, "r5", shop.rewrite(5, reason).Digest)
		}, want: []string{"revision-tag-moved shop r5"}},
		{name: "edited record with recomputed digests, the true one gone", after: func(b *book, shop *chainBook) {
			b.store.SetTag(shop.repo, "r5", shop.rewrite(5, reason).Digest)
			b.store.DropManifest(shop.repo, shop.at(5))
		}, want: []string{"revision-missing shop r5"}},
		{name: "dropped revision", after: func(b *book, shop *chainBook) {
			b.store.RemoveTag(shop.repo, "r5")
			b.store.DropManifest(shop.repo, shop.at(5))
		}, want: []string{"revision-missing shop r5"}},
		{name: "two dropped revisions", after: func(b *book, shop *chainBook) {
			for _, n := range []int64{1, 2} {
				b.store.RemoveTag(shop.repo, artifact.RevisionTag(n))
				b.store.DropManifest(shop.repo, shop.at(n))
			}
		}, want: []string{"revision-missing shop r1", "revision-missing shop r2"}},
		{name: "lost tag", after: func(b *book, shop *chainBook) {
			b.store.RemoveTag(shop.repo, "r5")
		}, want: []string{"revision-tag-missing shop r5"}},
		{name: "lost tags of the head and its parent", after: func(b *book, shop *chainBook) {
			b.store.RemoveTag(shop.repo, "r12")
			b.store.RemoveTag(shop.repo, "r11")
		}, want: []string{"revision-tag-missing shop r11", "revision-tag-missing shop r12"}},
		{name: "moved tag", after: func(b *book, shop *chainBook) {
			b.store.SetTag(shop.repo, "r5", shop.at(4))
		}, want: []string{"revision-tag-moved shop r5"}},
		{name: "reordered history", after: func(b *book, shop *chainBook) {
			b.store.SetTag(shop.repo, "r5", shop.at(6))
			b.store.SetTag(shop.repo, "r6", shop.at(5))
		}, want: []string{"revision-tag-moved shop r5", "revision-tag-moved shop r6"}},
		{name: "swapped parent", before: func(b *book) {
			b.twists["shop/r6"] = func(d *draft) { d.record.Parent = b.chain("shop").at(3) }
		}, want: []string{"chain-broken shop r5"}},
		{name: "unknown parent", before: func(b *book) {
			b.twists["shop/r6"] = func(d *draft) { d.record.Parent = registry.NewManifest("", []byte("?")).Digest }
		}, want: []string{"revision-missing shop r5"}},
		{name: "another number", before: func(b *book) {
			b.twists["shop/r6"] = func(d *draft) { d.record.Number = 7 }
		}, want: []string{"chain-broken shop r6"}},
		{name: "time going backwards", before: func(b *book) {
			b.twists["shop/r6"] = func(d *draft) { d.record.Time = b.chain("shop").past[4].record.Time }
		}, want: []string{"time-backwards shop r6"}},
		{name: "wrong scope", before: func(b *book) {
			b.twists["shop/r6"] = func(d *draft) { d.record.Scope = "namespaces/old" }
		}, want: []string{"scope-wrong shop r6"}},
		{name: "writer without a claim", before: func(b *book) {
			b.twists["shop/r5"] = func(d *draft) { d.record.Writer = "somebody" }
		}, want: []string{"writer-implausible shop r5"}},
		{name: "writer whose claim came later", before: func(b *book) {
			b.twists["shop/r3"] = func(d *draft) { d.record.Writer = artifact.ClaimID(b.clock-100, 7) }
		}, want: []string{"writer-implausible shop r3"}},
		{name: "writer that nobody claimed", before: func(b *book) {
			b.twists["shop/r12"] = func(d *draft) { d.record.Writer = artifact.ClaimID(b.clock-100, 7) }
		}, want: []string{"writer-implausible shop r12"}},
		{name: "latest put back", after: func(b *book, shop *chainBook) {
			b.store.SetTag(shop.repo, "latest", shop.at(10))
		}, want: []string{"latest-behind shop r12"}},
		{name: "latest lost", after: func(b *book, shop *chainBook) {
			b.store.RemoveTag(shop.repo, "latest")
		}, want: []string{"latest-missing shop"}},
		{name: "abandoned sibling", after: func(b *book, shop *chainBook) {
			b.store.SetTag(shop.repo, "latest", shop.rewrite(12, reason).Digest)
		}, want: []string{"latest-abandoned shop r12"}},
		{name: "sibling of an older revision", after: func(b *book, shop *chainBook) {
			b.store.SetTag(shop.repo, "latest", shop.rewrite(9, reason).Digest)
		}, want: []string{"latest-abandoned shop r9"}},
		{name: "foreign commit", after: func(b *book, shop *chainBook) {
			next := shop.rewrite(12, func(r *artifact.Record) {
				r.Number, r.Parent, r.Time = 13, shop.at(12), intent.FormatTime(b.tick().Time())
				r.Changes, r.Writer = []artifact.RecordChange{}, artifact.ClaimID(b.clock-10, 1)
			})
			b.store.SetTag(shop.repo, "latest", next.Digest)
		}, want: []string{"foreign-commit shop r13"}},
		{name: "commit on another chain", after: func(b *book, shop *chainBook) {
			next := shop.rewrite(12, func(r *artifact.Record) {
				r.Number, r.Parent, r.Time = 13, shop.at(11), intent.FormatTime(b.tick().Time())
			})
			b.store.SetTag(shop.repo, "latest", next.Digest)
		}, want: []string{"foreign-commit shop r13"}},
		{name: "latest that is no revision", after: func(b *book, shop *chainBook) {
			b.store.SetTag(shop.repo, "latest", b.artifact(shop.repo))
		}, want: []string{"foreign-commit shop r12"}},
		{name: "tags above the head", after: func(b *book, shop *chainBook) {
			b.store.SetTag(shop.repo, "r13", shop.at(3))
			b.store.SetTag(shop.repo, "r20", b.artifact(shop.repo))
		}, want: []string{"revision-orphan shop r13", "revision-orphan shop r20"}},
		{name: "r0 without a take-over", after: func(b *book, shop *chainBook) {
			b.store.SetTag(shop.repo, "r0", shop.at(3))
		}, want: []string{"revision-orphan shop"}},
		{name: "unknown tags", after: func(b *book, shop *chainBook) {
			for _, tag := range []string{"prod", "r01", "rx", "sha256-" + shop.at(3).Encoded() + ".sig"} {
				b.store.SetTag(shop.repo, tag, shop.at(3))
			}
			b.store.SetTag(shop.resource("b"), "stable", shop.version(3, "b").Digest)
		}, want: []string{"unknown-tag shop", "unknown-tag shop", "unknown-tag shop", "unknown-tag shop b"}},
		{name: "catalog of a deleted namespace gone", after: func(b *book, shop *chainBook) {
			old := b.chain("old")
			for n := range old.past {
				b.store.RemoveTag(old.repo, artifact.RevisionTag(int64(n+1)))
				b.store.DropManifest(old.repo, old.at(int64(n+1)))
			}
			b.store.RemoveTag(old.repo, "latest")
		}, want: []string{"latest-missing old"}},
	})
}

// artifact stores something that is no artifact of the ledger's.
func (b *book) artifact(repo string) digest.Digest {
	a, err := artifact.Tombstone(intent.Ref{Namespace: "some", Name: "thing"}, b.tick())
	b.must(err)
	b.put(repo, a)
	return a.Manifest.Digest
}

func TestTamperedContent(t *testing.T) {
	t.Parallel()
	x := func(namespace string) []byte {
		r := intent.Resource{Ref: intent.Ref{Namespace: namespace, Name: "x"}, Version: 1_785_000_000_000_000, Created: 1_785_000_000_000_000, Spec: intent.Spec{Type: "vm", Size: "small", Replicas: 1}}
		yaml, err := r.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		return yaml
	}
	bomb := func() []byte {
		var out bytes.Buffer
		z := gzip.NewWriter(&out)
		for range 70 {
			z.Write(make([]byte, 1<<20))
		}
		z.Close()
		return out.Bytes()
	}
	twist := func(at string, f func(b *book, shop *chainBook, d *draft)) func(b *book) {
		return func(b *book) { b.twists[at] = func(d *draft) { f(b, b.chain("shop"), d) } }
	}
	change := func(d *draft, name string) *artifact.RecordChange {
		for i := range d.record.Changes {
			if d.record.Changes[i].Name == name {
				return &d.record.Changes[i]
			}
		}
		t.Fatalf("no change of %s", name)
		return nil
	}
	other := registry.NewManifest("", []byte("other")).Digest
	runAll(t, []tampering{
		{name: "extra resource in one layer", before: twist("shop/r6", func(b *book, shop *chainBook, d *draft) { d.content["x"] = x("shop") }),
			want: []string{"layer-mismatch shop r6 x"}},
		{name: "extra resource in the last layer", before: twist("shop/r12", func(b *book, shop *chainBook, d *draft) { d.content["x"] = x("shop") }),
			want: []string{"change-unexplained shop r12 x"}},
		{name: "extra resource from a layer on", before: twist("shop/r6", func(b *book, shop *chainBook, d *draft) {
			d.content["x"], shop.content["x"] = x("shop"), x("shop")
		}), want: []string{"change-unexplained shop r6 x"}},
		{name: "extra resource from the first layer on", before: twist("shop/r1", func(b *book, shop *chainBook, d *draft) {
			d.content["x"], shop.content["x"] = x("shop"), x("shop")
		}), want: []string{"change-unexplained shop r1 x"}},
		{name: "extra resource in the first layer", before: twist("shop/r1", func(b *book, shop *chainBook, d *draft) { d.content["x"] = x("shop") }),
			want: []string{"layer-mismatch shop r1 x"}},
		{name: "resource lost from one layer", before: twist("shop/r6", func(b *book, shop *chainBook, d *draft) { delete(d.content, "b") }),
			want: []string{"layer-mismatch shop r6 b"}},
		{name: "resource lost from a layer on", before: twist("shop/r12", func(b *book, shop *chainBook, d *draft) {
			delete(d.content, "b")
			delete(shop.content, "b")
		}), want: []string{"change-unexplained shop r12 b"}},
		{name: "older version in one layer", before: twist("shop/r10", func(b *book, shop *chainBook, d *draft) { d.content["b"] = shop.past[1].content["b"] }),
			want: []string{"layer-mismatch shop r10 b"}},
		{name: "older version in the layer that changed it", before: twist("shop/r9", func(b *book, shop *chainBook, d *draft) { d.content["b"] = shop.past[1].content["b"] }),
			want: []string{"layer-mismatch shop r9 b"}},
		{name: "layer without resources", before: twist("shop/r3", func(b *book, shop *chainBook, d *draft) { clear(d.content) }),
			want: []string{"layer-mismatch shop r3 a", "layer-mismatch shop r3 b", "layer-mismatch shop r3 c"}},
		{name: "empty layer", before: twist("shop/r6", func(b *book, shop *chainBook, d *draft) { d.layer = []byte{} }),
			want: []string{"layer-invalid shop r6"}},
		{name: "gzip bomb", before: twist("shop/r6", func(b *book, shop *chainBook, d *draft) { d.layer = bomb() }),
			want: []string{"layer-invalid shop r6"}},
		{name: "catalog of another namespace", before: twist("shop/r6", func(b *book, shop *chainBook, d *draft) {
			d.layer = archive(t, "old", map[string][]byte{"x": x("old")})
		}), want: []string{"layer-invalid shop r6"}},
		{name: "manifest of another namespace", before: twist("shop/r6", func(b *book, shop *chainBook, d *draft) { d.content["x"] = x("old") }),
			want: []string{"layer-invalid shop r6"}},
		{name: "version from the future", before: twist("shop/r6", func(b *book, shop *chainBook, d *draft) {
			d.content["x"] = bytes.ReplaceAll(x("shop"), []byte("v1785000000000000"), []byte("v1999999999999999"))
		}), want: []string{"layer-invalid shop r6"}},

		{name: "change left out", before: twist("shop/r11", func(b *book, shop *chainBook, d *draft) { d.record.Changes = []artifact.RecordChange{} }),
			want: []string{"change-unexplained shop r11 b"}},
		{name: "change left out, older", before: twist("shop/r3", func(b *book, shop *chainBook, d *draft) { d.record.Changes = []artifact.RecordChange{} }),
			want: []string{"change-unexplained shop r3 b"}},
		{name: "deletion left out", before: twist("shop/r4", func(b *book, shop *chainBook, d *draft) { d.record.Changes = []artifact.RecordChange{} }),
			want: []string{"change-unexplained shop r4 c"}},
		{name: "change that did not happen", before: twist("shop/r12", func(b *book, shop *chainBook, d *draft) { d.content = shop.past[10].content }),
			want: []string{"change-mismatch shop r12 e"}},
		{name: "another digest after", before: twist("shop/r9", func(b *book, shop *chainBook, d *draft) { change(d, "b").After.Digest = other }),
			want: []string{"change-mismatch shop r9 b"}},
		{name: "another digest before", before: twist("shop/r9", func(b *book, shop *chainBook, d *draft) { change(d, "b").Before.Digest = other }),
			want: []string{"change-mismatch shop r9 b"}},
		{name: "nothing before", before: twist("shop/r9", func(b *book, shop *chainBook, d *draft) {
			change(d, "b").Before, change(d, "b").Operation = nil, "create"
		}), want: []string{"change-mismatch shop r9 b"}},
		{name: "update without before", before: twist("shop/r2", func(b *book, shop *chainBook, d *draft) { change(d, "b").Operation = "update" }),
			want: []string{"change-invalid shop r2 b"}},
		{name: "creation of what was there", before: twist("shop/r9", func(b *book, shop *chainBook, d *draft) { change(d, "b").Operation = "create" }),
			want: []string{"change-invalid shop r9 b"}},
		{name: "unknown operation", before: twist("shop/r9", func(b *book, shop *chainBook, d *draft) { change(d, "b").Operation = "hide" }),
			want: []string{"change-invalid shop r9 b"}},
		{name: "take-over in the middle", before: twist("shop/r9", func(b *book, shop *chainBook, d *draft) { change(d, "b").Operation = "take-over" }),
			want: []string{"change-invalid shop r9 b"}},
		{name: "deletion without a tombstone", before: twist("shop/r4", func(b *book, shop *chainBook, d *draft) { change(d, "c").After.Digest = other }),
			want: []string{"change-invalid shop r4 c"}},
		{name: "version that is none", before: twist("shop/r9", func(b *book, shop *chainBook, d *draft) { change(d, "b").After.Version = "1.2" }),
			want: []string{"change-invalid shop r9 b"}},
		{name: "name that is none", before: twist("shop/r9", func(b *book, shop *chainBook, d *draft) {
			c := *change(d, "b")
			c.Name, c.Before, c.Operation = "zzz/../x", nil, "create"
			d.record.Changes = append(d.record.Changes, c)
		}), want: []string{"change-invalid shop r9 zzz/../x"}},

		{name: "system edited", before: func(b *book) {
			b.twists["/r6"] = func(d *draft) {
				n := d.system.Namespaces["shop"]
				n.State = artifact.StateDeleted
				d.system.Namespaces["shop"] = n
			}
		}, want: []string{"change-unexplained system r6 shop", "change-unexplained system r7 shop"}},
		{name: "namespace gone from system", before: func(b *book) {
			b.twists["/r7"] = func(d *draft) { delete(d.system.Namespaces, "shop") }
		}, want: []string{"change-unexplained system r7 shop"}},
		{name: "namespace that no record created", before: func(b *book) {
			b.chain("x").write(nil)
			b.twists["/r1"] = func(d *draft) {
				n := artifact.SystemNamespace{State: artifact.StateActive, CreatedAt: d.record.Time}
				d.system.Namespaces["x"], b.system.Namespaces["x"] = n, n
			}
		}, want: []string{"change-unexplained system r1 x"}},
		{name: "another state than the record says", before: func(b *book) {
			b.twists["/r7"] = func(d *draft) {
				n := d.system.Namespaces["old"]
				n.State = artifact.StateActive
				d.system.Namespaces["old"] = n
			}
		}, want: []string{"change-mismatch system r7 old"}},
		{name: "cluster gone", before: func(b *book) {
			b.twists["/r7"] = func(d *draft) { d.system.Clusters = nil }
		}, want: []string{"change-unexplained system r7 west"}},
		{name: "system that is none", before: func(b *book) {
			b.twists["/r5"] = func(d *draft) { d.layer = []byte(`{"formatVersion":1}`) }
		}, want: []string{"layer-invalid system r5"}},
		{name: "operation of catalogs in system", before: func(b *book) {
			b.twists["/r7"] = func(d *draft) { d.record.Changes[0].Operation = "create" }
		}, want: []string{"change-invalid system r7 old"}},
	})
}
