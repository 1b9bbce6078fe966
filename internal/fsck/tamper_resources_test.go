package fsck_test

import (
	"bytes"
	"testing"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// layerOf is the blob that holds a version's manifest.
func (c *chainBook) layerOf(name string, v artifact.VersionRef) digest.Digest {
	c.t.Helper()
	a, err := c.store.Raw().Get(c.t.Context(), c.resource(name), v.Digest.String())
	c.must(err)
	return a.Blobs[1].Digest
}

func TestTamperedResources(t *testing.T) {
	t.Parallel()
	runAll(t, []tampering{
		{name: "replaced version artifact", after: func(b *book, shop *chainBook) {
			b.store.SetTag(shop.resource("b"), shop.version(3, "b").Version, shop.version(9, "b").Digest)
		}, want: []string{"version-tag-moved shop r3 b"}},
		{name: "replaced version artifact, the true one gone", after: func(b *book, shop *chainBook) {
			b.store.SetTag(shop.resource("b"), shop.version(3, "b").Version, shop.version(9, "b").Digest)
			b.store.DropManifest(shop.resource("b"), shop.version(3, "b").Digest)
		}, want: []string{"version-missing shop r3 b"}},
		{name: "version missing", after: func(b *book, shop *chainBook) {
			b.store.RemoveTag(shop.resource("b"), shop.version(3, "b").Version)
			b.store.DropManifest(shop.resource("b"), shop.version(3, "b").Digest)
		}, want: []string{"version-missing shop r3 b"}},
		{name: "version missing that a rollback names, too", after: func(b *book, shop *chainBook) {
			b.store.RemoveTag(shop.resource("a"), shop.version(6, "a").Version)
			b.store.DropManifest(shop.resource("a"), shop.version(6, "a").Digest)
		}, want: []string{"version-missing shop r6 a"}},
		{name: "version tag missing", after: func(b *book, shop *chainBook) {
			b.store.RemoveTag(shop.resource("b"), shop.version(3, "b").Version)
		}, want: []string{"version-tag-missing shop r3 b"}},
		{name: "version's blob missing", after: func(b *book, shop *chainBook) {
			b.store.DropBlob(shop.resource("b"), shop.layerOf("b", shop.version(3, "b")))
		}, want: []string{"version-damaged shop r3 b"}},
		{name: "version's blob cut off", after: func(b *book, shop *chainBook) {
			b.store.ReplaceBlob(shop.resource("b"), shop.layerOf("b", shop.version(3, "b")), []byte("apiVersion"))
		}, want: []string{"version-damaged shop r3 b"}},
		{name: "tombstone missing", after: func(b *book, shop *chainBook) {
			b.store.RemoveTag(shop.resource("c"), shop.version(4, "c").Version)
			b.store.DropManifest(shop.resource("c"), shop.version(4, "c").Digest)
		}, want: []string{"version-missing shop r4 c"}},
		{name: "version that no record names", after: func(b *book, shop *chainBook) {
			b.store.SetTag(shop.resource("b"), "v1785585600000005", shop.version(3, "b").Digest)
			b.store.SetTag(shop.resource("b"), "v1999999999999999", shop.version(3, "b").Digest)
		}, want: []string{"version-unknown shop b", "version-unknown shop b"}},
		{name: "latest moved back", after: func(b *book, shop *chainBook) {
			b.store.SetTag(shop.resource("b"), "latest", shop.version(9, "b").Digest)
		}, want: []string{"resource-latest-wrong shop r11 b"}},
		{name: "latest of a resource that was rolled back", after: func(b *book, shop *chainBook) {
			b.store.SetTag(shop.resource("d"), "latest", shop.version(5, "d").Digest)
		}, want: []string{"resource-latest-wrong shop r8 d"}},
		{name: "latest lost", after: func(b *book, shop *chainBook) {
			b.store.RemoveTag(shop.resource("b"), "latest")
		}, want: []string{"resource-latest-missing shop r11 b"}},
		{name: "whole resource lost", after: func(b *book, shop *chainBook) {
			for _, tag := range []string{"latest", shop.version(5, "e").Version, shop.version(12, "e").Version} {
				b.store.RemoveTag(shop.resource("e"), tag)
			}
			b.store.DropManifest(shop.resource("e"), shop.version(5, "e").Digest)
			b.store.DropManifest(shop.resource("e"), shop.version(12, "e").Digest)
		}, want: []string{"version-missing shop r5 e", "version-missing shop r12 e", "resource-latest-missing shop r12 e"}},
	})
}

func TestTamperedSurroundings(t *testing.T) {
	t.Parallel()
	writer := func(b *book) string { return b.layout.Writer() }
	record := func(b *book, change func(d *artifact.Deployment), tag string) {
		d := artifact.Deployment{
			Format: artifact.RecordFormat, Cluster: "west", Time: intent.FormatTime(b.tick().Time()),
			Running: map[string]artifact.Deployed{"shop": b.chain("shop").deployed(3)},
		}
		d.Transitions = []artifact.Transition{{Namespace: "shop", Deployed: d.Running["shop"], State: artifact.DeploymentReady}}
		if tag == "" {
			tag = artifact.DeploymentTag(b.clock)
		}
		change(&d)
		a, err := d.Pack()
		b.must(err)
		b.put(b.layout.Cluster("west"), a, tag)
	}
	runAll(t, []tampering{
		{name: "writer claim missing", after: func(b *book, _ *chainBook) { b.store.RemoveTag(writer(b), "latest") }, want: []string{"writer-missing writer"}},
		{name: "writer claim that is none", after: func(b *book, _ *chainBook) { b.store.SetTag(writer(b), "latest", b.artifact(writer(b))) }, want: []string{"writer-damaged writer"}},
		{name: "deployment record that is none", after: func(b *book, _ *chainBook) {
			b.store.SetTag(b.layout.Cluster("west"), "d1785585600000001", b.artifact(b.layout.Cluster("west")))
		}, want: []string{"deployment-damaged clusters/west"}},
		{name: "deployment record edited", after: func(b *book, _ *chainBook) {
			repo := b.layout.Cluster("west")
			tags, err := b.store.Raw().Tags(t.Context(), repo, "", 1)
			b.must(err)
			a, err := b.store.Raw().Get(t.Context(), repo, tags[0])
			b.must(err)
			b.store.ReplaceBlob(repo, a.Blobs[1].Digest, bytes.Replace(a.Blobs[1].Data, []byte("ready"), []byte("faild"), 1))
		}, want: []string{"deployment-damaged clusters/west"}},
		{name: "deployment record with another tag", after: func(b *book, _ *chainBook) {
			record(b, func(*artifact.Deployment) {}, "d1785585600000001")
		}, want: []string{"deployment-misplaced clusters/west"}},
		{name: "deployment record of another cluster", after: func(b *book, _ *chainBook) {
			record(b, func(d *artifact.Deployment) { d.Cluster = "east" }, "")
		}, want: []string{"deployment-misplaced clusters/west"}},
		{name: "deployment of another revision", after: func(b *book, shop *chainBook) {
			record(b, func(d *artifact.Deployment) {
				d.Running["shop"] = artifact.Deployed{Revision: 4, Digest: shop.at(3)}
				d.Transitions[0].Deployed = artifact.Deployed{Revision: 99, Digest: shop.at(3)}
			}, "")
		}, want: []string{"deployment-unknown-revision shop r4", "deployment-unknown-revision shop r99"}},
		{name: "deployment of an unknown namespace", after: func(b *book, shop *chainBook) {
			record(b, func(d *artifact.Deployment) { d.Running["none"] = shop.deployed(3) }, "")
		}, want: []string{"deployment-unknown-revision none r3"}},
		{name: "unknown tag of a cluster", after: func(b *book, _ *chainBook) {
			b.store.SetTag(b.layout.Cluster("west"), "d01", b.artifact(b.layout.Cluster("west")))
		}, want: []string{"unknown-tag clusters/west"}},
	})
}

func TestTamperedCheckpoints(t *testing.T) {
	t.Parallel()
	runAll(t, []tampering{
		{name: "gap above a checkpoint", write: thinned, after: func(b *book, shop *chainBook) {
			b.store.RemoveTag(shop.repo, "r10")
			b.store.DropManifest(shop.repo, shop.at(10))
		}, want: []string{"revision-missing shop r10"}},
		{name: "checkpoint gone", write: thinned, after: func(b *book, shop *chainBook) {
			b.store.DropManifest(shop.repo, shop.point.Digest)
			b.store.RemoveTag(shop.repo, "c9")
		}, want: []string{"checkpoint-damaged shop r9"}},
		{name: "checkpoint's blob damaged", write: thinned, after: func(b *book, shop *chainBook) {
			a, err := b.store.Raw().Get(t.Context(), shop.repo, "c4")
			b.must(err)
			b.store.ReplaceBlob(shop.repo, a.Blobs[1].Digest, []byte("?"))
		}, want: []string{"checkpoint-damaged shop r4"}},
		{name: "forged checkpoint", before: func(b *book) {
			b.twists["shop/r13"] = func(d *draft) {
				shop := b.chain("shop")
				var kept []artifact.Thinned
				var parent digest.Digest
				for _, w := range shop.past[:4] { // all of it follows, but another reason
					record := w.record
					record.Parent = parent
					if len(record.Changes) > 0 {
						record.Changes[0].Reason = "forged"
					}
					a := shop.pack(draft{record: record, layer: w.artifact.Blobs[1].Data})
					parent = a.Manifest.Digest
					kept = append(kept, artifact.Thinned{Manifest: a.Manifest, Record: record})
				}
				a, err := artifact.PackCheckpoint(nil, kept)
				b.must(err)
				b.put(shop.repo, a, "c4")
				shop.point = &artifact.CheckpointRef{Number: 4, Digest: a.Manifest.Digest}
				d.record.Checkpoint = shop.point
			}
		}, write: func(b *book) *chainBook {
			shop := standard(b)
			shop.thin(4)
			return shop
		}, want: []string{"checkpoint-mismatch shop r4"}},
		{name: "checkpoint of another namespace", write: func(b *book) *chainBook {
			shop := standard(b)
			old := b.chain("old")
			a, err := artifact.PackCheckpoint(nil, []artifact.Thinned{{Manifest: old.past[0].artifact.Manifest, Record: old.past[0].record}})
			b.must(err)
			b.put(shop.repo, a, "c1")
			shop.point = &artifact.CheckpointRef{Number: 1, Digest: a.Manifest.Digest}
			shop.write(nil)
			return shop
		}, want: []string{"checkpoint-mismatch shop r1"}},
		{name: "checkpoint named together with a change", before: func(b *book) {
			b.twists["shop/r13"] = func(d *draft) { d.layer = archive(t, "shop", b.chain("shop").past[10].content) }
		}, write: thinned, want: []string{"checkpoint-mismatch shop r13", "layer-mismatch shop r13 e"}},
		{name: "checkpoint forgotten", before: func(b *book) {
			b.twists["shop/r16"] = func(d *draft) {
				d.record.Checkpoint = nil
				d.record.Changes = d.record.Changes[:0]
				delete(d.content, "f")
			}
		}, write: func(b *book) *chainBook {
			shop := thinned(b)
			b.store.RemoveTag(shop.resource("f"), "latest")
			return shop
		}, want: []string{"checkpoint-mismatch shop r16"}},
		{name: "checkpoint's tag missing", write: thinned, after: func(b *book, shop *chainBook) { b.store.RemoveTag(shop.repo, "c4") }, want: []string{"checkpoint-tag-missing shop r4"}},
		{name: "checkpoint's tag moved", write: thinned, after: func(b *book, shop *chainBook) { b.store.SetTag(shop.repo, "c4", shop.point.Digest) }, want: []string{"checkpoint-tag-moved shop r4"}},
		{name: "checkpoint that nothing names", write: thinned, after: func(b *book, shop *chainBook) { b.store.SetTag(shop.repo, "c12", shop.point.Digest) }, want: []string{"checkpoint-unnamed shop"}},
		{name: "tag of a thinned revision moved", write: thinned, after: func(b *book, shop *chainBook) { b.store.SetTag(shop.repo, "r2", shop.at(10)) }, want: []string{"revision-tag-moved shop r2"}},
		{name: "tag of a thinned revision still there", write: thinned, after: func(b *book, shop *chainBook) {
			b.store.SetTag(shop.repo, "r2", shop.at(2))
			b.put(shop.repo, shop.past[1].artifact)
		}},
		{name: "present version of a thinned revision missing", write: func(b *book) *chainBook {
			shop := standard(b)
			shop.thin(10)
			return shop
		}, after: func(b *book, shop *chainBook) {
			v := shop.version(10, "c")
			b.store.RemoveTag(shop.resource("c"), v.Version)
			b.store.DropManifest(shop.resource("c"), v.Digest)
			b.store.RemoveTag(shop.resource("c"), "latest")
		}, want: []string{"version-missing shop r10 c", "resource-latest-missing shop r10 c"}},
		{name: "record above a checkpoint whose version is missing", write: thinned, after: func(b *book, shop *chainBook) {
			v := shop.version(10, "c")
			b.store.RemoveTag(shop.resource("c"), v.Version)
			b.store.DropManifest(shop.resource("c"), v.Digest)
		}, want: []string{"version-missing shop r10 c", "resource-latest-missing shop r10 c"}},
		{name: "thinned record wrong", before: func(b *book) {
			b.twists["shop/r3"] = func(d *draft) {
				d.record.Changes[0].Before = &artifact.VersionRef{Version: "v5", Digest: registry.NewManifest("", nil).Digest}
			}
		}, write: thinned, want: []string{"change-mismatch shop r2 b"}},
		{name: "thinned record wrong at the end of what is read in depth", before: func(b *book) {
			b.twists["shop/r10"] = func(d *draft) {
				d.record.Changes[0].Before = &artifact.VersionRef{Version: "v5", Digest: registry.NewManifest("", nil).Digest}
			}
		}, write: thinned, want: []string{"change-mismatch shop r7 c"}},
	})
}
