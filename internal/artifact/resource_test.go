package artifact

import (
	"bytes"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// A manifest that is put together by hand is the one that encoding/json writes.
func FuzzLabelled(f *testing.F) {
	f.Add("default", "web", int64(1785585600000000), []byte("apiVersion: v1\n"))
	f.Add("a", "0--1", int64(1), []byte{})
	f.Fuzz(func(t *testing.T, namespace, name string, version int64, data []byte) {
		ref, v := intent.Ref{Namespace: namespace, Name: name}, intent.Version(version)
		if _, err := intent.ParseVersion(v.String()); err != nil || !intent.IsLabel(namespace) || !intent.IsLabel(name) {
			return
		}
		layer := registry.NewBlob(TypeResourceYAML, data)
		got, want := labelled(ref, v, layer), encode(resourceManifest(ref, v, emptyConfig(), layer, false))
		if !bytes.Equal(got, want) {
			t.Fatalf("got\n%s\nwant\n%s", got, want)
		}
	})
}

func TestEmptyConfigIsTheSpecificationsOwn(t *testing.T) {
	t.Parallel()
	if got, want := emptyConfig(), registry.NewBlob(ocispec.MediaTypeEmptyJSON, ocispec.DescriptorEmptyJSON.Data); got.MediaType != want.MediaType || got.Digest != want.Digest || !bytes.Equal(got.Data, want.Data) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func BenchmarkResource(b *testing.B) {
	r := intent.Resource{Ref: intent.Ref{Namespace: "default", Name: "orders-db"}, Spec: intent.Spec{Type: "database", Size: "small", Region: "eu-west-1", Replicas: 3}, Version: 1760000000000001, Created: 1760000000000000}
	data, err := r.Manifest()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		Resource(r, data)
	}
}
