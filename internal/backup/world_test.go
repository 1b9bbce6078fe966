package backup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"encoding/json"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

const testPrefix = "gitops-squared"

// world writes the artifacts of random histories, as a ledger does, straight
// into a registry: so that it can be made to do what a ledger rarely does.
type world struct {
	t      testing.TB
	to     registry.Registry
	layout artifact.Layout
	rand   *rand.Rand
	clock  intent.Version
	repos  map[string]bool // that have anything

	system artifact.System
	chains map[string]*line // by namespace, "" is system
	runs   map[string]artifact.Deployed
}

// line is a chain of the world.
type line struct {
	repo, scope, configType string
	revisions               []made // r1 is the first
	checkpoint              *artifact.CheckpointRef
	live                    map[string]live
	past                    map[string][]live // versions that were live, by name
	layer                   registry.Blob
}

type made struct {
	artifact registry.Artifact
	thinned  artifact.Thinned
	live     map[string]live
}

type live struct {
	version  intent.Version
	yaml     []byte
	artifact registry.Artifact
}

func (l live) ref() *artifact.VersionRef {
	return &artifact.VersionRef{Version: l.version.String(), Digest: l.artifact.Manifest.Digest}
}

const testWriter = "w1700000000000000-00112233445566ff"

func newWorld(t testing.TB, to registry.Registry, seed uint64) *world {
	w := &world{
		t: t, to: to, layout: artifact.Layout{Prefix: testPrefix}, rand: rand.New(rand.NewPCG(seed, 7)), clock: 1785585723000456,
		repos: map[string]bool{}, system: artifact.System{Namespaces: map[string]artifact.SystemNamespace{}},
		chains: map[string]*line{"": {repo: "/system", scope: artifact.ScopeSystem, configType: artifact.TypeSystemConfig}},
		runs:   map[string]artifact.Deployed{},
	}
	w.namespace("default")
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) next() intent.Version {
	w.clock += intent.Version(1 + w.rand.IntN(5_000_000))
	return w.clock
}

func (w *world) put(repo string, a registry.Artifact, tags ...string) {
	w.t.Helper()
	ctx := context.Background()
	repo = testPrefix + repo
	w.repos[repo] = true
	w.must(w.to.Put(ctx, registry.Push{Repository: repo, Artifact: a}))
	for _, tag := range tags {
		w.must(w.to.Commit(ctx, registry.Tag{Repository: repo, Name: tag, Manifest: a.Manifest}))
	}
}

