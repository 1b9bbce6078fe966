package embedded_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

func handled(t testing.TB) client {
	t.Helper()
	return serve(t, inMemory(t), embedded.HandlerOptions{})
}

func TestPing(t *testing.T) {
	t.Parallel()
	c := handled(t)
	for _, method := range []string{"GET", "HEAD"} {
		a := c.want(200, method, "/v2/", nil)
		if a.header.Get("Docker-Distribution-Api-Version") != "registry/2.0" {
			t.Errorf("%s: headers %v", method, a.header)
		}
	}
}

func TestPullManifest(t *testing.T) {
	t.Parallel()
	c := handled(t)
	a := registrytest.Artifact(t, nil, "layer")
	c.push("a/b", "v1", a)
	for _, reference := range []string{"v1", a.Manifest.Digest.String()} {
		for _, method := range []string{"GET", "HEAD"} {
			got := c.want(200, method, "/v2/a/b/manifests/"+reference, nil, "Accept", "text/plain")
			want := map[string]string{
				"Content-Type":          a.Manifest.MediaType,
				"Docker-Content-Digest": a.Manifest.Digest.String(),
				"Content-Length":        strconv.Itoa(len(a.Manifest.Data)),
				"Etag":                  strconv.Quote(a.Manifest.Digest.String()),
			}
			for name, value := range want {
				if got.header.Get(name) != value {
					t.Errorf("%s %s: %s is %q, want %q", method, reference, name, got.header.Get(name), value)
				}
			}
			if method == "GET" && string(got.body) != string(a.Manifest.Data) {
				t.Errorf("%s: other bytes", reference)
			}
		}
	}
	c.want(304, "GET", "/v2/a/b/manifests/v1", nil, "If-None-Match", strconv.Quote(a.Manifest.Digest.String()))
	for _, reference := range []string{"v2", ".not-a-tag", digest.FromString("other").String()} {
		c.refused(404, "MANIFEST_UNKNOWN", "GET", "/v2/a/b/manifests/"+reference, nil)
		c.want(404, "HEAD", "/v2/a/b/manifests/"+reference, nil)
	}
	c.refused(404, "MANIFEST_UNKNOWN", "GET", "/v2/other/manifests/v1", nil)
	c.refused(400, "DIGEST_INVALID", "GET", "/v2/a/b/manifests/sha256:xyz", nil)
}

func TestPullBlob(t *testing.T) {
	t.Parallel()
	c := handled(t)
	for name, data := range map[string]string{"empty": "", "small": "0123456789", "large": large("0123456789")} {
		d := c.pushBlob("a/b", []byte(data))
		url := "/v2/a/b/blobs/" + d.String()
		for _, method := range []string{"GET", "HEAD"} {
			got := c.want(200, method, url, nil)
			if got.header.Get("Docker-Content-Digest") != d.String() || got.header.Get("Content-Length") != strconv.Itoa(len(data)) {
				t.Errorf("%s %s: headers %v", method, name, got.header)
			}
			if method == "GET" && string(got.body) != data {
				t.Errorf("%s: other bytes", name)
			}
		}
		c.refused(404, "BLOB_UNKNOWN", "GET", "/v2/other/blobs/"+d.String(), nil)
		c.want(404, "HEAD", "/v2/other/blobs/"+d.String(), nil)
	}
	c.refused(400, "DIGEST_INVALID", "GET", "/v2/a/b/blobs/sha256:xyz", nil)
	c.refused(400, "DIGEST_INVALID", "GET", "/v2/a/b/blobs/md5:d41d8cd98f00b204e9800998ecf8427e", nil)
}

// RFC 9110, section 14.
func TestBlobRanges(t *testing.T) {
	t.Parallel()
	c := handled(t)
	for name, data := range map[string]string{"small": strings.Repeat("0123456789", 10), "large": large("0123456789")} {
		url := "/v2/a/b/blobs/" + c.pushBlob("a/b", []byte(data)).String()
		n := len(data)
		for _, test := range []struct {
			header      string
			status      int
			first, last int
		}{
			{"bytes=0-9", 206, 0, 9},
			{"bytes=50-", 206, 50, n - 1},
			{"bytes=-7", 206, n - 7, n - 1},
			{fmt.Sprintf("bytes=90-%d", 10*n), 206, 90, n - 1},
			{fmt.Sprintf("bytes=-%d", 10*n), 206, 0, n - 1},
			{"bytes=9-0", 416, 0, 0},
			{fmt.Sprintf("bytes=%d-", n), 416, 0, 0},
			{"bytes=x-y", 416, 0, 0},
		} {
			got := c.want(test.status, "GET", url, nil, "Range", test.header)
			if test.status != 206 {
				continue
			}
			if string(got.body) != data[test.first:test.last+1] {
				t.Errorf("%s, %s: got %d other bytes", name, test.header, len(got.body))
			}
			if want := fmt.Sprintf("bytes %d-%d/%d", test.first, test.last, n); got.header.Get("Content-Range") != want {
				t.Errorf("%s, %s: Content-Range %q, want %q", name, test.header, got.header.Get("Content-Range"), want)
			}
		}
	}
}

