// Package registrytest is the conformance suite of the seam registry.Registry,
// and what tests of its implementations share: artifacts to store, and a real
// registry (CNCF Distribution) to store them in.
package registrytest

import (
	"crypto/rand"
	"strings"
	"testing"

	"gitops-squared.io/gsq/internal/registry"
)

// Run asserts the contract of registry.Registry. open is called once; what it
// returns may hold other content, as the suite uses repositories of its own
// with names that no other run uses. It expects an implementation that can
// delete.
//
// What only a crash shows (durability) and what only a fault shows (corrupt
// content, time-outs) are for the implementations' own tests.
func Run(t *testing.T, open func(t *testing.T) registry.Registry) {
	r := open(t)
	for name, test := range map[string]func(*testing.T, fixture){
		"PutGet":                        testPutGet,
		"PutIsIdempotent":               testPutIsIdempotent,
		"PutMany":                       testPutMany,
		"PutLeavesNoTag":                testPutLeavesNoTag,
		"PutWithoutBlobs":               testPutWithoutBlobs,
		"PutRefusesUnknownBlob":         testPutRefusesUnknownBlob,
		"PutRefusesWrongDigest":         testPutRefusesWrongDigest,
		"PutAndGetCopy":                 testPutAndGetCopy,
		"CommitAndTag":                  testCommitAndTag,
		"TagMany":                       testTagMany,
		"TagRefusesUnknownManifest":     testTagRefusesUnknownManifest,
		"NotFound":                      testNotFound,
		"Resolve":                       testResolve,
		"ManifestAndBlob":               testManifestAndBlob,
		"TagsInOrder":                   testTagsInOrder,
		"TagsOfMoreThanOnePage":         testTagsOfMoreThanOnePage,
		"Referrers":                     testReferrers,
		"ReferrersConcurrently":         testReferrersConcurrently,
		"DeleteTakesTags":               testDeleteTakesTags,
		"DeleteKeepsOthersBlobs":        testDeleteKeepsOthersBlobs,
		"DeleteThenPutAgain":            testDeleteThenPutAgain,
		"DeleteTakesReferrer":           testDeleteTakesReferrer,
		"EndedContext":                  testEndedContext,
		"ConcurrentUse":                 testConcurrentUse,
		"SizesAtTheBounds":              testSizesAtTheBounds,
		"SizesOverTheBoundsAreTooLarge": testSizesOverTheBounds,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, fixture{Registry: r, repo: "conformance/" + strings.ToLower(name+"-"+rand.Text())})
		})
	}
}

// fixture is the registry with a repository that only one test uses.
type fixture struct {
	registry.Registry
	repo string
}

func (f fixture) push(a registry.Artifact) registry.Push {
	return registry.Push{Repository: f.repo, Artifact: a}
}

func (f fixture) tag(name string, m registry.Manifest) registry.Tag {
	return registry.Tag{Repository: f.repo, Name: name, Manifest: m}
}

// mustPut stores artifacts, which must succeed.
func (f fixture) mustPut(t *testing.T, artifacts ...registry.Artifact) {
	t.Helper()
	var pushes []registry.Push
	for _, a := range artifacts {
		pushes = append(pushes, f.push(a))
	}
	if err := f.Put(t.Context(), pushes...); err != nil {
		t.Fatalf("Put: %v", err)
	}
}

// mustCommit tags a manifest, which must succeed.
func (f fixture) mustCommit(t *testing.T, name string, m registry.Manifest) {
	t.Helper()
	if err := f.Commit(t.Context(), f.tag(name, m)); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}
