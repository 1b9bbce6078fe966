package embedded_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

func put(t testing.TB, s *embedded.Store, repo string, list ...registry.Artifact) {
	t.Helper()
	for _, a := range list {
		if err := s.Put(t.Context(), registry.Push{Repository: repo, Artifact: a}); err != nil {
			t.Fatal(err)
		}
	}
}

func drop(t testing.TB, s *embedded.Store, repo string, list ...registry.Artifact) {
	t.Helper()
	for _, a := range list {
		if err := s.Delete(t.Context(), repo, a.Manifest.Digest); err != nil {
			t.Fatal(err)
		}
	}
}

func collect(t testing.TB, s *embedded.Store, grace time.Duration) registry.Freed {
	t.Helper()
	freed, err := s.Collect(t.Context(), grace)
	if err != nil {
		t.Fatal(err)
	}
	return freed
}

// What no manifest names goes, each kind of it; what one names stays, whichever
// way and in whichever repository.
func TestCollectRemovesWhatIsNotNamed(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s := open(t, embedded.Options{FS: fs, Folder: "/data"})
	c := serve(t, s, embedded.HandlerOptions{})
	kept := registrytest.Artifact(t, nil, "kept", large("kept"), "in both")
	gone := registrytest.Artifact(t, nil, "gone", large("gone"), "in both")
	put(t, s, "a/kept", kept)
	put(t, s, "a/gone", kept, gone)
	referrer := registrytest.Referrer(t, kept.Manifest, "application/vnd.example.signature", nil)
	put(t, s, "a/kept", referrer)
	part := c.pushBlob("a/kept", []byte("part of an index"))
	index, err := json.Marshal(ocispec.Index{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageIndex,
		Manifests: []ocispec.Descriptor{{MediaType: kept.Manifest.MediaType, Digest: kept.Manifest.Digest, Size: int64(len(kept.Manifest.Data))}, {MediaType: "text/plain", Digest: part, Size: 16}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.want(http.StatusCreated, "PUT", "/v2/a/kept/manifests/index", index, "Content-Type", ocispec.MediaTypeImageIndex)
	alone := c.pushBlob("a/alone", []byte(large("never named")))
	sha512 := digest.SHA512.FromString("never named")
	c.want(http.StatusCreated, "POST", "/v2/a/alone/blobs/uploads/?digest="+sha512.String(), []byte("never named"))

	if freed := collect(t, s, time.Hour); freed != (registry.Freed{Fresh: 2}) {
		t.Errorf("before anything was deleted: %+v", freed)
	}
	// The other repository's manifest names none of its blobs.
	drop(t, s, "a/gone", gone, kept)
	want := registry.Freed{Blobs: 4, Files: 2, Bytes: int64(len("gone") + len(large("gone")) + len(large("never named")) + len("never named"))}
	if freed := collect(t, s, 0); freed != want {
		t.Errorf("freed %+v, want %+v", freed, want)
	}
	mustGet(t, s, "a/kept", kept.Manifest.Digest.String(), kept)
	mustGet(t, s, "a/kept", referrer.Manifest.Digest.String(), referrer)
	c.want(http.StatusOK, "GET", "/v2/a/kept/blobs/"+part.String(), nil)
	for _, b := range kept.Blobs {
		c.want(http.StatusNotFound, "GET", "/v2/a/gone/blobs/"+b.Digest.String(), nil)
	}
	for _, d := range []digest.Digest{alone, sha512} {
		c.want(http.StatusNotFound, "GET", "/v2/a/alone/blobs/"+d.String(), nil)
	}
	if names, err := fs.List("/data/blobs/sha256"); err != nil || len(names) != 1 {
		t.Errorf("files of blobs: %v, %v", names, err)
	}
	if freed := collect(t, s, 0); freed != (registry.Freed{}) {
		t.Errorf("the second time: %+v", freed)
	}
	put(t, s, "a/gone", gone)
	mustGet(t, s, "a/gone", gone.Manifest.Digest.String(), gone)
}

// A blob that was pushed, mounted or asked for stays for the grace, so that the
// manifest may follow. One that was collected makes its manifest fail clearly.
func TestCollectLeavesFreshBlobs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		s, err := embedded.Open(embedded.Options{FS: fs, Folder: "/data"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { s.Close() }()
		restart := func() {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if s, err = embedded.Open(embedded.Options{FS: fs, Folder: "/data"}); err != nil {
				t.Fatal(err)
			}
		}
		send := func(status int, method, path, body string) {
			t.Helper()
			if a := (direct{t, s.Handler(embedded.HandlerOptions{})}).do(method, path, body); a.Code != status {
				t.Errorf("%s %s: %d %s, want %d", method, path, a.Code, a.Body, status)
			}
		}
		const grace = time.Hour
		a := registrytest.Artifact(t, nil, "layer")
		manifest := "/v2/a/b/manifests/" + a.Manifest.Digest.String()
		layer := "/v2/a/b/blobs/" + a.Blobs[1].Digest.String()
		upload := func(repo string) {
			for _, b := range a.Blobs {
				send(http.StatusCreated, "POST", "/v2/"+repo+"/blobs/uploads/?digest="+b.Digest.String(), string(b.Data))
			}
		}
		fresh := func(what string, want int) {
			t.Helper()
			if freed, err := s.Collect(t.Context(), grace); err != nil || freed.Fresh != want || freed.Blobs != 0 {
				t.Errorf("%s: %+v, %v; want %d fresh", what, freed, err, want)
			}
		}

		upload("a/b")
		time.Sleep(grace - time.Minute)
		fresh("pushed within the grace", 2)
		restart()
		fresh("pushed before a restart", 2)
		time.Sleep(time.Second)
		upload("a/b")
		time.Sleep(grace - time.Minute)
		fresh("pushed again", 2)
		send(http.StatusOK, "HEAD", layer, "")
		time.Sleep(2 * time.Minute)
		if freed := collect(t, s, grace); freed != (registry.Freed{Blobs: 1, Bytes: 2, Fresh: 1}) {
			t.Errorf("only the layer was asked for: %+v", freed)
		}
		send(http.StatusNotFound, "HEAD", "/v2/a/b/blobs/"+a.Blobs[0].Digest.String(), "")
		send(http.StatusNotFound, "PUT", manifest, string(a.Manifest.Data))
		time.Sleep(grace)
		if freed := collect(t, s, grace); freed != (registry.Freed{Blobs: 1, Bytes: 5}) {
			t.Errorf("nothing is fresh: %+v", freed)
		}

		upload("c/d")
		time.Sleep(grace)
		for _, b := range a.Blobs {
			send(http.StatusCreated, "POST", "/v2/a/b/blobs/uploads/?mount="+b.Digest.String()+"&from=c/d", "")
		}
		time.Sleep(grace - time.Minute)
		fresh("mounted, in both", 4)
		send(http.StatusCreated, "PUT", manifest, string(a.Manifest.Data))
		time.Sleep(grace)
		fresh("in the one they are named, in the other not", 0)
		mustGet(t, s, "a/b", a.Manifest.Digest.String(), a)
		send(http.StatusNotFound, "GET", "/v2/c/d/blobs/"+a.Blobs[1].Digest.String(), "")
	})
}

// An upload session that pauses keeps what came of it, without any grace; a file
// that nobody uses goes.
func TestCollectLeavesUploadSessions(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s := open(t, embedded.Options{FS: fs, Folder: "/data"})
	c := serve(t, s, embedded.HandlerOptions{})
	data := large("in two parts")
	location := c.want(http.StatusAccepted, "POST", "/v2/a/b/blobs/uploads/", nil).header.Get("Location")
	c.want(http.StatusAccepted, "PATCH", location, []byte(data[:80<<10]))
	f, err := fs.Create("/data/uploads/LEFTBEHIND", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.Write([]byte("twelve bytes"))
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if freed := collect(t, s, 0); freed != (registry.Freed{Files: 1, Bytes: 12}) {
		t.Errorf("freed %+v", freed)
	}
	d := digest.FromString(data)
	c.want(http.StatusCreated, "PUT", location+"?digest="+d.String(), []byte(data[80<<10:]))
	if a := c.want(http.StatusOK, "GET", "/v2/a/b/blobs/"+d.String(), nil); string(a.body) != data {
		t.Error("other content")
	}
	if names, err := fs.List("/data/uploads"); err != nil || len(names) != 0 {
		t.Errorf("uploads: %v, %v", names, err)
	}
}

// Files that a crash left without a name go. What is not a blob's stays.
func TestCollectRemovesOrphanFiles(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s := open(t, embedded.Options{FS: fs, Folder: "/data"})
	for _, name := range []string{"sha256/" + digest.FromString("x").Encoded(), "sha512/" + digest.SHA512.FromString("x").Encoded(), "sha256/notes"} {
		f, err := fs.Create("/data/blobs/"+name, vfs.WriteCategoryUnspecified)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(f, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if freed := collect(t, s, time.Hour); freed != (registry.Freed{Files: 2, Bytes: 2}) {
		t.Errorf("freed %+v", freed)
	}
	if names, err := fs.List("/data/blobs/sha256"); err != nil || fmt.Sprint(names) != "[notes]" {
		t.Errorf("left: %v, %v", names, err)
	}
}

func TestCollectEnds(t *testing.T) {
	t.Parallel()
	s := open(t, embedded.Options{FS: vfs.NewMem(), Folder: "/data"})
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := s.Collect(ended, 0); !errors.Is(err, registry.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	collect(t, s, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Collect(t.Context(), 0); !errors.Is(err, registry.ErrUnreachable) && !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("after Close: %v", err)
	}
}
