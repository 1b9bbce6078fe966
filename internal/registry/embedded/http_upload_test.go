package embedded_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

// start opens an upload session and returns its address.
func (c client) start(query string) string {
	c.t.Helper()
	a := c.want(202, "POST", "/v2/a/b/blobs/uploads/"+query, nil)
	if a.header.Get("Range") != "0-0" {
		c.t.Errorf("Range %q", a.header.Get("Range"))
	}
	return a.header.Get("Location")
}

func (c client) pulls(location, data string) {
	c.t.Helper()
	if got := c.want(200, "GET", location, nil); string(got.body) != data {
		c.t.Errorf("%s: other bytes", location)
	}
}

func TestUploads(t *testing.T) {
	t.Parallel()
	c := handled(t)
	for name, data := range map[string]string{"empty": "", "small": "small blob", "large": large("large blob")} {
		for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
			d := algorithm.FromString(data)
			for _, query := range []string{"", "?digest-algorithm=" + algorithm.String()} {
				location := c.start(query)
				a := c.want(201, "PUT", location+"?digest="+d.String(), []byte(data))
				if a.header.Get("Docker-Content-Digest") != d.String() {
					t.Errorf("%s: headers %v", name, a.header)
				}
				c.pulls(a.header.Get("Location"), data)
				c.refused(404, "BLOB_UPLOAD_UNKNOWN", "GET", location, nil)

				location = c.start(query)
				c.want(202, "PATCH", location, []byte(data))
				c.pulls(c.want(201, "PUT", location+"?digest="+d.String(), nil).header.Get("Location"), data)
			}
			a := c.want(201, "POST", "/v2/a/b/blobs/uploads/?digest="+d.String(), []byte(data))
			c.pulls(a.header.Get("Location"), data)

			location := c.start("")
			a = c.stream("PATCH", location, io.MultiReader(strings.NewReader(data))) // no Content-Length
			if a.status != 202 {
				t.Fatalf("streamed: %d %s", a.status, a.body)
			}
			c.pulls(c.want(201, "PUT", location+"?digest="+d.String(), nil).header.Get("Location"), data)
		}
	}
}

func TestChunkedUpload(t *testing.T) {
	t.Parallel()
	c := handled(t)
	for name, data := range map[string]string{"small": "0123456789abcdef", "large": large("0123456789abcdef")} {
		d := digest.FromString(data)
		location := c.start("")
		size := len(data)/4 + 1
		chunk := func(first int) (string, []byte) {
			last := min(first+size, len(data)) - 1
			return fmt.Sprintf("%d-%d", first, last), []byte(data[first : last+1])
		}
		first := 0
		for ; first+size < len(data); first += size {
			// Out of order: too far, or again.
			for _, other := range []int{first + size, first - size} {
				if other < 0 {
					continue
				}
				span, piece := chunk(other)
				a := c.refused(416, "BLOB_UPLOAD_INVALID", "PATCH", location, piece, "Content-Range", span)
				if a.header.Get("Location") != location || a.header.Get("Range") != fmt.Sprintf("0-%d", max(first-1, 0)) {
					t.Errorf("%s: 416 with headers %v", name, a.header)
				}
			}
			span, piece := chunk(first)
			a := c.want(202, "PATCH", location, piece, "Content-Range", span)
			if want := fmt.Sprintf("0-%d", first+size-1); a.header.Get("Range") != want {
				t.Errorf("%s: Range %q, want %q", name, a.header.Get("Range"), want)
			}
			if a := c.want(204, "GET", location, nil); a.header.Get("Range") != fmt.Sprintf("0-%d", first+size-1) || a.header.Get("Location") != location {
				t.Errorf("%s: status with headers %v", name, a.header)
			}
		}
		_, last := chunk(first)
		c.refused(416, "BLOB_UPLOAD_INVALID", "PUT", location+"?digest="+d.String(), last, "Content-Range", fmt.Sprintf("0-%d", len(last)-1))
		span, _ := chunk(first)
		c.pulls(c.want(201, "PUT", location+"?digest="+d.String(), last, "Content-Range", span).header.Get("Location"), data)
	}
}