// commit makes the next revision of a chain.
func (w *world) commit(l *line, changes []artifact.RecordChange, layer registry.Blob) {
	w.t.Helper()
	if changes == nil {
		changes = []artifact.RecordChange{}
	}
	slices.SortFunc(changes, func(a, b artifact.RecordChange) int {
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	var parent digest.Digest
	if n := len(l.revisions); n > 0 {
		parent = l.revisions[n-1].artifact.Manifest.Digest
	}
	record := artifact.Record{
		Format: artifact.RecordFormat, Scope: l.scope, Number: int64(len(l.revisions) + 1), Parent: parent,
		Time: intent.FormatTime(w.next().Time()), Writer: testWriter, Changes: changes, Checkpoint: l.checkpoint,
	}
	a, err := artifact.Pack(l.configType, record, layer)
	w.must(err)
	thinned, err := artifact.NewThinned(a.Manifest, a.Blobs[0].Data)
	w.must(err)
	w.put(l.repo, a, artifact.Latest, artifact.RevisionTag(record.Number))
	l.revisions = append(l.revisions, made{a, thinned, maps.Clone(l.live)})
	l.layer = layer
}

func (w *world) commitSystem(changes ...artifact.RecordChange) {
	w.t.Helper()
	layer, err := w.system.Encode()
	w.must(err)
	w.commit(w.chains[""], changes, layer)
}

func (w *world) namespace(name string) *line {
	w.t.Helper()
	if l := w.chains[name]; l != nil {
		return l
	}
	now := intent.FormatTime(w.clock.Time())
	w.system.Namespaces[name] = artifact.SystemNamespace{State: artifact.StateCreating, CreatedAt: now}
	w.commitSystem(artifact.RecordChange{Operation: artifact.StateCreating, Name: name})
	l := &line{
		repo: artifact.Layout{}.Catalog(name), scope: artifact.ScopeNamespace(name), configType: artifact.TypeFluxConfig,
		live: map[string]live{}, past: map[string][]live{},
	}
	w.chains[name] = l
	w.commitCatalog(name, nil)
	w.system.Namespaces[name] = artifact.SystemNamespace{State: artifact.StateActive, CreatedAt: now}
	w.commitSystem(artifact.RecordChange{Operation: artifact.StateActive, Name: name})
	return l
}

func (w *world) commitCatalog(namespace string, changes []artifact.RecordChange) {
	w.t.Helper()
	l := w.chains[namespace]
	var entries []catalog.Entry
	for name, v := range l.live {
		entries = append(entries, catalog.Entry{Name: name, YAML: v.yaml})
	}
	data, err := catalog.Pack(namespace, entries)
	w.must(err)
	w.commit(l, changes, registry.NewBlob(artifact.TypeFluxContent, data))
}

// change does something to a few resources of a namespace: creates, updates,
// deletes, and brings back what was there before.
func (w *world) change(namespace string) {
	w.t.Helper()
	l := w.namespace(namespace)
	changes := map[string]artifact.RecordChange{}
	for range 1 + w.rand.IntN(3) {
		name := fmt.Sprintf("r%d", w.rand.IntN(6))
		if _, ok := changes[name]; ok {
			continue
		}
		now, is := l.live[name]
		c := artifact.RecordChange{Name: name}
		if is {
			c.Before = now.ref()
		}
		repo := artifact.Layout{}.Resource(intent.Ref{Namespace: namespace, Name: name})
		switch draw := w.rand.IntN(10); {
		case draw < 2 && is: // delete
			v := w.next()
			a, err := artifact.Tombstone(intent.Ref{Namespace: namespace, Name: name}, v)
			w.must(err)
			w.put(repo, a, v.String(), artifact.Latest)
			delete(l.live, name)
			c.Operation, c.After = "delete", live{version: v, artifact: a}.ref()
		case draw < 5 && len(l.past[name]) > 0: // roll back
			then := l.past[name][w.rand.IntN(len(l.past[name]))]
			if is && then.version == now.version {
				continue
			}
			w.put(repo, then.artifact, artifact.Latest)
			w.must(w.to.Commit(context.Background(), registry.Tag{Repository: testPrefix + repo, Name: then.version.String(), Manifest: then.artifact.Manifest}))
			l.live[name] = then
			c.Operation, c.After = "rollback", then.ref()
		default:
			v := w.next()
			yaml, err := manifestOf(namespace, name, v, w.rand.IntN(100))
			w.must(err)
			_, a, err := artifact.ResourceOf(yaml)
			w.must(err)
			w.put(repo, a, v.String(), artifact.Latest)
			l.live[name] = live{v, yaml, a}
			l.past[name] = append(l.past[name], l.live[name])
			c.Operation, c.After = "update", l.live[name].ref()
			if !is {
				c.Operation = "create"
			}
		}
		changes[name] = c
	}
	w.commitCatalog(namespace, slices.Collect(maps.Values(changes)))
}

func manifestOf(namespace, name string, v intent.Version, replicas int) ([]byte, error) {
	r := intent.Resource{Ref: intent.Ref{Namespace: namespace, Name: name}, Version: v, Created: v, Spec: intent.Spec{Type: "vm", Size: "small", Replicas: replicas%10 + 1}}
	return r.Manifest()
}

// checkpoint writes a checkpoint of a namespace's revisions up to n, and a
// revision that names it.
func (w *world) checkpoint(namespace string, n int64) {
	w.t.Helper()
	l := w.chains[namespace]
	first := int64(1)
	if l.checkpoint != nil {
		first = l.checkpoint.Number + 1
	}
	var revisions []artifact.Thinned
	for _, r := range l.revisions[first-1 : n] {
		revisions = append(revisions, r.thinned)
	}
	a, err := artifact.PackCheckpoint(l.checkpoint, revisions)
	w.must(err)
	w.put(l.repo, a, artifact.CheckpointTag(n))
	l.checkpoint = &artifact.CheckpointRef{Number: n, Digest: a.Manifest.Digest}
	w.commit(l, nil, l.layer)
}

// thin removes what the last checkpoint allows: revisions, but for those that
// keep names, and the versions that only they had.
func (w *world) thin(namespace string, keep ...int64) {
	w.t.Helper()
	ctx := context.Background()
	l := w.chains[namespace]
	stays := map[digest.Digest]bool{}
	for i, r := range l.revisions {
		if n := int64(i + 1); n > l.checkpoint.Number || slices.Contains(keep, n) {
			for _, v := range r.live {
				stays[v.artifact.Manifest.Digest] = true
			}
			for _, c := range r.thinned.Record.Changes {
				if c.After != nil {
					stays[c.After.Digest] = true
				}
			}
		}
	}
	remove := func(repo string, d digest.Digest) {
		if err := w.to.Delete(ctx, testPrefix+repo, d); err != nil && !errors.Is(err, registry.ErrNotFound) {
			w.t.Fatal(err)
		}
	}
	for i, r := range l.revisions[:l.checkpoint.Number] {
		if slices.Contains(keep, int64(i+1)) {
			continue
		}
		remove(l.repo, r.artifact.Manifest.Digest)
		for _, c := range r.thinned.Record.Changes {
			if c.After != nil && !stays[c.After.Digest] {
				remove(artifact.Layout{}.Resource(intent.Ref{Namespace: namespace, Name: c.Name}), c.After.Digest)
			}
		}
	}
}

// deploy notes that a cluster runs a revision of a namespace.
func (w *world) deploy(cluster, namespace string, n int64) {
	w.t.Helper()
	if _, ok := w.system.Clusters[cluster]; !ok {
		w.system.Clusters = maps.Clone(w.system.Clusters)
		if w.system.Clusters == nil {
			w.system.Clusters = map[string]artifact.SystemCluster{}
		}
		w.system.Clusters[cluster] = artifact.SystemCluster{CreatedAt: intent.FormatTime(w.clock.Time())}
		w.commitSystem()
	}
	what := artifact.Deployed{Revision: n, Digest: w.chains[namespace].revisions[n-1].artifact.Manifest.Digest}
	w.runs[namespace] = what
	at := w.next()
	d := artifact.Deployment{
		Format: artifact.RecordFormat, Cluster: cluster, Time: intent.FormatTime(at.Time()), Running: maps.Clone(w.runs),
		Transitions: []artifact.Transition{{Namespace: namespace, Deployed: what, State: artifact.DeploymentReady}},
	}
	a, err := d.Pack()
	w.must(err)
	w.put(artifact.Layout{}.Cluster(cluster), a, artifact.DeploymentTag(at))
}

// sign puts an artifact that refers to another, and returns it.
func (w *world) sign(repo string, subject registry.Manifest, text string) registry.Manifest {
	w.t.Helper()
	config := registry.NewBlob(ocispec.MediaTypeEmptyJSON, []byte("{}"))
	layer := registry.NewBlob("text/plain", []byte(text))
	data, err := json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest, ArtifactType: "application/vnd.test.signature",
		Config: config.Descriptor(), Layers: []ocispec.Descriptor{layer.Descriptor()},
		Subject: &ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: int64(len(subject.Data))},
	})
	w.must(err)
	a := registry.Artifact{Manifest: registry.NewManifest(ocispec.MediaTypeImageManifest, data), Blobs: []registry.Blob{config, layer}}
	w.put(repo, a)
	return a.Manifest
}

