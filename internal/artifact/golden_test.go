package artifact_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// The story of the golden files: revision 7 of the namespace default created
// db, deleted old and updated web. They lie in testdata/golden/<artifact>: the
// manifest, the config and the layer as they lie in the registry.
const (
	webCreated intent.Version = 1785585600000000
	oldVersion intent.Version = 1785585600000001
	webBefore  intent.Version = 1785585661000000
	dbVersion  intent.Version = 1785585722000000
	oldDeleted intent.Version = 1785585722000001
	webVersion intent.Version = 1785585722000002
	revisionAt intent.Version = 1785585722000003
	claimedAt  intent.Version = 1785585500000000
)

var (
	dbRef  = intent.Ref{Namespace: "default", Name: "db"}
	oldRef = intent.Ref{Namespace: "default", Name: "old"}
	webRef = intent.Ref{Namespace: "default", Name: "web"}
)

func writer() string { return artifact.ClaimID(claimedAt, 0x0123456789abcdef) }

func db() intent.Resource {
	return intent.Resource{Ref: dbRef, Version: dbVersion, Created: dbVersion, Spec: intent.Spec{Type: "database", Size: "medium", Replicas: 1}}
}

func web(v intent.Version) intent.Resource {
	return intent.Resource{Ref: webRef, Version: v, Created: webCreated, Spec: intent.Spec{Type: "vm", Size: "large", Region: "eu-central-1", Replicas: 3}}
}

func artifactOf(t testing.TB, r intent.Resource) registry.Artifact {
	t.Helper()
	yaml, err := r.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	return artifact.Resource(r, yaml)
}

func tombstone(t testing.TB) registry.Artifact {
	t.Helper()
	a, err := artifact.Tombstone(oldRef, oldDeleted)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func ref(v intent.Version, a registry.Artifact) *artifact.VersionRef {
	return &artifact.VersionRef{Version: v.String(), Digest: a.Manifest.Digest}
}

func layerOf(t testing.TB, resources ...intent.Resource) registry.Blob {
	t.Helper()
	entries := make([]catalog.Entry, len(resources))
	for i, r := range resources {
		yaml, err := r.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		entries[i] = catalog.Entry{Name: r.Name, YAML: yaml}
	}
	data, err := catalog.Pack("default", entries)
	if err != nil {
		t.Fatal(err)
	}
	return registry.NewBlob(artifact.TypeFluxContent, data)
}

func catalogRecord(t testing.TB) artifact.Record {
	t.Helper()
	old := intent.Resource{Ref: oldRef, Version: oldVersion, Created: oldVersion, Spec: intent.Spec{Type: "bucket", Size: "small", Replicas: 1}}
	return artifact.Record{
		Format: artifact.RecordFormat, Scope: artifact.ScopeNamespace("default"), Number: 7,
		Parent: digest.FromString("revision 6"), Time: intent.FormatTime(revisionAt.Time()), Writer: writer(),
		Changes: []artifact.RecordChange{
			{Operation: "create", Name: "db", After: ref(dbVersion, artifactOf(t, db())), Actor: "ci@example.org", Reason: "orders <need> a database & soon"},
			{Operation: "delete", Name: "old", Before: ref(oldVersion, artifactOf(t, old)), After: ref(oldDeleted, tombstone(t)), Actor: "Ada"},
			{Operation: "update", Name: "web", Before: ref(webBefore, artifactOf(t, web(webBefore))), After: ref(webVersion, artifactOf(t, web(webVersion)))},
		},
	}
}

func takeOverRecord(t testing.TB) artifact.Record {
	t.Helper()
	return artifact.Record{
		Format: artifact.RecordFormat, Scope: artifact.ScopeNamespace("default"), Number: 1,
		Parent: digest.FromString("revision 0, the old catalog"), Time: intent.FormatTime(revisionAt.Time()), Writer: writer(),
		Changes: []artifact.RecordChange{
			{Operation: "drop", Name: "my_db"},
			{Operation: "take-over", Name: "web", Before: &artifact.VersionRef{Version: "v1785585600", Digest: digest.FromString("web, as it was")}, After: ref(webVersion, artifactOf(t, web(webVersion)))},
		},
	}
}

func system() artifact.System {
	return artifact.System{Namespaces: map[string]artifact.SystemNamespace{
		"default": {State: artifact.StateActive, CreatedAt: intent.FormatTime(webCreated.Time())},
		"retired": {State: artifact.StateDeleted, CreatedAt: intent.FormatTime(oldVersion.Time())},
		"staging": {State: artifact.StateCreating, CreatedAt: intent.FormatTime(revisionAt.Time())},
	}}
}

func systemRecord() artifact.Record {
	return artifact.Record{
		Format: artifact.RecordFormat, Scope: artifact.ScopeSystem, Number: 5,
		Parent: digest.FromString("revision 4"), Time: intent.FormatTime(revisionAt.Time()), Writer: writer(),
		Changes: []artifact.RecordChange{{Operation: artifact.StateCreating, Name: "staging", Actor: "Ada"}},
	}
}

// checkpointRecord is that of a revision after a checkpoint.
func checkpointRecord(t testing.TB) artifact.Record {
	r := catalogRecord(t)
	r.Number = 12
	r.Checkpoint = &artifact.CheckpointRef{Number: 9, Digest: digest.FromString("checkpoint 9")}
	return r
}

func verifiedRecord(t testing.TB) artifact.Record {
	r := catalogRecord(t)
	r.Changes[0].Verified = true
	return r
}

// history is what a checkpoint keeps of a chain's revisions: the golden
// catalog's record over and over, with other numbers.
func history(t testing.TB, first, last int64) []artifact.Thinned {
	t.Helper()
	var kept []artifact.Thinned
	for n := first; n <= last; n++ {
		r := catalogRecord(t)
		r.Number = n
		r.Time = intent.FormatTime((revisionAt + intent.Version(n)).Time())
		if r.Parent = digest.FromString("revision before"); n == 1 {
			r.Parent = ""
		}
		if len(kept) > 0 {
			r.Parent = kept[len(kept)-1].Manifest.Digest
		}
		a, err := artifact.Pack(artifact.TypeFluxConfig, r, layerOf(t, db(), web(webVersion)))
		if err != nil {
			t.Fatal(err)
		}
		thin, err := artifact.NewThinned(a.Manifest, a.Blobs[0].Data)
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, thin)
	}
	return kept
}

