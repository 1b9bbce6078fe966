package remote_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

func TestRepositoriesOfDistribution(t *testing.T) {
	t.Parallel()
	r := open(t, registrytest.StartDistribution(t))
	var want []string
	for i := range 5 {
		repo := fmt.Sprintf("some/repo-%d", i)
		want = append(want, repo)
		a := registrytest.Artifact(t, nil, repo)
		if err := r.Put(t.Context(), registry.Push{Repository: repo, Artifact: a}); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for last := ""; ; {
		page, err := r.Repositories(t.Context(), last, 2)
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, page...); len(page) < 2 {
			break
		}
		last = page[len(page)-1]
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestRegistryWithoutACatalogEndpoint(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]error{
		http.StatusNotFound: registry.ErrUnsupported, http.StatusUnauthorized: registry.ErrUnsupported,
		http.StatusMethodNotAllowed: registry.ErrUnsupported, http.StatusInternalServerError: registry.ErrUnavailable,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, `{"errors":[{"code":"UNSUPPORTED","message":"no"}]}`)
		}))
		t.Cleanup(server.Close)
		r := open(t, server.Listener.Addr().String())
		if _, err := r.Repositories(t.Context(), "", 10); !errors.Is(err, want) {
			t.Errorf("%d: %v, want %v", status, err, want)
		}
	}
}