// grow lets a few things happen.
func (w *world) grow(steps int) {
	w.t.Helper()
	spaces := []string{"default", "team", "other"}
	for range steps {
		w.change(spaces[w.rand.IntN(len(spaces))])
		if w.rand.IntN(8) == 0 {
			w.deploy("c1", "default", int64(len(w.chains["default"].revisions)))
		}
	}
}

// full returns a world with a bit of everything.
func full(t testing.TB, to registry.Registry, seed uint64) *world {
	w := newWorld(t, to, seed)
	w.grow(12)
	w.deploy("c1", "default", 2)
	if n := int64(len(w.chains["default"].revisions)); n > 4 {
		w.checkpoint("default", n/2)
		w.change("default")
		w.thin("default", 2)
		w.checkpoint("default", n-1)
		w.thin("default", 2)
	}
	w.grow(3)
	l := w.chains["default"]
	signed := w.sign(l.repo, l.revisions[len(l.revisions)-1].artifact.Manifest, "signed")
	w.sign(l.repo, signed, "the signature is signed, too")
	for name, v := range l.live {
		w.sign(artifact.Layout{}.Resource(intent.Ref{Namespace: "default", Name: name}), v.artifact.Manifest, "attested")
	}
	return w
}

// small returns a world with little in it.
func small(t testing.TB, to registry.Registry, seed uint64) *world {
	w := newWorld(t, to, seed)
	w.grow(4)
	w.deploy("c1", "default", 1)
	w.sign(w.chains["default"].repo, w.chains["default"].revisions[0].artifact.Manifest, "signed")
	return w
}

// contentOf is everything that can be read in repositories, as text: tags with
// what they name, and what refers to that, every byte verified.
func contentOf(t testing.TB, r registry.Registry, prefix string, repos map[string]bool) map[string]string {
	t.Helper()
	ctx := context.Background()
	content := map[string]string{}
	for full := range repos {
		repo := full[len(testPrefix):]
		tags, err := r.Tags(ctx, prefix+repo, "", 1_000_000)
		if err != nil {
			t.Fatal(err)
		}
		var visit func(name, reference string)
		visit = func(name, reference string) {
			a, err := r.Get(ctx, prefix+repo, reference)
			if err != nil {
				t.Fatalf("%s%s:%s: %v", prefix, repo, reference, err)
			}
			content[name] = a.Manifest.Digest.String()
			referrers, err := r.Referrers(ctx, prefix+repo, a.Manifest.Digest, "")
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range referrers {
				visit(name+"<"+d.Digest.String(), d.Digest.String())
			}
		}
		for _, tag := range tags {
			visit(repo+":"+tag, tag)
		}
	}
	return content
}

// differ reports how two contents differ.
func differ(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	for name, d := range want {
		if got[name] != d {
			t.Errorf("%s: %s is %q, want %s", what, name, got[name], d)
		}
	}
	for name, d := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s: %s is %s, it should not be there", what, name, d)
		}
	}
}

func momentOf(r made) time.Time {
	stamp, err := r.thinned.Record.Stamp()
	if err != nil {
		panic(err)
	}
	return stamp.Time()
}
