package registrytest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// testEndedContext calls every method with a context that has ended.
func testEndedContext(t *testing.T, f fixture) {
	a := Artifact(t, nil, "a")
	f.mustPut(t, a)
	f.mustCommit(t, "latest", a.Manifest)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"Put":       func() error { return f.Put(ctx, f.push(Artifact(t, nil, "b"))) },
		"Commit":    func() error { return f.Commit(ctx, f.tag("latest", a.Manifest)) },
		"Tag":       func() error { return f.Tag(ctx, f.tag("latest", a.Manifest)) },
		"Get":       func() error { _, err := f.Get(ctx, f.repo, "latest"); return err },
		"Resolve":   func() error { _, err := f.Resolve(ctx, f.repo, "latest"); return err },
		"Tags":      func() error { _, err := f.Tags(ctx, f.repo, "", 1); return err },
		"Referrers": func() error { _, err := f.Referrers(ctx, f.repo, a.Manifest.Digest, ""); return err },
		"Delete":    func() error { return f.Delete(ctx, f.repo, a.Manifest.Digest) },
	} {
		err := call()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want the context's error", name, err)
		}
		if registry.Settled(err) {
			t.Errorf("%s: %v is of a kind that says that the outcome is known", name, err)
		}
	}
}

// testConcurrentUse uses every method at once, in repositories of each
// goroutine's own and in one that all share. It finds races under -race.
func testConcurrentUse(t *testing.T, f fixture) {
	shared := Artifact(t, nil, "shared")
	var wg sync.WaitGroup
	for i := range 8 {
		own := fixture{Registry: f.Registry, repo: fmt.Sprintf("%s/%d", f.repo, i)}
		wg.Go(func() {
			for j := range 4 {
				a := Artifact(t, nil, "shared", fmt.Sprint(i, j))
				err := errors.Join(
					f.Put(t.Context(), f.push(shared), own.push(a)),
					f.Commit(t.Context(), f.tag("latest", shared.Manifest)),
					f.Tag(t.Context(), own.tag("latest", a.Manifest), own.tag(fmt.Sprint(j), a.Manifest)),
				)
				_, listErr := f.Tags(t.Context(), f.repo, "", 10)
				_, refErr := f.Referrers(t.Context(), f.repo, shared.Manifest.Digest, "")
				if err = errors.Join(err, listErr, refErr); err != nil {
					t.Error(err)
					return
				}
				f.names(t, "latest", shared)
				own.names(t, "latest", a)
				if err := own.Delete(t.Context(), own.repo, a.Manifest.Digest); err != nil {
					t.Errorf("Delete: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

// testSizesAtTheBounds has the largest manifest, and a blob that no buffer of
// usual size holds. A blob at its bound would show little more, slowly.
func testSizesAtTheBounds(t *testing.T, f fixture) {
	a := Artifact(t, nil, strings.Repeat("x", 5<<20+1))
	f.mustPut(t, a)
	got, err := f.Get(t.Context(), f.repo, a.Manifest.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	equal(t, got, a)

	big := ofManifestSize(t, registry.MaxManifestBytes)
	f.mustPut(t, big)
	f.mustCommit(t, "big", big.Manifest)
	f.names(t, "big", big)
}

func testSizesOverTheBounds(t *testing.T, f fixture) {
	blob := Artifact(t, nil, "small")
	blob.Blobs[1].Data = make([]byte, registry.MaxBlobBytes+1) // not its digest's; that must not be looked at
	for name, a := range map[string]registry.Artifact{"manifest": ofManifestSize(t, registry.MaxManifestBytes+1), "blob": blob} {
		small := Artifact(t, nil, "pushed together with a large "+name)
		if err := f.Put(t.Context(), f.push(small), f.push(a)); !errors.Is(err, registry.ErrTooLarge) {
			t.Errorf("Put of a large %s: %v", name, err)
		}
		if _, err := f.Get(t.Context(), f.repo, a.Manifest.Digest.String()); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("Get of a large %s that was refused: %v", name, err)
		}
	}
}

// ofManifestSize returns an artifact whose manifest has exactly n bytes.
func ofManifestSize(t *testing.T, n int) registry.Artifact {
	t.Helper()
	padded := func(n int) registry.Artifact {
		return Artifact(t, func(m *ocispec.Manifest) {
			m.Annotations = map[string]string{"io.example.padding": strings.Repeat("x", n)}
		})
	}
	return padded(n - (len(padded(1).Manifest.Data) - 1))
}
