package embedded_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
)

func index(t *testing.T, mediaType string, manifests ...registry.Manifest) registry.Manifest {
	t.Helper()
	i := ocispec.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: mediaType, Manifests: []ocispec.Descriptor{}}
	for _, m := range manifests {
		i.Manifests = append(i.Manifests, ocispec.Descriptor{MediaType: m.MediaType, Digest: m.Digest, Size: int64(len(m.Data))})
	}
	data, err := json.Marshal(i)
	if err != nil {
		t.Fatal(err)
	}
	return registry.NewManifest(mediaType, data)
}

func TestPushManifestKinds(t *testing.T) {
	t.Parallel()
	c := handled(t)
	image := registrytest.Artifact(t, nil, "layer")
	c.push("a/b", "image", image)
	docker := registrytest.Artifact(t, func(m *ocispec.Manifest) { m.MediaType, m.ArtifactType = dockerManifest, "" }, "layer")
	docker.Manifest.MediaType = dockerManifest
	oci := index(t, ocispec.MediaTypeImageIndex, image.Manifest)
	for _, m := range []registry.Manifest{docker.Manifest, oci, index(t, dockerList, docker.Manifest), index(t, ocispec.MediaTypeImageIndex, oci), index(t, ocispec.MediaTypeImageIndex)} {
		for _, reference := range []string{"tag", m.Digest.String()} {
			a := c.want(201, "PUT", "/v2/a/b/manifests/"+reference, m.Data, "Content-Type", m.MediaType+"; charset=utf-8")
			if a.header.Get("Docker-Content-Digest") != m.Digest.String() {
				t.Errorf("%s: headers %v", m.MediaType, a.header)
			}
			got := c.want(200, "GET", a.header.Get("Location"), nil)
			if string(got.body) != string(m.Data) || got.header.Get("Content-Type") != m.MediaType {
				t.Errorf("%s: pulled as %s", m.MediaType, got.header.Get("Content-Type"))
			}
		}
	}
	// A manifest that names its type needs no header.
	c.want(201, "PUT", "/v2/a/b/manifests/bare", oci.Data)
}

func TestPushManifestIsRefused(t *testing.T) {
	t.Parallel()
	c := handled(t)
	image := registrytest.Artifact(t, nil, "layer")
	c.push("a/b", "image", image)
	put := func(status int, code, reference string, data []byte) {
		t.Helper()
		c.refused(status, code, "PUT", "/v2/a/b/manifests/"+reference, data, "Content-Type", ocispec.MediaTypeImageManifest)
	}
	put(400, "DIGEST_INVALID", digest.FromString("other").String(), image.Manifest.Data)
	put(400, "DIGEST_INVALID", "sha256:00", image.Manifest.Data)
	put(400, "MANIFEST_INVALID", "-tag", image.Manifest.Data)
	put(400, "MANIFEST_INVALID", "v1", []byte("not JSON"))
	put(400, "MANIFEST_INVALID", "v1", []byte(`{"schemaVersion":2}`))
	put(400, "MANIFEST_INVALID", "v1", index(t, ocispec.MediaTypeImageIndex).Data)
	put(413, "SIZE_INVALID", "v1", make([]byte, registry.MaxManifestBytes+1))
	put(400, "UNSUPPORTED", "v1?tag=v2", image.Manifest.Data)
	put(414, "UNSUPPORTED", image.Manifest.Digest.String()+"?tag=v1"+strings.Repeat("&tag=v1", 100), image.Manifest.Data)
	put(404, "MANIFEST_BLOB_UNKNOWN", "v1", registrytest.Artifact(t, nil, "not pushed").Manifest.Data)
	missing := index(t, ocispec.MediaTypeImageIndex, registrytest.Artifact(t, nil, "not pushed").Manifest)
	c.refused(404, "MANIFEST_BLOB_UNKNOWN", "PUT", "/v2/a/b/manifests/v1", missing.Data, "Content-Type", missing.MediaType)
	c.refused(404, "MANIFEST_BLOB_UNKNOWN", "PUT", "/v2/other/manifests/v1", image.Manifest.Data, "Content-Type", image.Manifest.MediaType)
	c.refused(400, "MANIFEST_INVALID", "PUT", "/v2/a/b/manifests/v1", image.Manifest.Data, "Content-Type", "text/plain")
	c.refused(400, "MANIFEST_INVALID", "PUT", "/v2/a/b/manifests/v1", image.Manifest.Data, "Content-Type", "/")
	c.want(404, "GET", "/v2/a/b/manifests/v1", nil)
}

