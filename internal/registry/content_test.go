package registry_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

const imageManifest = "application/vnd.oci.image.manifest.v1+json"

func descriptor(mediaType, text string) string {
	b := registry.NewBlob(mediaType, []byte(text))
	return `{"mediaType":"` + mediaType + `","digest":"` + b.Digest.String() + `","size":` + string(rune('0'+len(text))) + `}`
}

func TestContent(t *testing.T) {
	t.Parallel()
	config, layer, subject := descriptor("c/c", "cc"), descriptor("l/l", "layer"), descriptor("s/s", "sub")
	for name, c := range map[string]struct {
		data    string
		digests []string // of these texts
		artType string
		subject string
		fails   bool
	}{
		"config and layers":      {data: `{"config":` + config + `,"layers":[` + layer + `,` + layer + `]}`, digests: []string{"cc", "layer", "layer"}, artType: "c/c"},
		"artifact type":          {data: `{"mediaType":"` + imageManifest + `","artifactType":"a/a","config":` + config + `}`, digests: []string{"cc"}, artType: "a/a"},
		"subject":                {data: `{"config":` + config + `,"subject":` + subject + `}`, digests: []string{"cc"}, artType: "c/c", subject: "sub"},
		"an index names no blob": {data: `{"manifests":[` + layer + `]}`},
		"not JSON":               {data: `{`, fails: true},
		"no object":              {data: `[]`, fails: true},
		"another media type":     {data: `{"mediaType":"x/y"}`, fails: true},
		"no digest":              {data: `{"config":{"size":1}}`, fails: true},
		"a bad digest":           {data: `{"layers":[{"digest":"sha256:../../x","size":1}]}`, fails: true},
		"an unknown algorithm":   {data: `{"layers":[{"digest":"md5:d41d8cd98f00b204e9800998ecf8427e","size":1}]}`, fails: true},
		"a negative size":        {data: strings.Replace(`{"config":`+config+`}`, `"size":`, `"size":-`, 1), fails: true},
		"a bad subject":          {data: `{"subject":{"digest":"x","size":1}}`, fails: true},
	} {
		got, err := registry.NewManifest(imageManifest, []byte(c.data)).Content()
		if (err != nil) != c.fails {
			t.Errorf("%s: error %v", name, err)
			continue
		}
		var digests []string
		for _, d := range got.Blobs {
			digests = append(digests, d.Digest.String())
		}
		var want []string
		for _, text := range c.digests {
			want = append(want, digest.FromString(text).String())
		}
		if !reflect.DeepEqual(digests, want) || got.ArtifactType != c.artType {
			t.Errorf("%s: got %q of type %q, want %q of type %q", name, digests, got.ArtifactType, want, c.artType)
		}
		if (got.Subject != nil) != (c.subject != "") || (got.Subject != nil && got.Subject.Digest != digest.FromString(c.subject)) {
			t.Errorf("%s: subject %v", name, got.Subject)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	manifest := registry.NewManifest(imageManifest, []byte(`{}`))
	largest := registry.NewBlob("x/y", make([]byte, registry.MaxBlobBytes))
	tooLarge := registry.Blob{Digest: largest.Digest, Data: make([]byte, registry.MaxBlobBytes+1)}
	wrong := registry.Blob{Digest: digest.FromString("a"), Data: []byte("b")}
	for name, c := range map[string]struct {
		artifact registry.Artifact
		want     error
	}{
		"nothing named":       {registry.Artifact{Manifest: manifest}, nil},
		"the largest blob":    {registry.Artifact{Manifest: manifest, Blobs: []registry.Blob{largest}}, nil},
		"a larger blob":       {registry.Artifact{Manifest: manifest, Blobs: []registry.Blob{tooLarge}}, registry.ErrTooLarge},
		"a larger manifest":   {registry.Artifact{Manifest: registry.Manifest{Data: make([]byte, registry.MaxManifestBytes+1)}}, registry.ErrTooLarge},
		"a blob's digest":     {registry.Artifact{Manifest: manifest, Blobs: []registry.Blob{wrong}}, registry.ErrRefused},
		"no digest":           {registry.Artifact{Manifest: manifest, Blobs: []registry.Blob{{Data: []byte("b")}}}, registry.ErrRefused},
		"a manifest's digest": {registry.Artifact{Manifest: registry.Manifest{MediaType: imageManifest, Digest: wrong.Digest, Data: []byte("{}")}}, registry.ErrRefused},
		"not a manifest":      {registry.Artifact{Manifest: registry.NewManifest(imageManifest, []byte("x"))}, registry.ErrRefused},
	} {
		err := registry.Push{Repository: "repo", Artifact: c.artifact}.Check()
		if !errors.Is(err, c.want) || (err != nil && !registry.Settled(err)) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	for d, ok := range map[digest.Digest]bool{
		digest.FromString("text"):            true,
		digest.SHA512.FromString("text"):     true,
		digest.FromString("Text"):            false,
		"":                                   false,
		"sha256:":                            false,
		"md5:1cb251ec0d568de6a929b520c4aed8": false,
	} {
		err := registry.Verify(d, []byte("text"))
		if (err == nil) != ok || (err != nil && !errors.Is(err, registry.ErrCorrupt)) {
			t.Errorf("%q: %v", d, err)
		}
	}
}

func FuzzContent(f *testing.F) {
	for _, seed := range []string{`{}`, `{"config":` + descriptor("c/c", "cc") + `}`, `{"layers":[{"digest":"x"}]}`, `{"subject":{}}`, `[`, `null`, `{"layers":null,"config":null}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := registry.NewManifest(imageManifest, data).Content()
		if err != nil {
			return
		}
		for _, d := range c.Blobs {
			if d.Digest.Validate() != nil || d.Size < 0 {
				t.Fatalf("%q names %+v", data, d)
			}
		}
		if c.Subject != nil && c.Subject.Digest.Validate() != nil {
			t.Fatalf("%q has the subject %+v", data, c.Subject)
		}
	})
}