func TestUploadIsRefused(t *testing.T) {
	t.Parallel()
	c := handled(t)
	wrong := digest.FromString("other").String()
	c.refused(400, "DIGEST_INVALID", "POST", "/v2/a/b/blobs/uploads/?digest="+wrong, []byte("data"))
	c.refused(400, "DIGEST_INVALID", "POST", "/v2/a/b/blobs/uploads/?digest=sha256:00", []byte("data"))
	c.refused(400, "DIGEST_INVALID", "POST", "/v2/a/b/blobs/uploads/?digest-algorithm=md5", nil)
	c.refused(400, "DIGEST_INVALID", "POST", "/v2/a/b/blobs/uploads/?mount=sha256:00&from=other", nil)
	c.refused(404, "BLOB_UPLOAD_UNKNOWN", "PATCH", "/v2/a/b/blobs/uploads/00000000-0000-4000-8000-000000000000", []byte("data"))

	location := c.start("")
	c.refused(400, "DIGEST_INVALID", "PUT", location, []byte("data"))
	c.refused(400, "DIGEST_INVALID", "PUT", location+"?digest=sha256:00", []byte("data"))
	for _, span := range []string{"0", "0-", "-3", "3-0", "a-b", "+0-3", "0-3-5", "bytes 0-3/4", "0-99999999999999999999", "0-9223372036854775807"} {
		c.refused(400, "BLOB_UPLOAD_INVALID", "PATCH", location, []byte("data"), "Content-Range", span)
	}
	c.refused(400, "SIZE_INVALID", "PATCH", location, []byte("data"), "Content-Range", "0-4")
	other := strings.Replace(location, "/a/b/", "/c/d/", 1)
	c.refused(404, "BLOB_UPLOAD_UNKNOWN", "GET", other, nil)
	// None of that ended the session or added to it.
	if a := c.want(204, "GET", location, nil); a.header.Get("Range") != "0-0" {
		t.Errorf("Range %q", a.header.Get("Range"))
	}
	c.refused(400, "DIGEST_INVALID", "PUT", location+"?digest="+wrong, []byte("data"))
	c.refused(404, "BLOB_UPLOAD_UNKNOWN", "GET", location, nil)
	c.refused(404, "BLOB_UNKNOWN", "GET", "/v2/a/b/blobs/"+wrong, nil)

	location = c.start("")
	c.want(204, "DELETE", location, nil)
	c.refused(404, "BLOB_UPLOAD_UNKNOWN", "DELETE", location, nil)

	// A body of unknown length that is longer than its range.
	location = c.start("")
	a := c.stream("PATCH", location, io.MultiReader(strings.NewReader("too long")), "Content-Range", "0-3")
	if a.status != 400 {
		t.Errorf("longer than its range: %d", a.status)
	}
	c.refused(404, "BLOB_UPLOAD_UNKNOWN", "GET", location, nil)
}

func TestUploadLimits(t *testing.T) {
	t.Parallel()
	fs := vfs.NewMem()
	s := open(t, embedded.Options{FS: fs, Folder: "/data", MaxUploadBytes: 200 << 10, MaxUploads: 3})
	c := serve(t, s, embedded.HandlerOptions{})
	tooLarge := strings.Repeat("x", 200<<10+1)
	d := digest.FromString(tooLarge).String()
	c.refused(413, "SIZE_INVALID", "POST", "/v2/a/b/blobs/uploads/?digest="+d, []byte(tooLarge))
	location := c.start("")
	if a := c.stream("PATCH", location, io.MultiReader(strings.NewReader(tooLarge))); a.status != 413 {
		t.Errorf("streamed: %d", a.status)
	}
	c.refused(404, "BLOB_UPLOAD_UNKNOWN", "GET", location, nil)

	var open []string
	for range 3 {
		open = append(open, c.start(""))
	}
	c.want(202, "PATCH", open[0], []byte(strings.Repeat("x", 100<<10)))
	a := c.refused(429, "TOOMANYREQUESTS", "POST", "/v2/a/b/blobs/uploads/", nil)
	if a.header.Get("Retry-After") == "" {
		t.Error("429 without Retry-After")
	}
	c.refused(429, "TOOMANYREQUESTS", "POST", "/v2/a/b/blobs/uploads/?digest="+digest.FromString("x").String(), []byte("x"))
	for _, location := range open {
		c.want(204, "DELETE", location, nil)
	}
	c.start("")
	if names, err := fs.List("/data/uploads"); err != nil || len(names) != 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
}

func TestIdleUploadsExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		s, err := embedded.Open(embedded.Options{FS: fs, Folder: "/data", UploadIdle: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		c := direct{t, s.Handler(embedded.HandlerOptions{})}
		idle := c.do("POST", "/v2/a/b/blobs/uploads/", "").Header().Get("Location")
		used := c.do("POST", "/v2/a/b/blobs/uploads/", "").Header().Get("Location")
		c.do("PATCH", idle, large("left behind"))
		for range 3 {
			time.Sleep(40 * time.Second)
			if a := c.do("PATCH", used, "x"); a.Code != http.StatusAccepted {
				t.Fatalf("upload in use: %d %s", a.Code, a.Body)
			}
		}
		if a := c.do("GET", idle, ""); a.Code != http.StatusNotFound {
			t.Errorf("idle upload: %d", a.Code)
		}
		if names, err := fs.List("/data/uploads"); err != nil || len(names) != 0 {
			t.Errorf("left behind: %v, %v", names, err)
		}
	})
}

func TestMount(t *testing.T) {
	t.Parallel()
	c := handled(t)
	for _, data := range []string{"small", large("large")} {
		d := c.pushBlob("from/repo", []byte(data))
		mount := "/v2/to/repo/blobs/uploads/?mount=" + d.String()
		for _, query := range []string{"", "&from=other/repo", "&from=Bad..Name"} {
			a := c.want(202, "POST", mount+query, nil)
			c.want(204, "GET", a.header.Get("Location"), nil)
		}
		c.want(404, "GET", "/v2/to/repo/blobs/"+d.String(), nil)
		a := c.want(201, "POST", mount+"&from=from/repo", nil)
		if a.header.Get("Location") != "/v2/to/repo/blobs/"+d.String() || a.header.Get("Docker-Content-Digest") != d.String() {
			t.Errorf("headers %v", a.header)
		}
		c.pulls(a.header.Get("Location"), data)
		c.want(201, "POST", mount, nil) // it is there already
		c.want(202, "DELETE", "/v2/from/repo/blobs/"+d.String(), nil)
		c.pulls("/v2/to/repo/blobs/"+d.String(), data)
	}
}

func TestReservedPrefix(t *testing.T) {
	t.Parallel()
	s := inMemory(t)
	c := serve(t, s, embedded.HandlerOptions{ReservedPrefix: "gitops-squared"})
	a := registrytest.Artifact(t, nil, "layer")
	d := a.Blobs[1].Digest.String()
	for _, repo := range []string{"gitops-squared", "gitops-squared/catalog", "gitops-squared/resources/ns/name"} {
		if err := s.Put(t.Context(), registry.Push{Repository: repo, Artifact: a}); err != nil {
			t.Fatal(err)
		}
		if err := s.Commit(t.Context(), registry.Tag{Repository: repo, Name: "latest", Manifest: a.Manifest}); err != nil {
			t.Fatal(err)
		}
		for _, write := range [][2]string{
			{"POST", "/blobs/uploads/"},
			{"POST", "/blobs/uploads/?digest=" + d},
			{"POST", "/blobs/uploads/?mount=" + d + "&from=other"},
			{"PATCH", "/blobs/uploads/00000000-0000-4000-8000-000000000000"},
			{"PUT", "/blobs/uploads/00000000-0000-4000-8000-000000000000?digest=" + d},
			{"DELETE", "/blobs/uploads/00000000-0000-4000-8000-000000000000"},
			{"PUT", "/manifests/latest"},
			{"PUT", "/manifests/" + a.Manifest.Digest.String()},
			{"DELETE", "/manifests/latest"},
			{"DELETE", "/manifests/" + a.Manifest.Digest.String()},
			{"DELETE", "/blobs/" + d},
		} {
			got := c.refused(403, "DENIED", write[0], "/v2/"+repo+write[1], nil)
			if !strings.Contains(string(got.body), "only the ledger writes") {
				t.Errorf("%s %s: %s", write[0], write[1], got.body)
			}
		}
		for _, read := range []string{"/tags/list", "/manifests/latest", "/blobs/" + d, "/referrers/" + a.Manifest.Digest.String()} {
			c.want(200, "GET", "/v2/"+repo+read, nil)
		}
		c.want(201, "POST", "/v2/mine/blobs/uploads/?mount="+d+"&from="+repo, nil)
	}
	c.push("gitops-squared-too", "v1", a)
	c.push("other/gitops-squared", "v1", a)
}