func TestPushManifestUpToTheLimit(t *testing.T) {
	t.Parallel()
	c := handled(t)
	a := registrytest.Artifact(t, nil, "layer")
	c.push("a/b", "small", a)
	padded := append(slices.Clone(a.Manifest.Data), strings.Repeat(" ", registry.MaxManifestBytes-len(a.Manifest.Data))...)
	c.want(201, "PUT", "/v2/a/b/manifests/padded", padded, "Content-Type", a.Manifest.MediaType)
	if got := c.want(200, "GET", "/v2/a/b/manifests/padded", nil); string(got.body) != string(padded) {
		t.Error("other bytes")
	}
}

// OCI distribution spec, section "Pushing Manifests": tags as parameters.
func TestPushManifestWithTags(t *testing.T) {
	t.Parallel()
	c := handled(t)
	a := registrytest.Artifact(t, nil, "layer")
	c.push("a/b", "first", a)
	d := digest.SHA512.FromBytes(a.Manifest.Data)
	got := c.want(201, "PUT", "/v2/a/b/manifests/"+d.String()+"?tag=1&tag=1.2&tag=first", a.Manifest.Data, "Content-Type", a.Manifest.MediaType)
	if tags := fmt.Sprint(got.header.Values("Oci-Tag")); tags != "[1 1.2 first]" {
		t.Errorf("OCI-Tag %s", tags)
	}
	for _, tag := range []string{"1", "1.2", "first"} {
		if got := c.want(200, "HEAD", "/v2/a/b/manifests/"+tag, nil); got.header.Get("Docker-Content-Digest") != d.String() {
			t.Errorf("%s names %s", tag, got.header.Get("Docker-Content-Digest"))
		}
	}
	c.refused(400, "MANIFEST_INVALID", "PUT", "/v2/a/b/manifests/"+d.String()+"?tag=good&tag=-bad", a.Manifest.Data, "Content-Type", a.Manifest.MediaType)
	c.want(404, "GET", "/v2/a/b/manifests/good", nil)
}

func TestNondistributableLayersNeedNotBeThere(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	c := serve(t, s, embedded.HandlerOptions{})
	a := registrytest.Artifact(t, func(m *ocispec.Manifest) {
		m.Layers[0].MediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
	}, "elsewhere")
	a.Blobs = a.Blobs[:1]
	c.push("a/b", "v1", a)
	mustGet(t, s, "a/b", "v1", a)
}

func TestReferrersOverHTTP(t *testing.T) {
	t.Parallel()
	c := handled(t)
	subject := registrytest.Artifact(t, nil, "subject")
	url := "/v2/a/b/referrers/" + subject.Manifest.Digest.String()
	list := func(url string) (ocispec.Index, http.Header) {
		t.Helper()
		got := c.want(200, "GET", url, nil)
		var i ocispec.Index
		if err := json.Unmarshal(got.body, &i); err != nil || i.Manifests == nil || i.SchemaVersion != 2 || got.header.Get("Content-Type") != ocispec.MediaTypeImageIndex {
			t.Fatalf("referrers: %s, %s: %v", got.header.Get("Content-Type"), got.body, err)
		}
		return i, got.header
	}
	if i, _ := list(url); len(i.Manifests) != 0 {
		t.Fatalf("before any: %v", i.Manifests)
	}
	signature := registrytest.Referrer(t, subject.Manifest, "application/vnd.example.signature", map[string]string{"key": "value"})
	c.push("a/b", "signature", signature)
	attached := index(t, ocispec.MediaTypeImageIndex)
	data := strings.Replace(string(attached.Data), `"manifests"`, `"subject":{"mediaType":"`+subject.Manifest.MediaType+`","digest":"`+subject.Manifest.Digest.String()+`","size":1},"manifests"`, 1)
	got := c.want(201, "PUT", "/v2/a/b/manifests/attached", []byte(data), "Content-Type", attached.MediaType)
	if got.header.Get("Oci-Subject") != subject.Manifest.Digest.String() {
		t.Errorf("OCI-Subject %q", got.header.Get("Oci-Subject"))
	}
	i, header := list(url)
	if len(i.Manifests) != 2 || header.Get("Oci-Filters-Applied") != "" {
		t.Errorf("all: %v, %v", i.Manifests, header)
	}
	for _, d := range i.Manifests {
		if d.Digest != signature.Manifest.Digest {
			if d.ArtifactType != "" || d.MediaType != ocispec.MediaTypeImageIndex {
				t.Errorf("index without artifact type: %+v", d)
			}
			continue
		}
		if d.ArtifactType != "application/vnd.example.signature" || d.Annotations["key"] != "value" || d.Size != int64(len(signature.Manifest.Data)) {
			t.Errorf("signature: %+v", d)
		}
	}
	i, header = list(url + "?artifactType=application/vnd.example.signature")
	if len(i.Manifests) != 1 || header.Get("Oci-Filters-Applied") != "artifactType" {
		t.Errorf("filtered: %v, %v", i.Manifests, header)
	}
	c.want(202, "DELETE", "/v2/a/b/manifests/"+signature.Manifest.Digest.String(), nil)
	if i, _ := list(url); len(i.Manifests) != 1 {
		t.Errorf("after a delete: %v", i.Manifests)
	}
	c.refused(400, "DIGEST_INVALID", "GET", "/v2/a/b/referrers/latest", nil)
}

