package registry_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// What NewBlob has computed counts only for the bytes of which it was computed.
func TestBlobVerify(t *testing.T) {
	t.Parallel()
	data := []byte("some text")
	for name, c := range map[string]struct {
		edit func(*registry.Blob)
		ok   bool
	}{
		"as it was made":         {func(*registry.Blob) {}, true},
		"the same bytes again":   {func(b *registry.Blob) { b.Data = bytes.Clone(b.Data) }, true},
		"other bytes":            {func(b *registry.Blob) { b.Data = []byte("some tex!") }, false},
		"fewer bytes":            {func(b *registry.Blob) { b.Data = b.Data[:4] }, false},
		"no bytes":               {func(b *registry.Blob) { b.Data = nil }, false},
		"another digest":         {func(b *registry.Blob) { b.Digest = digest.FromString("other") }, false},
		"a digest of no kind":    {func(b *registry.Blob) { b.Digest = "sha256:" }, false},
		"made by hand":           {func(b *registry.Blob) { *b = registry.Blob{Digest: digest.FromBytes(data), Data: data} }, true},
		"made by hand, and bad":  {func(b *registry.Blob) { *b = registry.Blob{Digest: digest.FromString("x"), Data: data} }, false},
		"by hand, without bytes": {func(b *registry.Blob) { *b = registry.Blob{Digest: digest.FromString("")} }, true},
	} {
		b := registry.NewBlob("text/plain", data)
		c.edit(&b)
		if err := b.Verify(); (err == nil) != c.ok || err != nil && !errors.Is(err, registry.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	empty := registry.NewBlob("text/plain", nil)
	if err := empty.Verify(); err != nil {
		t.Error(err)
	}
}