func deployment() artifact.Deployment {
	now := artifact.Deployed{Revision: 7, Digest: digest.FromString("revision 7")}
	return artifact.Deployment{
		Format: artifact.RecordFormat, Cluster: "prod", Time: intent.FormatTime(revisionAt.Time()),
		Transitions: []artifact.Transition{
			{Namespace: "default", Deployed: now, State: artifact.DeploymentReady},
			{Namespace: "staging", Deployed: artifact.Deployed{Revision: 3, Digest: digest.FromString("revision 3")}, State: artifact.DeploymentFailed, Message: "field is <immutable>"},
		},
		Running: map[string]artifact.Deployed{"default": now, "staging": {Revision: 2, Digest: digest.FromString("revision 2")}},
	}
}

func firstRecord() artifact.Record {
	return artifact.Record{
		Format: artifact.RecordFormat, Scope: artifact.ScopeNamespace("default"), Number: 1,
		Time: intent.FormatTime(revisionAt.Time()), Writer: writer(), Changes: []artifact.RecordChange{},
	}
}

// goldens builds every kind of artifact that the product writes.
func goldens(t testing.TB) map[string]registry.Artifact {
	t.Helper()
	must := func(a registry.Artifact, err error) registry.Artifact {
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	systemLayer, err := system().Encode()
	if err != nil {
		t.Fatal(err)
	}
	withSettings := system()
	withSettings.Namespaces["default"] = artifact.SystemNamespace{
		State: artifact.StateActive, CreatedAt: intent.FormatTime(webCreated.Time()),
		Retention: artifact.Retention{Revisions: 100, Seconds: 30 * 24 * 3600, TombstonesSeconds: 90 * 24 * 3600},
	}
	withSettings.Clusters = map[string]artifact.SystemCluster{"prod": {CreatedAt: intent.FormatTime(oldVersion.Time())}}
	settingsLayer, err := withSettings.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]registry.Artifact{
		"resource":             artifactOf(t, web(webVersion)),
		"tombstone":            tombstone(t),
		"catalog":              must(artifact.Pack(artifact.TypeFluxConfig, catalogRecord(t), layerOf(t, db(), web(webVersion)))),
		"catalog-first":        must(artifact.Pack(artifact.TypeFluxConfig, firstRecord(), layerOf(t))),
		"catalog-taken":        must(artifact.Pack(artifact.TypeFluxConfig, takeOverRecord(t), layerOf(t, web(webVersion)))),
		"system-catalog":       must(artifact.Pack(artifact.TypeSystemConfig, systemRecord(), systemLayer)),
		"system-settings":      must(artifact.Pack(artifact.TypeSystemConfig, systemRecord(), settingsLayer)),
		"catalog-checkpointed": must(artifact.Pack(artifact.TypeFluxConfig, checkpointRecord(t), layerOf(t, db(), web(webVersion)))),
		"catalog-verified":     must(artifact.Pack(artifact.TypeFluxConfig, verifiedRecord(t), layerOf(t, db(), web(webVersion)))),
		"checkpoint":           must(artifact.PackCheckpoint(&artifact.CheckpointRef{Number: 6, Digest: digest.FromString("checkpoint 6")}, history(t, 7, 9))),
		"deployment":           must(deployment().Pack()),
		"probe":                artifact.Probe(),
		"writer":               must(artifact.Claim{ID: writer(), Host: "gsq-0"}.Pack()),
	}
}