func TestReferrersArePaged(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	c := serve(t, s, embedded.HandlerOptions{})
	subject := registrytest.Artifact(t, nil, "subject")
	var pushes []registry.Push
	for i := range 1001 {
		pushes = append(pushes, registry.Push{Repository: "a/b", Artifact: registrytest.Referrer(t, subject.Manifest, "application/vnd.example.type", map[string]string{"n": fmt.Sprint(i)})})
	}
	for i := range 2 {
		pushes = append(pushes, registry.Push{Repository: "a/b", Artifact: registrytest.Referrer(t, subject.Manifest, "application/vnd.example.type", map[string]string{"n": strings.Repeat(fmt.Sprint(i), 1100<<10)})})
	}
	if err := s.Put(t.Context(), pushes...); err != nil {
		t.Fatal(err)
	}
	seen := map[digest.Digest]bool{}
	requests := 0
	url := "/v2/a/b/referrers/" + subject.Manifest.Digest.String() + "?artifactType=application/vnd.example.type"
	for ; url != ""; requests++ {
		got := c.want(200, "GET", url, nil)
		var i ocispec.Index
		if err := json.Unmarshal(got.body, &i); err != nil {
			t.Fatal(err)
		}
		if len(got.body) > registry.MaxManifestBytes || got.header.Get("Oci-Filters-Applied") == "" {
			t.Errorf("page of %d bytes, headers %v", len(got.body), got.header)
		}
		for _, d := range i.Manifests {
			seen[d.Digest] = true
		}
		url, _, _ = strings.Cut(strings.TrimPrefix(got.header.Get("Link"), "<"), ">")
	}
	if len(seen) != len(pushes) || requests < 2 {
		t.Errorf("%d referrers in %d pages, want %d in at least 2", len(seen), requests, len(pushes))
	}
	all, err := s.Referrers(t.Context(), "a/b", subject.Manifest.Digest, "")
	if err != nil || len(all) != len(pushes) {
		t.Errorf("in process: %d, %v", len(all), err)
	}
}

func TestDeleteOverHTTP(t *testing.T) {
	t.Parallel()
	c := handled(t)
	a := registrytest.Artifact(t, nil, "layer")
	for _, tag := range []string{"one", "two", "three"} {
		c.push("a/b", tag, a)
	}
	c.push("other", "one", a)
	c.want(202, "DELETE", "/v2/a/b/manifests/one", nil)
	c.refused(404, "MANIFEST_UNKNOWN", "DELETE", "/v2/a/b/manifests/one", nil)
	c.want(200, "GET", "/v2/a/b/manifests/two", nil)
	c.want(202, "DELETE", "/v2/a/b/manifests/"+a.Manifest.Digest.String(), nil)
	for _, reference := range []string{"two", "three", a.Manifest.Digest.String()} {
		c.want(404, "GET", "/v2/a/b/manifests/"+reference, nil)
		c.refused(404, "MANIFEST_UNKNOWN", "DELETE", "/v2/a/b/manifests/"+reference, nil)
	}
	c.refused(404, "MANIFEST_UNKNOWN", "DELETE", "/v2/a/b/manifests/.bad", nil)
	c.refused(400, "DIGEST_INVALID", "DELETE", "/v2/a/b/manifests/sha256:bad", nil)
	c.refused(400, "DIGEST_INVALID", "DELETE", "/v2/a/b/blobs/sha256:bad", nil)
	c.refused(404, "BLOB_UNKNOWN", "DELETE", "/v2/a/b/blobs/"+digest.FromString("other").String(), nil)
	c.want(200, "GET", "/v2/other/manifests/one", nil)
}
