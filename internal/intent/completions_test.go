package intent_test

import (
	"fmt"
	"sync"
	"testing"

	utilvalidation "k8s.io/apimachinery/pkg/util/validation"

	"gitops-squared.io/gsq/internal/intent"
)

// What a schema has seen before it judges as it did the first time, also when
// it has seen more than it remembers.
func TestCompleteAnswersTheSameAgain(t *testing.T) {
	t.Parallel()
	s := newSchema(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 2100 {
				spec := intent.Spec{Type: "vm", Size: "small", Region: fmt.Sprintf("r%d", i/3)}
				want := spec
				want.Replicas = 1
				if got, err := s.Complete(intent.Ref{Namespace: "default", Name: "web"}, spec); err != nil || got != want {
					t.Errorf("%+v: got %+v, error %v", spec, got, err)
				}
				if _, err := s.Complete(intent.Ref{Namespace: "default", Name: "-web"}, spec); err == nil {
					t.Errorf("%+v: a name that is no label was accepted once the spec was known", spec)
				}
				if _, err := s.Complete(intent.Ref{Namespace: "Default", Name: "web"}, spec); err == nil {
					t.Errorf("%+v: a namespace that is no label was accepted once the spec was known", spec)
				}
				bad := spec
				bad.Replicas = 11
				if _, err := s.Complete(intent.Ref{Namespace: "default", Name: "web"}, bad); err == nil {
					t.Errorf("%+v was accepted", bad)
				}
			}
		})
	}
	wg.Wait()
}

// IsLabel judges as Kubernetes does.
func FuzzIsLabel(f *testing.F) {
	for _, s := range []string{"", "a", "-", "a-", "-a", "a--b", "A", "0", "a.b", "a_b", "ü", "a\n", string(make([]byte, 63)), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if want := len(utilvalidation.IsDNS1123Label(s)) == 0; intent.IsLabel(s) != want {
			t.Fatalf("%q: got %v, Kubernetes says %v", s, !want, want)
		}
	})
}
