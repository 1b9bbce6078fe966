package e2e_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/history"
	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/toolbox"
)

// The clients that people have at hand read everything that the product
// writes, with the same bytes.
func TestClientsReadEveryArtifact(t *testing.T) {
	t.Parallel()
	for _, p := range places() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			s, host := p.start(t)
			var kept api.Resource
			var deleted api.ResourceDeleted
			spec := api.ResourcePut{Spec: api.Spec{Type: "vm", Size: "small", Region: "eu"}}
			call(t, s, http.StatusCreated, http.MethodPut, "/api/v1/resources/web", spec, &kept)
			call(t, s, http.StatusCreated, http.MethodPut, "/api/v1/namespaces/other/resources/db", spec, nil)
			call(t, s, http.StatusCreated, http.MethodPut, "/api/v1/namespaces/other/resources/gone", spec, nil)
			call(t, s, http.StatusOK, http.MethodDelete, "/api/v1/namespaces/other/resources/gone", nil, &deleted)

			reader := history.New(host)
			t.Cleanup(reader.Close)
			for name, reference := range map[string][2]string{
				"resource version":           {kept.Repository, kept.Version},
				"resource by digest":         {kept.Repository, kept.Digest},
				"tombstone":                  {deleted.Repository, deleted.Version},
				"latest of a deleted one":    {deleted.Repository, "latest"},
				"catalog of default":         {"gitops-squared/catalog", "latest"},
				"first catalog of default":   {"gitops-squared/catalog", "r1"},
				"catalog of another":         {"gitops-squared/catalogs/other", "latest"},
				"system":                     {"gitops-squared/system", "latest"},
				"writer claim":               {"gitops-squared/writer", "latest"},
				"earlier catalog of another": {"gitops-squared/catalogs/other", "r2"},
			} {
				t.Run(name, func(t *testing.T) {
					c := clients{t: t, host: host, repo: reference[0], reference: reference[1], home: t.TempDir()}
					want, err := reader.Artifact(t.Context(), c.repo, c.reference)
					if err != nil {
						t.Fatal(err)
					}
					c.check(want)
					tags, err := reader.Tags(t.Context(), c.repo)
					if err != nil {
						t.Fatal(err)
					}
					c.checkTags(tags)
				})
			}
		})
	}
}

// clients read one artifact.
type clients struct {
	t                           *testing.T
	host, repo, reference, home string
}

func (c clients) name() string {
	if strings.Contains(c.reference, ":") {
		return c.host + "/" + c.repo + "@" + c.reference
	}
	return c.host + "/" + c.repo + ":" + c.reference
}

// run runs a client, which must succeed, and returns its standard output.
func (c clients) run(program string, args ...string) []byte {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, toolbox.Path(c.t, program), args...)
	cmd.Env = []string{"HOME=" + c.home, "PATH=" + os.Getenv("PATH")}
	cmd.Dir = c.home
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		c.t.Fatalf("%s %v: %v\n%s", program, args, err, stderr.Bytes())
	}
	return out
}

func (c clients) check(want registry.Artifact) {
	c.t.Helper()
	c.same("oras manifest fetch", c.run("oras", "manifest", "fetch", "--plain-http", c.name()), want.Manifest.Data)
	c.same("crane manifest", c.run("crane", "manifest", "--insecure", c.name()), want.Manifest.Data)

	// A pull writes every layer under its title.
	c.run("oras", "pull", "--plain-http", "-o", "pulled", c.name())
	for i, layer := range layersOf(c.t, want) {
		title := layer.Annotations[ocispec.AnnotationTitle]
		if title == "" {
			c.t.Errorf("%s: a layer without a title, which oras pull leaves out", c.name())
			continue
		}
		c.same("oras pull", c.file("pulled", title), want.Blobs[1+i].Data)
	}

	// A copy has everything, the config too.
	c.run("oras", "copy", "--from-plain-http", "--to-oci-layout", c.name(), "layout:copy")
	for _, blob := range want.Blobs {
		c.same("oras copy", c.file("layout", "blobs", "sha256", blob.Digest.Encoded()), blob.Data)
	}

	// An export is the content, unpacked as far as it is compressed.
	c.same("crane export", c.run("crane", "export", "--insecure", c.name(), "-"), content(c.t, want.Blobs[1]))
}

func (c clients) checkTags(want []string) {
	c.t.Helper()
	for _, out := range [][]byte{
		c.run("oras", "repo", "tags", "--plain-http", c.host+"/"+c.repo),
		c.run("crane", "ls", "--insecure", c.host+"/"+c.repo),
	} {
		got := strings.Fields(string(out))
		slices.Sort(got)
		if !slices.Equal(got, slices.Sorted(slices.Values(want))) {
			c.t.Errorf("tags of %s: %v, want %v", c.repo, got, want)
		}
	}
}

func (c clients) same(what string, got, want []byte) {
	c.t.Helper()
	if !bytes.Equal(got, want) {
		c.t.Errorf("%s %s: %d bytes, want %d:\n%.500q\n%.500q", what, c.name(), len(got), len(want), got, want)
	}
}

func (c clients) file(path ...string) []byte {
	c.t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{c.home}, path...)...))
	if err != nil {
		c.t.Fatal(err)
	}
	return data
}

func layersOf(t *testing.T, a registry.Artifact) []ocispec.Descriptor {
	t.Helper()
	content, err := a.Manifest.Content()
	if err != nil {
		t.Fatal(err)
	}
	return content.Blobs[1:]
}

// content is a layer, uncompressed.
func content(t *testing.T, layer registry.Blob) []byte {
	t.Helper()
	if layer.MediaType != artifact.TypeFluxContent {
		return layer.Data
	}
	zr, err := gzip.NewReader(bytes.NewReader(layer.Data))
	if err != nil {
		t.Fatal(err)
	}
	tar, err := io.ReadAll(zr)
	if err != nil {
		t.Fatal(err)
	}
	return tar
}
