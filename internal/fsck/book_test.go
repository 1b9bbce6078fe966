package fsck_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

const prefix = "gitops-squared"

// book writes histories as the ledger does, revision by revision, so that a
// test can also write what the ledger never would.
type book struct {
	t      testing.TB
	store  *faulty.Store
	layout artifact.Layout
	clock  intent.Version
	writer string // id of the claim
	system artifact.System
	chains map[string]*chainBook // by namespace; "" is the system catalog

	// twists change a revision before it is written, by scope and number.
	twists map[string]func(*draft)
}

// draft is a revision that is about to be written.
type draft struct {
	record  artifact.Record
	content map[string][]byte // manifests by resource; of the system catalog: nil
	layer   []byte            // if set, instead of content
	system  artifact.System
}

type chainBook struct {
	*book
	namespace string
	repo      string
	scope     string
	number    int64
	head      registry.Manifest
	parent    digest.Digest // of revision 1
	point     *artifact.CheckpointRef
	content   map[string][]byte
	versions  map[string]artifact.VersionRef
	past      []written
}

// written is a revision as it was written.
type written struct {
	artifact registry.Artifact
	record   artifact.Record
	content  map[string][]byte
}

func newBook(t testing.TB) *book {
	t.Helper()
	b := &book{
		t: t, store: faulty.New(), layout: artifact.Layout{Prefix: prefix}, clock: 1_785_585_600_000_000,
		system: artifact.System{Namespaces: map[string]artifact.SystemNamespace{}}, chains: map[string]*chainBook{}, twists: map[string]func(*draft){},
	}
	t.Cleanup(b.store.Close)
	b.claim()
	return b
}

func (b *book) tick() intent.Version {
	b.clock += 1_000_001
	return b.clock
}

func (b *book) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// put stores an artifact under tags.
func (b *book) put(repo string, a registry.Artifact, tags ...string) {
	b.t.Helper()
	b.must(b.store.Put(context.Background(), registry.Push{Repository: repo, Artifact: a}))
	for _, tag := range tags {
		b.store.SetTag(repo, tag, a.Manifest.Digest)
	}
}

// claim begins a new writer.
func (b *book) claim() {
	b.writer = artifact.ClaimID(b.tick(), uint64(b.clock))
	a, err := artifact.Claim{ID: b.writer, Host: "test"}.Pack()
	b.must(err)
	b.put(b.layout.Writer(), a, artifact.Latest)
}

func (b *book) chain(namespace string) *chainBook {
	if c := b.chains[namespace]; c != nil {
		return c
	}
	c := &chainBook{book: b, namespace: namespace, content: map[string][]byte{}, versions: map[string]artifact.VersionRef{}}
	c.repo, c.scope = b.layout.Catalog(namespace), artifact.ScopeNamespace(namespace)
	if namespace == "" {
		c.repo, c.scope = b.layout.System(), artifact.ScopeSystem
	}
	b.chains[namespace] = c
	return c
}

// set writes a namespace's state into the system catalog.
func (b *book) set(namespace, operation string) {
	b.t.Helper()
	b.chain("").write([]artifact.RecordChange{{Operation: operation, Name: namespace}}, func(d *draft) {
		n := d.system.Namespaces[namespace]
		n.State = operation
		if n.CreatedAt == "" {
			n.CreatedAt = d.record.Time
		}
		d.system.Namespaces[namespace] = n
	})
}

// cluster lists a cluster.
func (b *book) cluster(name string) {
	b.chain("").write(nil, func(d *draft) {
		d.system.Clusters = map[string]artifact.SystemCluster{name: {CreatedAt: d.record.Time}}
	})
}

// namespace creates a namespace with its first, empty revision.
func (b *book) namespace(name string) *chainBook {
	b.set(name, artifact.StateCreating)
	c := b.chain(name)
	c.write(nil)
	b.set(name, artifact.StateActive)
	return c
}

// deploy writes a deployment record of what the cluster runs.
func (b *book) deploy(cluster string, running map[string]artifact.Deployed) string {
	b.t.Helper()
	d := artifact.Deployment{Format: artifact.RecordFormat, Cluster: cluster, Time: intent.FormatTime(b.tick().Time()), Running: running}
	for _, name := range slices.Sorted(maps.Keys(running)) {
		d.Transitions = append(d.Transitions, artifact.Transition{Namespace: name, Deployed: running[name], State: artifact.DeploymentReady})
	}
	a, err := d.Pack()
	b.must(err)
	tag := artifact.DeploymentTag(b.clock)
	b.put(b.layout.Cluster(cluster), a, tag)
	return tag
}