// names follows Link headers from url and returns the pages.
func pages(t *testing.T, c client, url, field string) [][]string {
	t.Helper()
	var all [][]string
	for url != "" {
		got := c.want(200, "GET", url, nil)
		var body map[string]json.RawMessage
		var entries []string
		if err := json.Unmarshal(got.body, &body); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(body[field], &entries); err != nil || entries == nil {
			t.Fatalf("%s: %s is %s: %v", url, field, body[field], err)
		}
		all = append(all, entries)
		link := got.header.Get("Link")
		url, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
		if link != "" && !strings.HasSuffix(link, `>; rel="next"`) {
			t.Fatalf("Link %q", link)
		}
	}
	return all
}

func TestListTags(t *testing.T) {
	t.Parallel()
	c := handled(t)
	for _, tag := range []string{"b", "a", "C", "a-b", "a.b", "_"} {
		c.push("a/b", tag, registrytest.Artifact(t, nil, "one"))
	}
	c.push("a/b-c", "other", registrytest.Artifact(t, nil, "one"))
	for query, want := range map[string]string{
		"":               "[[C _ a a-b a.b b]]",
		"?n=0":           "[[]]",
		"?n=6":           "[[C _ a a-b a.b b]]",
		"?n=4":           "[[C _ a a-b] [a.b b]]",
		"?n=2":           "[[C _] [a a-b] [a.b b]]",
		"?n=2&last=a":    "[[a-b a.b] [b]]",
		"?last=a":        "[[a-b a.b b]]",
		"?last=b":        "[[]]",
		"?last=~":        "[[]]",
		"?n=99999999999": "[[C _ a a-b a.b b]]",
	} {
		if got := fmt.Sprint(pages(t, c, "/v2/a/b/tags/list"+query, "tags")); got != want {
			t.Errorf("%q: got %s, want %s", query, got, want)
		}
	}
	c.refused(404, "NAME_UNKNOWN", "GET", "/v2/a/tags/list", nil)
	for _, n := range []string{"-1", "x", "", "1e3"} {
		c.refused(400, "UNSUPPORTED", "GET", "/v2/a/b/tags/list?n="+n, nil)
	}
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	c := handled(t)
	if got := fmt.Sprint(pages(t, c, "/v2/_catalog", "repositories")); got != "[[]]" {
		t.Errorf("empty: %s", got)
	}
	for _, repo := range []string{"b", "a/b", "a", "a-b"} {
		c.push(repo, "one", registrytest.Artifact(t, nil, "one"))
		c.push(repo, "two", registrytest.Artifact(t, nil, "two"))
	}
	for query, want := range map[string]string{
		"":              "[[a a-b a/b b]]",
		"?n=3":          "[[a a-b a/b] [b]]",
		"?n=1&last=a-b": "[[a/b] [b]]",
		"?n=0":          "[[]]",
	} {
		if got := fmt.Sprint(pages(t, c, "/v2/_catalog"+query, "repositories")); got != want {
			t.Errorf("%q: got %s, want %s", query, got, want)
		}
	}
}

func TestUnknownAddresses(t *testing.T) {
	t.Parallel()
	c := handled(t)
	for _, path := range []string{"/v2/a", "/v2/a/b/c", "/v2/a/tags", "/v2/a/tags/all", "/v2/manifests/v1", "/other"} {
		c.refused(404, "UNSUPPORTED", "GET", path, nil)
	}
	for _, path := range []string{"/v2/Upper/tags/list", "/v2/-a/manifests/v1", "/v2/a..b/tags/list", "/v2/" + strings.Repeat("a", 256) + "/tags/list"} {
		c.refused(400, "NAME_INVALID", "GET", path, nil)
	}
	a := c.refused(405, "UNSUPPORTED", "POST", "/v2/a/manifests/v1", nil)
	if allow := a.header.Get("Allow"); allow != "GET, HEAD, PUT, DELETE" {
		t.Errorf("Allow %q", allow)
	}
	if a := c.want(http.StatusMethodNotAllowed, "GET", "/v2/a/blobs/uploads/", nil); a.header.Get("Allow") != "POST" {
		t.Errorf("Allow %q", a.header.Get("Allow"))
	}
}

// A repository's name may hold the words of the endpoints.
func TestRepositoriesNamedLikeEndpoints(t *testing.T) {
	t.Parallel()
	c := handled(t)
	a := registrytest.Artifact(t, nil, "layer")
	for _, repo := range []string{"blobs", "manifests/tags", "a/blobs/uploads", "tags/list", "v2/blobs", "referrers"} {
		c.push(repo, "v1", a)
		c.want(200, "GET", "/v2/"+repo+"/manifests/v1", nil)
		c.want(200, "GET", "/v2/"+repo+"/tags/list", nil)
		c.want(200, "GET", "/v2/"+repo+"/blobs/"+a.Blobs[1].Digest.String(), nil)
	}
}
