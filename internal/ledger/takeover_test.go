package ledger_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// oldVersion is one version of a resource as the proof of concept wrote it.
type oldVersion struct {
	name    string
	seconds int64
	spec    string // YAML, two spaces in; empty for a tombstone
}

func oldManifest(v oldVersion, version string) []byte {
	return fmt.Appendf(nil, `apiVersion: gitops-squared.io/v1alpha1
kind: PlatformResource
metadata:
  annotations:
    gitops-squared.io/pushed-at: "2026-02-10T13:50:25Z"
    gitops-squared.io/version: %s
  labels:
    app.kubernetes.io/managed-by: gitops-squared
  name: %s
  namespace: default
spec:
%s`, version, v.name, v.spec)
}

func oldPush(t *testing.T, s *faulty.Store, repo string, m ocispec.Manifest, config, layer registry.Blob, tags ...string) registry.Manifest {
	t.Helper()
	m.Versioned = specs.Versioned{SchemaVersion: 2}
	m.MediaType = ocispec.MediaTypeImageManifest
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	a := registry.Artifact{Manifest: registry.NewManifest(m.MediaType, data), Blobs: []registry.Blob{config, layer}}
	if err := s.Put(context.Background(), registry.Push{Repository: repo, Artifact: a}); err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		if err := s.Commit(context.Background(), registry.Tag{Repository: repo, Name: tag, Manifest: a.Manifest}); err != nil {
			t.Fatal(err)
		}
	}
	return a.Manifest
}

// oldRegistry is a registry as the proof of concept leaves it: versions in
// their order, and a catalog of those that are live by name.
func oldRegistry(t *testing.T, versions []oldVersion, live ...oldVersion) (*faulty.Store, registry.Manifest) {
	t.Helper()
	s := faulty.New()
	t.Cleanup(s.Close)
	for _, v := range versions {
		tag := fmt.Sprintf("v%d", v.seconds)
		marks := map[string]string{artifact.AnnotationName: v.name, artifact.AnnotationNamespace: "default", artifact.AnnotationVersion: tag}
		data := oldManifest(v, "pending")
		if v.spec == "" {
			data = []byte("# deleted: default/" + v.name + "\n")
			marks[artifact.AnnotationDeleted] = "true"
		}
		layer := registry.NewBlob(artifact.TypeResourceYAML, data)
		d := layer.Descriptor()
		d.Annotations = marks
		config := registry.NewBlob(ocispec.MediaTypeEmptyJSON, []byte("{}"))
		oldPush(t, s, prefix+"/resources/default/"+v.name, ocispec.Manifest{
			ArtifactType: artifact.TypeResource, Config: config.Descriptor(), Layers: []ocispec.Descriptor{d},
			Annotations: map[string]string{artifact.AnnotationName: v.name},
		}, config, layer, tag, "latest")
	}
	var buf bytes.Buffer
	zw := gzip.NewWriter(&buf)
	tw := tar.NewWriter(zw)
	write := func(name string, data []byte) {
		if err := tw.WriteHeader(&tar.Header{Name: "manifests/" + name, Mode: 0o644, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		tw.Write(data)
	}
	for _, v := range live {
		write("default-"+strings.ReplaceAll(v.name, "/", "-")+".yaml", oldManifest(v, fmt.Sprintf("v%d", v.seconds)))
	}
	write("kustomization.yaml", []byte("apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"))
	tw.Close()
	zw.Close()
	config, layer := registry.NewBlob(artifact.TypeFluxConfig, []byte("{}")), registry.NewBlob(artifact.TypeFluxContent, buf.Bytes())
	m := oldPush(t, s, prefix+"/catalog", ocispec.Manifest{
		ArtifactType: artifact.TypeFluxConfig, Config: config.Descriptor(), Layers: []ocispec.Descriptor{layer.Descriptor()},
	}, config, layer, "latest")
	return s, m
}

const vmSpec = "  region: us-east-1\n  replicas: 2\n  size: medium\n  type: vm\n"

func TestTakeOver(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		web := oldVersion{"web", 1770731425, vmSpec}
		web2 := oldVersion{"web", 1770731500, strings.Replace(vmSpec, "medium", "large", 1)}
		db := oldVersion{"db", 1770731430, "  size: small\n  type: database\n"}
		goneThen := oldVersion{"gone", 1770731431, vmSpec}
		gone := oldVersion{"gone", 1770731432, ""}
		store, old := oldRegistry(t, []oldVersion{web, db, goneThen, web2, gone}, web2, db)
		o := options(t, store)
		ctx := context.Background()

		if err := ledger.Init(ctx, o); code(err) != ledger.CodeForeignWriter {
			t.Errorf("a plain init on a registry of the proof of concept: %v", err)
		}
		report, err := ledger.TakeOver(ctx, o, ledger.TakeOverOptions{})
		if err != nil || !slices.Equal(report.Resources, []string{"db", "web"}) {
			t.Fatalf("TakeOver: %+v, %v", report, err)
		}
		p := start(t, store)
		if got := sizes(t, p, "default"); !equal(got, map[string]string{"web": "large", "db": "small"}) {
			t.Errorf("after the take-over: %v", got)
		}
		e, _, err := p.Get("default", "web")
		if err != nil || e.Spec.Region != "us-east-1" || e.Spec.Replicas != 2 || e.Created.Time().Unix() != web.seconds {
			t.Errorf("web: %+v, %v", e, err)
		}
		if d, err := store.Resolve(ctx, prefix+"/catalog", "r0"); err != nil || d.Digest != old.Digest {
			t.Errorf("r0: %v, %v", d.Digest, err)
		}
		if d, err := store.Resolve(ctx, prefix+"/resources/default/web", "v1770731425"); err != nil || d.Digest == "" {
			t.Errorf("an old version is gone: %v", err)
		}
		apply(t, p, "default", put("next", "small"))
		if _, err := ledger.TakeOver(ctx, o, ledger.TakeOverOptions{}); err == nil {
			t.Error("a second take-over did not refuse")
		}
		p.stop()
		inspectLayers(t, store)
	})
}