// edit is one change of a resource.
type edit func(c *chainBook) artifact.RecordChange

func (c *chainBook) before(name string) *artifact.VersionRef {
	if v, ok := c.versions[name]; ok {
		return &v
	}
	return nil
}

// put declares a resource.
func put(name string, replicas int) edit {
	return func(c *chainBook) artifact.RecordChange {
		r := intent.Resource{
			Ref: intent.Ref{Namespace: c.namespace, Name: name}, Version: c.tick(),
			Spec: intent.Spec{Type: "vm", Size: "small", Replicas: replicas},
		}
		r.Created = r.Version
		change := artifact.RecordChange{Operation: "create", Name: name, Before: c.before(name), Actor: "anna"}
		if change.Before != nil {
			change.Operation = "update"
		}
		yaml, err := r.Manifest()
		c.must(err)
		a := artifact.Resource(r, yaml)
		change.After = &artifact.VersionRef{Version: r.Version.String(), Digest: a.Manifest.Digest}
		c.content[name], c.versions[name] = yaml, *change.After
		c.book.put(c.resource(name), a, r.Version.String(), artifact.Latest)
		return change
	}
}

// remove deletes a resource, by a delete or a rollback.
func remove(name, operation string) edit {
	return func(c *chainBook) artifact.RecordChange {
		v := c.tick()
		a, err := artifact.Tombstone(intent.Ref{Namespace: c.namespace, Name: name}, v)
		c.must(err)
		change := artifact.RecordChange{Operation: operation, Name: name, Before: c.before(name), After: &artifact.VersionRef{Version: v.String(), Digest: a.Manifest.Digest}}
		delete(c.content, name)
		delete(c.versions, name)
		c.book.put(c.resource(name), a, v.String(), artifact.Latest)
		return change
	}
}

// back gives a resource what it was at a revision.
func back(name string, revision int64) edit {
	return func(c *chainBook) artifact.RecordChange {
		yaml := c.past[revision-1].content[name]
		r, a, err := artifact.ResourceOf(yaml)
		c.must(err)
		change := artifact.RecordChange{Operation: "rollback", Name: name, Before: c.before(name), After: &artifact.VersionRef{Version: r.Version.String(), Digest: a.Manifest.Digest}}
		c.content[name], c.versions[name] = yaml, *change.After
		c.store.SetTag(c.resource(name), artifact.Latest, a.Manifest.Digest)
		return change
	}
}

func (c *chainBook) resource(name string) string {
	return c.layout.Resource(intent.Ref{Namespace: c.namespace, Name: name})
}

// commit writes the next revision.
func (c *chainBook) commit(edits ...edit) {
	c.t.Helper()
	var changes []artifact.RecordChange
	for _, e := range edits {
		changes = append(changes, e(c))
	}
	slices.SortFunc(changes, func(a, b artifact.RecordChange) int { return cmp.Compare(a.Name, b.Name) })
	c.write(changes)
}

func (c *chainBook) write(changes []artifact.RecordChange, more ...func(*draft)) {
	c.t.Helper()
	if changes == nil {
		changes = []artifact.RecordChange{}
	}
	c.number++
	parent := c.head.Digest
	if c.number == 1 {
		parent = c.parent
	}
	d := draft{
		record: artifact.Record{
			Format: artifact.RecordFormat, Scope: c.scope, Number: c.number, Parent: parent,
			Time: intent.FormatTime(c.tick().Time()), Writer: c.writer, Changes: changes, Checkpoint: c.point,
		},
		content: maps.Clone(c.content),
	}
	d.system = artifact.System{Namespaces: maps.Clone(c.book.system.Namespaces), Clusters: maps.Clone(c.book.system.Clusters)}
	for _, f := range more {
		f(&d)
	}
	if c.namespace == "" {
		c.book.system = artifact.System{Namespaces: maps.Clone(d.system.Namespaces), Clusters: maps.Clone(d.system.Clusters)}
	}
	if twist := c.twists[fmt.Sprintf("%s/r%d", c.namespace, c.number)]; twist != nil {
		twist(&d)
	}
	a := c.pack(d)
	c.head = a.Manifest
	c.past = append(c.past, written{a, d.record, d.content})
	c.book.put(c.repo, a, artifact.Latest, artifact.RevisionTag(c.number))
}

