package embedded_test

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

// OCI distribution spec, use case "Resumable Push": what came before a
// connection broke is kept, and the client goes on after it.
func TestBrokenConnectionCanGoOn(t *testing.T) {
	t.Parallel()
	c := handled(t)
	data := large("0123456789")
	location := c.start("")
	half := len(data) / 2

	connection, err := net.DialTimeout("tcp", strings.TrimPrefix(c.url, "http://"), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if err := connection.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(connection, "PATCH %s HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\nContent-Range: 0-%d\r\n\r\n%s", location, len(data), len(data)-1, data[:half])
	if err := connection.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, connection); err != nil { // until the server is done with it
		t.Fatal(err)
	}
	connection.Close()

	a := c.want(204, "GET", location, nil)
	if want := fmt.Sprintf("0-%d", half-1); a.header.Get("Range") != want {
		t.Fatalf("Range %q, want %q", a.header.Get("Range"), want)
	}
	c.want(202, "PATCH", location, []byte(data[half:]), "Content-Range", fmt.Sprintf("%d-%d", half, len(data)-1))
	c.pulls(c.want(201, "PUT", location+"?digest="+digest.FromString(data).String(), nil).header.Get("Location"), data)
}

// Pushing and deleting the same blobs at once never leaves a name without
// content: each answer is one that some order explains.
func TestConcurrentPushAndDeleteOfBlobs(t *testing.T) {
	t.Parallel()
	s := open(t, embedded.Options{Folder: t.TempDir()})
	c := serve(t, s, embedded.HandlerOptions{})
	a := registrytest.Artifact(t, nil, "small", large("large"))
	var group sync.WaitGroup
	for worker := range 6 {
		repo := fmt.Sprintf("repo-%d", worker%3)
		group.Go(func() {
			for range 12 {
				if err := s.Put(t.Context(), registry.Push{Repository: repo, Artifact: a}); err != nil {
					t.Error(err)
				}
				for _, b := range a.Blobs[1:] {
					url := "/v2/" + repo + "/blobs/" + b.Digest.String()
					if got := c.do("GET", url, nil); got.status != 404 && string(got.body) != string(b.Data) {
						t.Errorf("pull: %d, %d bytes", got.status, len(got.body))
					}
					if got := c.do("DELETE", url, nil); got.status != 202 && got.status != 404 {
						t.Errorf("delete: %d %s", got.status, got.body)
					}
					if got := c.do("POST", "/v2/"+repo+"/blobs/uploads/?digest="+b.Digest.String(), b.Data); got.status != 201 {
						t.Errorf("push: %d %s", got.status, got.body)
					}
				}
			}
		})
	}
	group.Wait()
	for worker := range 3 {
		c.push(fmt.Sprintf("repo-%d", worker), "v1", a)
		mustGet(t, s, fmt.Sprintf("repo-%d", worker), "v1", a)
	}
}

// Concurrent pushes of referrers over HTTP and in process lose none.
func TestConcurrentReferrers(t *testing.T) {
	t.Parallel()
	s := open(t, embedded.Options{Folder: t.TempDir()})
	c := serve(t, s, embedded.HandlerOptions{})
	subject := registrytest.Artifact(t, nil, "subject")
	c.pushBlob("a/b", []byte("{}"))
	c.pushBlob("a/b", []byte("a referrer"))
	var group sync.WaitGroup
	for worker := range 16 {
		group.Go(func() {
			for i := range 4 {
				r := registrytest.Referrer(t, subject.Manifest, "application/vnd.example.type", map[string]string{"n": fmt.Sprint(worker, i)})
				if worker%2 == 0 {
					if err := s.Put(t.Context(), registry.Push{Repository: "a/b", Artifact: r}); err != nil {
						t.Error(err)
					}
					continue
				}
				a := c.do("PUT", "/v2/a/b/manifests/"+r.Manifest.Digest.String(), r.Manifest.Data, "Content-Type", ocispec.MediaTypeImageManifest)
				if a.status != 201 {
					t.Errorf("push: %d %s", a.status, a.body)
				}
			}
		})
	}
	group.Wait()
	if list, err := s.Referrers(t.Context(), "a/b", subject.Manifest.Digest, ""); err != nil || len(list) != 64 {
		t.Errorf("%d referrers, %v; want 64", len(list), err)
	}
}
