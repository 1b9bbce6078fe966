package embedded

import (
	"errors"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// What cannot be read ends a collection, before it deletes what that may need.
func TestCollectStopsAtDamage(t *testing.T) {
	t.Parallel()
	kept, gone := revision(t, 0), revision(t, 1)
	catalog := kept.Blobs[1].Digest
	other := []byte(`{"schemaVersion":2,"config":{"digest":"` + kept.Blobs[0].Digest.String() + `"},"layers":[]}`)
	for name, harm := range map[string]struct {
		key, value []byte // no value: the key goes
		keeps      string // the kinds of which nothing may go
	}{
		"a manifest that cannot be read":      {manifestKey("a/b", kept.Manifest.Digest), []byte{9}, "BCL"},
		"a manifest with other bytes":         {manifestKey("a/b", kept.Manifest.Digest), manifestValue(kept.Manifest.MediaType, other), "BCL"},
		"a manifest without a digest":         {append(repoKey(kindManifest, "a/b"), 1, 2), []byte("value"), "BCL"},
		"a manifest without a repository":     {[]byte{kindManifest, 'a'}, []byte("value"), "BCL"},
		"a link to no digest":                 {[]byte{kindLink, 7}, linkValue(1), "BC"},
		"a blob that is missing":              {blobKey(kept.Blobs[3].Digest), nil, "C"},
		"the last of the blobs, missing":      {blobKey(lastBlob(kept)), nil, "C"},
		"a blob of another kind":              {blobKey(catalog), []byte("?"), "C"},
		"a blob whose chunks cannot be read":  {blobKey(catalog), []byte("c12345678half a sum"), "C"},
		"a blob whose size cannot be read":    {blobKey(catalog), append([]byte{blobChunks, 0xff}, make([]byte, 7+32)...), "C"},
		"an unneeded blob of another kind":    {blobKey(gone.Blobs[1].Digest), []byte("?"), "C"},
		"an unneeded blob without a digest":   {[]byte{kindBlob, 1, 2}, []byte("i"), "C"},
		"a chunk without a sum":               {[]byte{kindChunk, 1}, []byte("chunk"), ""},
		"an upload whose time cannot be read": {uploadKey(catalog), []byte("now"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := memoryStore(t)
			for _, a := range []registry.Artifact{kept, gone} {
				if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: a}); err != nil {
					t.Fatal(err)
				}
			}
			if err := s.Delete(t.Context(), "a/b", gone.Manifest.Digest); err != nil {
				t.Fatal(err)
			}
			err := s.db.Set(harm.key, harm.value, pebble.NoSync)
			if harm.value == nil {
				err = s.db.Delete(harm.key, pebble.NoSync)
			}
			if err != nil {
				t.Fatal(err)
			}
			before := len(keys(t, s, harm.keeps))
			if _, err := s.Collect(t.Context(), 0); !errors.Is(err, registry.ErrCorrupt) {
				t.Errorf("got %v", err)
			}
			if after := len(keys(t, s, harm.keeps)); after != before {
				t.Errorf("%d entries, %d before", after, before)
			}
		})
	}
}

func lastBlob(a registry.Artifact) (last digest.Digest) {
	for _, b := range a.Blobs {
		last = max(last, b.Digest)
	}
	return last
}
