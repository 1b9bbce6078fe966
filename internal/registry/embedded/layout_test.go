package embedded

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

// What a store writes is what docs/embedded-registry.md describes. A change
// here is a change of the format: formatVersion has to change with it.
func TestLayout(t *testing.T) {
	t.Parallel()
	s := memoryStore(t)
	subject := digest.SHA512.FromString("subject")
	bulk := strings.Repeat("x", inlineBytes+1)
	a := registrytest.Artifact(t, func(m *ocispec.Manifest) {
		m.Subject = &ocispec.Descriptor{MediaType: ocispec.MediaTypeImageManifest, Digest: subject, Size: 7}
		m.Annotations = map[string]string{"key": "value"}
	}, bulk)
	if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: a}); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(t.Context(), registry.Tag{Repository: "a/b", Name: "v1", Manifest: a.Manifest}); err != nil {
		t.Fatal(err)
	}

	sum := func(d digest.Digest) string {
		code := map[digest.Algorithm]string{digest.SHA256: "01", digest.SHA512: "02"}[d.Algorithm()]
		return code + d.Encoded()
	}
	text := func(s string) string { return fmt.Sprintf("%x", s) }
	config, layer, m := a.Blobs[0].Digest, a.Blobs[1].Digest, a.Manifest
	referrer := fmt.Sprintf(`{"mediaType":"%s","digest":"%s","size":%d,"annotations":{"key":"value"},"artifactType":"%s"}`, m.MediaType, m.Digest, len(m.Data), registrytest.ArtifactType)
	want := []string{
		text("f") + " " + text("1"),
		text("B") + sum(config) + " " + text("i{}"),
		text("B") + sum(layer) + " " + text("f") + "0000000000010001",
		text("L") + sum(config) + text("a/b") + " " + "0000000000000002",
		text("L") + sum(layer) + text("a/b") + " " + "0000000000010001",
		text("Ma/b\x00") + sum(m.Digest) + " " + fmt.Sprintf("%02x", len(m.MediaType)) + text(m.MediaType+string(m.Data)),
		text("Ta/b\x00v1") + " " + sum(m.Digest),
		text("Pa/b\x00") + sum(m.Digest) + text("v1") + " 01",
		text("Ra/b\x00") + sum(subject) + sum(m.Digest) + " " + text(referrer),
	}
	var got []string
	it, err := s.db.NewIter(&pebble.IterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for valid := it.First(); valid; valid = it.Next() {
		got = append(got, fmt.Sprintf("%x %x", it.Key(), it.Value()))
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(want)
	slices.Sort(got)
	for i := range max(len(want), len(got)) {
		if i >= len(want) || i >= len(got) || want[i] != got[i] {
			t.Fatalf("keys and values:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}

	names, err := s.fs.List("/data")
	slices.Sort(names)
	if err != nil || fmt.Sprint(names) != "[blobs db format lock newest-log uploads]" {
		t.Errorf("data folder: %v, %v", names, err)
	}
	if file, err := readSmallFile(s.fs, "/data/format"); err != nil || string(file) != "1\n" {
		t.Errorf("format file: %q, %v", file, err)
	}
	if info, err := s.fs.Stat("/data/blobs/sha256/" + layer.Encoded()); err != nil || info.Size() != int64(len(bulk)) {
		t.Errorf("file of the large blob: %v", err)
	}
}