func layerName(mediaType string) string {
	return map[string]string{
		artifact.TypeResourceYAML: "layer.yaml", artifact.TypeFluxContent: "layer.tar.gz",
		artifact.TypeSystem: "layer.json", artifact.TypeWriterClaim: "layer.json", artifact.TypeDeployment: "layer.json",
		artifact.TypeCheckpointContent: "layer.tar.gz", ocispec.MediaTypeEmptyJSON: "layer.json",
	}[mediaType]
}

func TestArtifactsAreTheGoldenBytes(t *testing.T) {
	t.Parallel()
	for name, a := range goldens(t) {
		if len(a.Blobs) != 2 {
			t.Fatalf("%s: %d blobs", name, len(a.Blobs))
		}
		for file, got := range map[string][]byte{"manifest.json": a.Manifest.Data, "config.json": a.Blobs[0].Data, layerName(a.Blobs[1].MediaType): a.Blobs[1].Data} {
			want, err := os.ReadFile(filepath.Join("testdata/golden", name, file))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s/%s: got\n%s\nwant\n%s", name, file, got, want)
			}
		}
	}
}

// What the files say of each other holds for anybody who hashes them.
func TestManifestsDescribeTheirBlobs(t *testing.T) {
	t.Parallel()
	for name, a := range goldens(t) {
		var m ocispec.Manifest
		if err := json.Unmarshal(a.Manifest.Data, &m); err != nil {
			t.Fatal(err)
		}
		if m.SchemaVersion != 2 || m.MediaType != ocispec.MediaTypeImageManifest || a.Manifest.MediaType != m.MediaType || len(m.Layers) != 1 {
			t.Errorf("%s: %s", name, a.Manifest.Data)
		}
		for i, d := range []ocispec.Descriptor{m.Config, m.Layers[0]} {
			b := a.Blobs[i]
			if d.Digest != digest.FromBytes(b.Data) || d.Size != int64(len(b.Data)) || d.MediaType != b.MediaType || d.Digest != b.Digest {
				t.Errorf("%s: %+v does not describe its blob", name, d)
			}
		}
		if a.Manifest.Digest != digest.FromBytes(a.Manifest.Data) {
			t.Errorf("%s: the manifest's digest is not that of its bytes", name)
		}
		if _, err := a.Manifest.Content(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every artifact of the last revision can be rebuilt from its record and its
// catalog, as docs/formats.md says.
func TestDigestsAreRecomputedFromRecordAndCatalog(t *testing.T) {
	t.Parallel()
	rev, err := artifact.Unpack(artifact.TypeFluxConfig, artifact.TypeFluxContent, goldens(t)["catalog"])
	if err != nil {
		t.Fatal(err)
	}
	entries, err := catalog.Unpack("default", rev.Layer.Data)
	if err != nil {
		t.Fatal(err)
	}
	live := map[string]digest.Digest{}
	for _, e := range entries {
		_, a, err := artifact.ResourceOf(e.YAML)
		if err != nil {
			t.Fatal(err)
		}
		live[e.Name] = a.Manifest.Digest
	}
	if len(live) != 2 {
		t.Fatalf("%d resources", len(live))
	}
	for _, c := range rev.Record.Changes {
		got := live[c.Name]
		if c.Operation == "delete" {
			v, err := intent.ParseVersion(c.After.Version)
			if err != nil {
				t.Fatal(err)
			}
			a, err := artifact.Tombstone(intent.Ref{Namespace: "default", Name: c.Name}, v)
			if err != nil {
				t.Fatal(err)
			}
			got = a.Manifest.Digest
		}
		if got != c.After.Digest {
			t.Errorf("%s: recomputed %s, recorded %s", c.Name, got, c.After.Digest)
		}
	}
	if _, _, err := artifact.ResourceOf([]byte("a: 1\n")); err == nil {
		t.Error("an artifact was made of what is no manifest")
	}
}
