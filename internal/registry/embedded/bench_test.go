package embedded_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

// One artifact put and committed at a time by each of 32 writers, on disk.
func BenchmarkCommit(b *testing.B) {
	s := open(b, embedded.Options{Folder: b.TempDir()})
	var n atomic.Int64
	b.SetParallelism(16) // times GOMAXPROCS
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := n.Add(1)
			a := registrytest.Artifact(b, nil, fmt.Sprint("layer ", i))
			repo := fmt.Sprintf("bench/repo-%d", i%1000)
			if err := s.Put(b.Context(), registry.Push{Repository: repo, Artifact: a}); err != nil {
				b.Error(err)
			}
			if err := s.Commit(b.Context(), registry.Tag{Repository: repo, Name: fmt.Sprint("v", i), Manifest: a.Manifest}); err != nil {
				b.Error(err)
			}
		}
	})
}

// A batch of 200 artifacts, as the ledger commits it.
func BenchmarkPutBatch(b *testing.B) {
	s := open(b, embedded.Options{Folder: b.TempDir()})
	for n := 0; b.Loop(); n++ {
		var pushes []registry.Push
		var tags []registry.Tag
		for i := range 200 {
			a := registrytest.Artifact(b, nil, fmt.Sprint("layer ", n, i))
			repo := fmt.Sprintf("bench/repo-%d", i)
			pushes = append(pushes, registry.Push{Repository: repo, Artifact: a})
			tags = append(tags, registry.Tag{Repository: repo, Name: fmt.Sprint("v", n), Manifest: a.Manifest}, registry.Tag{Repository: repo, Name: "latest", Manifest: a.Manifest})
		}
		if err := s.Put(b.Context(), pushes...); err != nil {
			b.Fatal(err)
		}
		if err := s.Commit(b.Context(), tags[0]); err != nil {
			b.Fatal(err)
		}
		if err := s.Tag(b.Context(), tags[1:]...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*200/b.Elapsed().Seconds(), "artifacts/s")
}

// The cost of a tag and of a page must not grow with the number of tags.
func BenchmarkTagAmongMany(b *testing.B) {
	for _, count := range []int{200, 20_000} {
		b.Run(fmt.Sprint(count), func(b *testing.B) {
			s := open(b, embedded.Options{Folder: b.TempDir()})
			a := registrytest.Artifact(b, nil, "layer")
			if err := s.Put(b.Context(), registry.Push{Repository: "a/b", Artifact: a}); err != nil {
				b.Fatal(err)
			}
			var tags []registry.Tag
			for i := range count {
				tags = append(tags, registry.Tag{Repository: "a/b", Name: fmt.Sprintf("r%06d", i), Manifest: a.Manifest})
			}
			if err := s.Tag(b.Context(), tags...); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if err := s.Tag(b.Context(), tags[count/2]); err != nil {
					b.Fatal(err)
				}
				if page, err := s.Tags(b.Context(), "a/b", "r000100", 10); err != nil || len(page) != 10 {
					b.Fatal(page, err)
				}
			}
		})
	}
}