// inspectLayers is inspect without what a take-over does not have: the
// versions before r1 are the proof of concept's.
func inspectLayers(t *testing.T, store *faulty.Store) {
	t.Helper()
	revs := chain(t, store.Raw(), prefix+"/catalog", artifact.TypeFluxConfig, artifact.TypeFluxContent)
	if revs[0].Record.Parent == "" {
		t.Error("r1 has no parent, want the old catalog")
	}
	for _, c := range revs[0].Record.Changes {
		if c.Operation != string(ledger.TakenOver) && c.Operation != string(ledger.Dropped) {
			t.Errorf("r1: %+v", c)
		}
	}
}

func TestTakeOverOfInvalidObjects(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		good := oldVersion{"good", 1770731425, vmSpec}
		broken := oldVersion{"broken", 1770731500, strings.Replace(vmSpec, "2", "-3", 1)}
		fine := oldVersion{"broken", 1770731400, vmSpec}
		name := oldVersion{"my_db", 1770731426, vmSpec}
		slash := oldVersion{"a/b", 1770731427, vmSpec}
		dash := oldVersion{"a-b", 1770731428, vmSpec}
		store, _ := oldRegistry(t, []oldVersion{good, fine, broken, dash}, good, broken, name, slash, dash)
		o := options(t, store)
		ctx := context.Background()
		before := store.Count(faulty.PutBlob, faulty.PutManifest, faulty.Commit, faulty.PutTag)

		report, err := ledger.TakeOver(ctx, o, ledger.TakeOverOptions{})
		if !errors.Is(err, ledger.ErrInvalidObjects) || len(report.Invalid) != 3 {
			t.Fatalf("TakeOver: %+v, %v", report, err)
		}
		for _, i := range report.Invalid {
			if len(i.Faults) == 0 {
				t.Errorf("%s: no fault", i.Name)
			}
			if want := map[string]string{"broken": "v1770731400"}[i.Name]; i.LastValid != want {
				t.Errorf("%s: last valid version %q, want %q", i.Name, i.LastValid, want)
			}
		}
		for _, choices := range []map[string]ledger.Choice{
			{"broken": ledger.UseLastValid, "my_db": ledger.UseLastValid, "a/b": ledger.Drop},
			{"broken": ledger.UseLastValid, "my_db": ledger.Drop},
			{"broken": ledger.UseLastValid, "my_db": ledger.Drop, "a/b": ledger.Drop, "good": ledger.Drop},
			{"broken": ledger.UseLastValid, "my_db": ledger.Drop, "a/b": ledger.Drop, "other": ledger.Drop},
		} {
			if _, err := ledger.TakeOver(ctx, o, ledger.TakeOverOptions{Choices: choices}); err == nil {
				t.Errorf("choices %v were accepted", choices)
			}
		}
		if _, err := ledger.TakeOver(ctx, o, ledger.TakeOverOptions{Choices: map[string]ledger.Choice{"broken": ledger.Drop, "my_db": ledger.Drop, "a/b": ledger.Drop}}); code(err) != ledger.CodeConfirm {
			t.Errorf("dropping three of five without a confirmation: %v", err)
		}
		if n := store.Count(faulty.PutBlob, faulty.PutManifest, faulty.Commit, faulty.PutTag); n != before {
			t.Errorf("something was written while objects were invalid: %d requests", n-before)
		}
		choices := map[string]ledger.Choice{"broken": ledger.UseLastValid, "my_db": ledger.Drop, "a/b": ledger.Drop}
		if _, err := ledger.TakeOver(ctx, o, ledger.TakeOverOptions{Choices: choices}); err != nil {
			t.Fatal(err)
		}
		p := start(t, store)
		if got := sizes(t, p, "default"); !equal(got, map[string]string{"good": "medium", "broken": "medium", "a-b": "medium"}) {
			t.Errorf("after the take-over: %v", got)
		}
		p.stop()
		inspectLayers(t, store)
	})
}

