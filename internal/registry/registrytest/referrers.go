package registrytest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

// refers fails the test unless exactly the wanted artifacts refer to subject.
func (f fixture) refers(t *testing.T, subject digest.Digest, artifactType string, want ...registry.Artifact) {
	t.Helper()
	found, err := f.Referrers(t.Context(), f.repo, subject, artifactType)
	if err != nil {
		t.Errorf("Referrers: %v", err)
		return
	}
	var got, wanted []string
	for _, d := range found {
		got = append(got, d.Digest.String())
	}
	for _, a := range want {
		wanted = append(wanted, a.Manifest.Digest.String())
	}
	slices.Sort(got)
	slices.Sort(wanted)
	if !slices.Equal(got, wanted) {
		t.Errorf("referrers of type %q: got\n%s\nwant\n%s", artifactType, strings.Join(got, "\n"), strings.Join(wanted, "\n"))
	}
}

func testReferrers(t *testing.T, f fixture) {
	subject, other := Artifact(t, nil, "subject"), Artifact(t, nil, "other")
	f.refers(t, subject.Manifest.Digest, "") // in a repository that does not exist
	f.mustPut(t, subject, other)
	f.refers(t, subject.Manifest.Digest, "")

	annotations := map[string]string{"io.example.result": "applied"}
	a := Referrer(t, subject.Manifest, "application/vnd.example.a", annotations)
	b := Referrer(t, subject.Manifest, "application/vnd.example.b", nil)
	byConfig := Referrer(t, subject.Manifest, "", nil)
	ofOther := Referrer(t, other.Manifest, "application/vnd.example.a", nil)
	ofMissing := Referrer(t, Artifact(t, nil, "never put").Manifest, "application/vnd.example.a", nil)
	f.mustPut(t, a, b, byConfig)
	f.mustPut(t, ofOther, ofMissing)
	f.mustPut(t, a) // a second time: still one referrer

	f.refers(t, subject.Manifest.Digest, "", a, b, byConfig)
	f.refers(t, subject.Manifest.Digest, "application/vnd.example.a", a)
	f.refers(t, subject.Manifest.Digest, ocispec.MediaTypeEmptyJSON, byConfig)
	f.refers(t, subject.Manifest.Digest, "application/vnd.example.unknown")
	f.refers(t, other.Manifest.Digest, "", ofOther)
	f.refers(t, Artifact(t, nil, "never put").Manifest.Digest, "", ofMissing)
	elsewhere := fixture{Registry: f.Registry, repo: f.repo + "/elsewhere"}
	elsewhere.mustPut(t, subject)
	elsewhere.refers(t, subject.Manifest.Digest, "")

	found, err := f.Referrers(t.Context(), f.repo, subject.Manifest.Digest, "application/vnd.example.a")
	if err != nil || len(found) != 1 {
		t.Fatalf("%v, %v", found, err)
	}
	d := found[0]
	if d.MediaType != a.Manifest.MediaType || d.Size != int64(len(a.Manifest.Data)) || d.ArtifactType != "application/vnd.example.a" || !maps.Equal(d.Annotations, annotations) {
		t.Errorf("descriptor %+v", d)
	}
	if tags, err := f.Tags(t.Context(), f.repo, "", 10); err != nil || len(tags) > 0 {
		t.Errorf("referrers leave tags behind: %q, %v", tags, err)
	}
}

// testReferrersConcurrently looks for lost updates.
func testReferrersConcurrently(t *testing.T, f fixture) {
	subject := Artifact(t, nil, "subject")
	f.mustPut(t, subject)
	var all []registry.Artifact
	var wg sync.WaitGroup
	for i := range 8 {
		a := Referrer(t, subject.Manifest, ArtifactType, map[string]string{"io.example.number": fmt.Sprint(i)})
		b := Referrer(t, subject.Manifest, ArtifactType, map[string]string{"io.example.number": fmt.Sprint(100 + i)})
		all = append(all, a, b)
		wg.Go(func() {
			if err := f.Put(t.Context(), f.push(a), f.push(b)); err != nil {
				t.Errorf("Put: %v", err)
			}
		})
	}
	wg.Wait()
	f.refers(t, subject.Manifest.Digest, "", all...)
}