// pack makes a draft's artifact.
func (c *chainBook) pack(d draft) registry.Artifact {
	c.t.Helper()
	configType, layerType := artifact.TypeFluxConfig, artifact.TypeFluxContent
	data := d.layer
	switch {
	case data != nil:
	case c.namespace == "":
		blob, err := d.system.Encode()
		c.must(err)
		data = blob.Data
	default:
		data = archive(c.t, c.namespace, d.content)
	}
	if c.namespace == "" {
		configType, layerType = artifact.TypeSystemConfig, artifact.TypeSystem
	}
	a, err := artifact.Pack(configType, d.record, registry.NewBlob(layerType, data))
	c.must(err)
	return a
}

func archive(t testing.TB, namespace string, content map[string][]byte) []byte {
	t.Helper()
	var entries []catalog.Entry
	for name, yaml := range content {
		entries = append(entries, catalog.Entry{Name: name, YAML: yaml})
	}
	data, err := catalog.Pack(namespace, entries)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// thin keeps the revisions up to last in a checkpoint and deletes them.
func (c *chainBook) thin(last int64) {
	c.t.Helper()
	first := int64(1)
	if c.point != nil {
		first = c.point.Number + 1
	}
	var kept []artifact.Thinned
	for _, w := range c.past[first-1 : last] {
		kept = append(kept, artifact.Thinned{Manifest: w.artifact.Manifest, Record: w.record})
	}
	a, err := artifact.PackCheckpoint(c.point, kept)
	c.must(err)
	c.book.put(c.repo, a, artifact.CheckpointTag(last))
	c.point = &artifact.CheckpointRef{Number: last, Digest: a.Manifest.Digest}
	c.write(nil)
	needed := map[digest.Digest]bool{}
	for _, v := range c.versions {
		needed[v.Digest] = true
	}
	for _, w := range c.past[last:] {
		for _, change := range w.record.Changes {
			needed[change.After.Digest] = true
		}
		for name := range w.content {
			_, a, err := artifact.ResourceOf(w.content[name])
			c.must(err)
			needed[a.Manifest.Digest] = true
		}
	}
	for _, w := range c.past[first-1 : last] {
		c.store.RemoveTag(c.repo, artifact.RevisionTag(w.record.Number))
		c.store.DropManifest(c.repo, w.artifact.Manifest.Digest)
		for _, change := range w.record.Changes {
			if repo := c.resource(change.Name); !needed[change.After.Digest] {
				c.store.RemoveTag(repo, change.After.Version)
				c.store.DropManifest(repo, change.After.Digest)
			}
		}
	}
}

// at is the manifest of a revision.
func (c *chainBook) at(revision int64) digest.Digest {
	return c.past[revision-1].artifact.Manifest.Digest
}

// deployed names a revision as a deployment record does.
func (c *chainBook) deployed(revision int64) artifact.Deployed {
	return artifact.Deployed{Revision: revision, Digest: c.at(revision)}
}

// standard is a history with everything in it. Its main chain is that of the
// namespace shop:
//
//	r1 empty   r2 +a +b +c   r3 b   r4 -c   r5 a +d +e   r6 a back to r2's
//	r7 +c   r8 -d, by a rollback   r9 a b   r10 c   r11 nothing but b   r12 e
func standard(b *book) *chainBook {
	b.set(artifact.DefaultNamespace, artifact.StateActive)
	b.chain(artifact.DefaultNamespace).write(nil)
	shop := b.namespace("shop")
	shop.commit(put("a", 1), put("b", 1), put("c", 1))
	b.cluster("west")
	shop.commit(put("b", 2))
	shop.commit(remove("c", "delete"))
	b.deploy("west", map[string]artifact.Deployed{"shop": shop.deployed(3)})
	shop.commit(put("a", 9), put("d", 1), put("e", 1))
	shop.commit(back("a", 2))
	b.claim() // another server
	old := b.namespace("old")
	old.commit(put("x", 1))
	old.commit(remove("x", "delete"))
	b.set("old", artifact.StateDeleted)
	shop.commit(put("c", 2))
	shop.commit(remove("d", "rollback"))
	shop.commit(put("a", 2), put("b", 3))
	shop.commit(put("c", 3))
	shop.commit(put("b", 4))
	b.deploy("west", map[string]artifact.Deployed{"shop": shop.deployed(10), "old": old.deployed(2)})
	shop.commit(put("e", 5))
	return shop
}

// thinned is standard and more, with two checkpoints.
func thinned(b *book) *chainBook {
	shop := standard(b)
	shop.thin(4) // r13
	shop.commit(put("a", 6))
	shop.thin(9) // r15
	shop.commit(put("f", 1))
	return shop
}
