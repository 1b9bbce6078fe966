package e2e_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
)

// oldRegistry writes what the proof of concept writes.
type oldRegistry struct {
	t    *testing.T
	host string
	live []oldFile // of the catalog, in the order of their first write
}

type oldFile struct{ name, manifest string }

// declare writes a version of a resource, as far as a registry takes its name,
// and then the catalog. The stored version never knows its own number.
func (o *oldRegistry) declare(seconds int64, name, spec string) {
	o.t.Helper()
	version := fmt.Sprintf("v%d", seconds)
	o.resource(name, version, oldManifest(name, "pending", spec), nil)
	file := oldFile{name, oldManifest(name, version, spec)}
	for i := range o.live {
		if o.live[i].name == name {
			o.live[i] = file
			o.catalog()
			return
		}
	}
	o.live = append(o.live, file)
	o.catalog()
}

// delete writes a tombstone, and then the catalog.
func (o *oldRegistry) delete(seconds int64, name string) {
	o.t.Helper()
	o.resource(name, fmt.Sprintf("v%d", seconds), "# deleted: default/"+name+"\n", map[string]string{artifact.AnnotationDeleted: "true"})
	kept := o.live[:0]
	for _, f := range o.live {
		if f.name != name {
			kept = append(kept, f)
		}
	}
	o.live = kept
	o.catalog()
}

func oldManifest(name, version, spec string) string {
	return fmt.Sprintf(`apiVersion: gitops-squared.io/v1alpha1
kind: PlatformResource
metadata:
  annotations:
    gitops-squared.io/pushed-at: "2026-02-10T13:50:25Z"
    gitops-squared.io/version: %s
  labels:
    app.kubernetes.io/managed-by: gitops-squared
  name: %s
  namespace: default
spec: %s
`, version, name, spec)
}

func (o *oldRegistry) resource(name, version, manifest string, more map[string]string) {
	o.t.Helper()
	layer := registry.NewBlob(artifact.TypeResourceYAML, []byte(manifest))
	described := layer.Descriptor()
	described.Annotations = map[string]string{
		ocispec.AnnotationTitle: "platformresource.yaml", artifact.AnnotationName: name,
		artifact.AnnotationNamespace: "default", artifact.AnnotationVersion: version,
	}
	for k, v := range more {
		described.Annotations[k] = v
	}
	config := registry.NewBlob(ocispec.MediaTypeEmptyJSON, []byte("{}"))
	o.push("gitops-squared/resources/default/"+name, ocispec.Manifest{
		ArtifactType: artifact.TypeResource, Config: config.Descriptor(), Layers: []ocispec.Descriptor{described}, Annotations: more,
	}, []registry.Blob{config, layer}, version, "latest")
}

func (o *oldRegistry) catalog() {
	o.t.Helper()
	var archive bytes.Buffer
	zw := gzip.NewWriter(&archive)
	tw := tar.NewWriter(zw)
	write := func(name, content string) {
		if err := tw.WriteHeader(&tar.Header{Name: "manifests/" + name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			o.t.Fatal(err)
		}
		if _, err := io.WriteString(tw, content); err != nil {
			o.t.Fatal(err)
		}
	}
	kustomization := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n"
	for _, f := range o.live {
		write("default-"+f.name+".yaml", f.manifest)
		kustomization += "  - default-" + f.name + ".yaml\n"
	}
	write("kustomization.yaml", kustomization)
	if err := tw.Close(); err != nil {
		o.t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		o.t.Fatal(err)
	}
	config := registry.NewBlob(artifact.TypeFluxConfig, []byte("{}"))
	layer := registry.NewBlob(artifact.TypeFluxContent, archive.Bytes())
	o.push("gitops-squared/catalog", ocispec.Manifest{
		ArtifactType: artifact.TypeFluxConfig, Config: config.Descriptor(), Layers: []ocispec.Descriptor{layer.Descriptor()},
	}, []registry.Blob{config, layer}, "latest")
}

func (o *oldRegistry) push(repo string, m ocispec.Manifest, blobs []registry.Blob, tags ...string) {
	o.t.Helper()
	m.Versioned, m.MediaType = specs.Versioned{SchemaVersion: 2}, ocispec.MediaTypeImageManifest
	for _, b := range blobs {
		at := o.request(http.MethodPost, "http://"+o.host+"/v2/"+repo+"/blobs/uploads/", "", nil).Header.Get("Location")
		target, err := url.Parse(at)
		if err != nil {
			o.t.Fatal(err)
		}
		query := target.Query()
		query.Set("digest", b.Digest.String())
		target.RawQuery = query.Encode()
		o.request(http.MethodPut, target.String(), "application/octet-stream", b.Data)
	}
	data, err := json.Marshal(m)
	if err != nil {
		o.t.Fatal(err)
	}
	for _, tag := range tags {
		o.request(http.MethodPut, "http://"+o.host+"/v2/"+repo+"/manifests/"+tag, m.MediaType, data)
	}
}

func (o *oldRegistry) request(method, target, contentType string, body []byte) *http.Response {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), method, target, bytes.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode/100 != 2 {
		o.t.Fatalf("%s %s: %s: %s", method, target, resp.Status, answer)
	}
	return resp
}
