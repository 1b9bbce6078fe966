package embedded

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

// promises are what the writers of a test were acknowledged.
type promises struct {
	mu     sync.Mutex
	kept   []promise
	latest map[string]int // the number of the artifact that a repository's latest names
}

// promise says that a tag, a manifest or a blob is there, or is not.
type promise struct {
	repo, reference string
	number          int // of the artifact that it names
	blob            bool
	gone            bool
}

func (p *promises) add(list ...promise) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range list {
		if one.reference == "latest" {
			p.latest[one.repo] = one.number
		} else {
			p.kept = append(p.kept, one)
		}
	}
}

// now returns what was acknowledged until now.
func (p *promises) now() *promises {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &promises{kept: p.kept[:len(p.kept):len(p.kept)], latest: maps.Clone(p.latest)}
}

// numbered is the artifact that a repository's writer writes as its n-th, the
// same each time. Some have a large blob, some none of their own.
func numbered(t testing.TB, repo string, n int) registry.Artifact {
	t.Helper()
	text := fmt.Sprint(repo, " ", n)
	switch n % 4 {
	case 0:
		return registrytest.Artifact(t, nil, text, strings.Repeat(text, 2*inlineBytes/len(text)))
	case 1:
		return registrytest.Artifact(t, nil, text, "shared by all")
	}
	return registrytest.Artifact(t, nil, text, strings.Repeat(text, 50))
}

// putAndCommit is a writer as the ledger is one: it puts by digest, unsynced,
// commits latest, and then tags, which the next commit makes durable.
func putAndCommit(t testing.TB, s *Store, p *promises, repo string, n int) {
	a, other := numbered(t, repo, n), numbered(t, repo+"/other", n)
	if err := s.Put(context.Background(), registry.Push{Repository: repo + "/other", Artifact: other}, registry.Push{Repository: repo, Artifact: a}); err != nil {
		t.Error(err)
		return
	}
	if err := s.Commit(context.Background(), registry.Tag{Repository: repo, Name: "latest", Manifest: a.Manifest}); err != nil {
		t.Error(err)
		return
	}
	p.add(promise{repo: repo, reference: "latest", number: n},
		promise{repo: repo, reference: a.Manifest.Digest.String(), number: n},
		promise{repo: repo + "/other", reference: other.Manifest.Digest.String(), number: n})
	if n > 0 {
		p.add(promise{repo: repo + "/other", reference: fmt.Sprint("v", n-1), number: n - 1})
	}
	if err := s.Tag(context.Background(), registry.Tag{Repository: repo + "/other", Name: fmt.Sprint("v", n), Manifest: other.Manifest}); err != nil {
		t.Error(err)
	}
}

// push is a writer as CI is one: over HTTP, where each success is durable. It
// deletes some of the tags again.
func push(t testing.TB, s *Store, p *promises, repo string, n int) {
	handler := s.Handler(HandlerOptions{})
	send := func(status int, method, path, mediaType string, body []byte) bool {
		r := httptest.NewRequest(method, "/v2/"+repo+path, bytes.NewReader(body))
		r.Header.Set("Content-Type", mediaType)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
		return w.Code == status
	}
	a := numbered(t, repo, n)
	for _, b := range a.Blobs {
		if !send(http.StatusCreated, "POST", "/blobs/uploads/?digest="+b.Digest.String(), octetStream, b.Data) {
			return
		}
		p.add(promise{repo: repo, reference: b.Digest.String(), number: n, blob: true})
	}
	tag := fmt.Sprint("v", n)
	if !send(http.StatusCreated, "PUT", "/manifests/"+a.Manifest.Digest.String()+"?tag=latest&tag="+tag, a.Manifest.MediaType, a.Manifest.Data) {
		return
	}
	p.add(promise{repo: repo, reference: "latest", number: n})
	if n%3 != 0 {
		p.add(promise{repo: repo, reference: tag, number: n})
	} else if send(http.StatusAccepted, "DELETE", "/manifests/"+tag, "", nil) {
		p.add(promise{repo: repo, reference: tag, gone: true})
	}
}

// broken returns the promises that a store does not keep.
func (p *promises) broken(t testing.TB, s *Store) (list []string) {
	t.Helper()
	for _, one := range p.kept {
		if err := one.check(t, s); err != nil {
			list = append(list, fmt.Sprintf("%s %s: %v", one.repo, one.reference, err))
		}
	}
	for repo, n := range p.latest {
		// The next may have arrived without having been acknowledged.
		err := promise{repo: repo, reference: "latest", number: n}.check(t, s)
		if err != nil && (promise{repo: repo, reference: "latest", number: n + 1}).check(t, s) != nil {
			list = append(list, fmt.Sprintf("%s latest: %v", repo, err))
		}
	}
	return list
}

func (p promise) check(t testing.TB, s *Store) error {
	a := numbered(t, p.repo, p.number)
	if p.blob {
		w := httptest.NewRecorder()
		s.Handler(HandlerOptions{}).ServeHTTP(w, httptest.NewRequest("GET", "/v2/"+p.repo+"/blobs/"+p.reference, nil))
		for _, b := range a.Blobs {
			if b.Digest.String() == p.reference && w.Code == http.StatusOK && bytes.Equal(b.Data, w.Body.Bytes()) {
				return nil
			}
		}
		return fmt.Errorf("blob: status %d", w.Code)
	}
	got, err := s.Get(context.Background(), p.repo, p.reference)
	switch {
	case p.gone && errors.Is(err, registry.ErrNotFound):
		return nil
	case p.gone:
		return fmt.Errorf("it was deleted, but %w", errors.Join(err, errors.New("it is there")))
	case err != nil:
		return err
	case !got.Equal(a):
		return errors.New("it is another artifact")
	}
	return nil
}