// Whatever happens to one request of a take-over, running it again finishes it,
// and until then nothing that was live is missing from latest.
func TestInterruptedTakeOver(t *testing.T) {
	t.Parallel()
	for _, fault := range []faulty.Fault{faulty.Refused, faulty.NotStored, faulty.StoredButError, faulty.Timeout, faulty.StoredLate{After: 3e9}} {
		for k := range 60 {
			t.Run(fmt.Sprintf("%v/%d", fault, k), func(t *testing.T) {
				t.Parallel()
				bubble(t, func(t *testing.T) {
					web := oldVersion{"web", 1770731425, vmSpec}
					db := oldVersion{"db", 1770731430, "  size: small\n  type: database\n"}
					store, _ := oldRegistry(t, []oldVersion{web, db}, web, db)
					ln := &line{Registry: store}
					at := len(store.Ops()) + 1 + k
					store.SetFault(func(op faulty.Op) faulty.Fault {
						if op.N != at {
							return nil
						}
						ln.cut.Store(true)
						return fault
					})
					ctx, cancel := context.WithTimeout(context.Background(), 60e9)
					_, err := ledger.TakeOver(ctx, options(t, ln), ledger.TakeOverOptions{})
					cancel()
					// Twice, for a late claim of the first one supersedes the second.
					for attempt := 0; err != nil && attempt < 2; attempt++ {
						ctx, cancel := context.WithTimeout(context.Background(), 60e9)
						_, err = ledger.TakeOver(ctx, options(t, store), ledger.TakeOverOptions{})
						cancel()
						if err != nil && strings.Contains(err.Error(), "initialised already") {
							err = nil
						}
					}
					if err != nil {
						t.Fatalf("again: %v", err)
					}
					p := start(t, store)
					if got := sizes(t, p, "default"); !equal(got, map[string]string{"web": "medium", "db": "small"}) {
						t.Errorf("after the take-over: %v", got)
					}
					p.stop()
					store.Flush()
					inspectLayers(t, store)
				})
			})
		}
	}
}
