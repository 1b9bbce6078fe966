package ledger_test

import (
	"context"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// cluster enters a cluster into the system catalog, while no ledger runs.
func cluster(t *testing.T, store *faulty.Store, name string) {
	t.Helper()
	repo := prefix + "/system"
	a, err := store.Raw().Get(context.Background(), repo, artifact.Latest)
	if err != nil {
		t.Fatal(err)
	}
	head, err := artifact.Unpack(artifact.TypeSystemConfig, artifact.TypeSystem, a)
	if err != nil {
		t.Fatal(err)
	}
	content, err := artifact.ParseSystem(head.Layer.Data)
	if err != nil {
		t.Fatal(err)
	}
	when, err := intent.ParseTime(head.Record.Time)
	if err != nil {
		t.Fatal(err)
	}
	record := head.Record
	record.Number, record.Parent, record.Changes = record.Number+1, head.Manifest.Digest, []artifact.RecordChange{}
	record.Time = intent.FormatTime(when.Add(time.Microsecond))
	content.Clusters = map[string]artifact.SystemCluster{name: {CreatedAt: record.Time}}
	layer, err := content.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if a, err = artifact.Pack(artifact.TypeSystemConfig, record, layer); err != nil {
		t.Fatal(err)
	}
	push(t, store, repo, a, artifact.Latest, artifact.RevisionTag(record.Number))
}

// deployed notes that a cluster runs a revision now.
func deployed(t *testing.T, store *faulty.Store, cluster, namespace string, r ledger.Revision) {
	t.Helper()
	time.Sleep(time.Millisecond)
	now := time.Now()
	ran := artifact.Deployed{Revision: r.Number, Digest: r.Digest}
	a, err := artifact.Deployment{
		Format: artifact.RecordFormat, Cluster: cluster, Time: intent.FormatTime(now),
		Transitions: []artifact.Transition{{Namespace: namespace, Deployed: ran, State: artifact.DeploymentReady}},
		Running:     map[string]artifact.Deployed{namespace: ran},
	}.Pack()
	if err != nil {
		t.Fatal(err)
	}
	push(t, store, prefix+"/clusters/"+cluster, a, artifact.DeploymentTag(intent.Version(now.UnixMicro())))
}

// push stores an artifact under tags, without faults.
func push(t testing.TB, store *faulty.Store, repo string, a registry.Artifact, tags ...string) {
	t.Helper()
	if err := store.Raw().Put(context.Background(), registry.Push{Repository: repo, Artifact: a}); err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		store.SetTag(repo, tag, a.Manifest.Digest)
	}
}
