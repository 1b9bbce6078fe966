package embedded

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"gitops-squared.io/gsq/internal/registry"
)

func memoryStore(t testing.TB) *Store {
	t.Helper()
	s, err := Open(Options{FS: vfs.NewMem(), Folder: "/data"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// A path is read back to front: what it names is in it, and what is built
// from its parts is read the same.
func FuzzPath(f *testing.F) {
	for _, path := range []string{
		"/v2/", "/v2", "/v2/_catalog", "/v2/a/b/tags/list", "/v2/a/manifests/v1", "/v2/a/blobs/sha256:00",
		"/v2/a/blobs/uploads/", "/v2/a/blobs/uploads", "/v2/a/blobs/uploads/id", "/v2/a/referrers/sha256:00",
		"/v2/blobs/uploads/blobs/uploads/x", "/v2//manifests/", "/v2/manifests/v1", "/v3/a/manifests/v1", "",
	} {
		f.Add(path)
	}
	words := map[endpoint]string{endpointTags: "tags", endpointReferrers: "referrers", endpointManifest: "manifests", endpointBlob: "blobs", endpointUpload: "blobs/uploads"}
	f.Fuzz(func(t *testing.T, path string) {
		p := parsePath(path)
		if p.endpoint == endpointNone || p.endpoint == endpointPing || p.endpoint == endpointCatalog {
			if p.repo != "" || p.reference != "" {
				t.Fatalf("%q: %+v", path, p)
			}
			return
		}
		if p.endpoint == endpointUploads {
			if strings.TrimSuffix(path, "/") != "/v2/"+p.repo+"/blobs/uploads" {
				t.Fatalf("%q: %+v", path, p)
			}
			return
		}
		if built := fmt.Sprintf("/v2/%s/%s/%s", p.repo, words[p.endpoint], p.reference); built != path {
			t.Fatalf("%q: %+v is %q", path, p, built)
		}
	})
}

// Names that are accepted cannot break the database's keys apart.
func FuzzReference(f *testing.F) {
	for _, s := range []string{"a/b", "a--b", "a__b", "a..b", "A", "v1", "_", "-", "sha256:" + strings.Repeat("a", 64), "sha512:" + strings.Repeat("0", 128), "sha384:" + strings.Repeat("0", 96), "sha256:xyz", ":", "a\x00b", "a\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if checkRepository(s) == nil {
			key := manifestKey(s, digest.FromString(s))
			if repo, err := repoOf(key); err != nil || repo != s {
				t.Fatalf("%q is read as %q, %v", s, repo, err)
			}
		}
		if checkTag(s) == nil && (isDigest(s) || strings.ContainsAny(s, "\x00/\n") || len(s) > 128) {
			t.Fatalf("tag %q", s)
		}
		if isDigest(s) && checkReference(s) == nil {
			d, err := decodeDigest(appendDigest(nil, digest.Digest(s)))
			if err != nil || d.String() != s {
				t.Fatalf("%q is read as %q, %v", s, d, err)
			}
		}
	})
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"0-0", "0-1023", "1024-2047", "5-4", "-", "0-", "-0", "00-01", "+1-2", " 1-2", "1-2 ", "0-9223372036854775807", "9223372036854775807-9223372036854775807", "99999999999999999999-0", "bytes 0-1/2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, length, err := parseContentRange(s)
		if err != nil {
			return
		}
		if first < 0 || length < 1 || first+(length-1) < first {
			t.Fatalf("%q: %d bytes from %d", s, length, first)
		}
		again, n, err := parseContentRange(fmt.Sprintf("%d-%d", first, first+length-1))
		if err != nil || again != first || n != length {
			t.Fatalf("%q: %d bytes from %d, then %d from %d, %v", s, length, first, n, again, err)
		}
	})
}

// Whatever range is asked for, the answer is a part of the blob, or all of it,
// or none.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-9", "bytes=5-", "bytes=-5", "bytes=9-0", "bytes=100-", "bytes=0-0,5-6", "bytes=", "bytes=-", "lines=1-2", "bytes=-99999999999999999999", ""} {
		f.Add(s)
	}
	s := memoryStore(f)
	h := s.Handler(HandlerOptions{})
	blob := strings.Repeat("0123456789", 10)
	d := digest.FromString(blob)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("POST", "/v2/a/blobs/uploads/?digest="+d.String(), strings.NewReader(blob)))
	if w.Code != http.StatusCreated {
		f.Fatal(w.Code)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequest("GET", "/v2/a/blobs/"+d.String(), nil)
		r.Header.Set("Range", header)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch body := w.Body.String(); {
		case w.Code == http.StatusOK:
			if body != blob {
				t.Fatalf("%q: %d other bytes", header, len(body))
			}
		case w.Code == http.StatusPartialContent && strings.HasPrefix(w.Header().Get("Content-Type"), "multipart/"):
		case w.Code == http.StatusPartialContent:
			var first, last, size int
			if _, err := fmt.Sscanf(w.Header().Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size); err != nil || size != len(blob) || body != blob[first:last+1] {
				t.Fatalf("%q: %s and %d bytes", header, w.Header().Get("Content-Range"), len(body))
			}
		case w.Code != http.StatusRequestedRangeNotSatisfiable:
			t.Fatalf("%q: status %d", header, w.Code)
		}
	})
}

// A manifest that is accepted comes back byte for byte; no other leaves a
// trace, and none is an error of ours.
func FuzzManifest(f *testing.F) {
	empty := digest.FromString("{}")
	config := fmt.Sprintf(`{"mediaType":"application/vnd.oci.empty.v1+json","digest":"%s","size":2}`, empty)
	for _, m := range []string{
		`{"schemaVersion":2,"config":` + config + `,"layers":[]}`,
		`{"schemaVersion":2,"mediaType":"` + ocispec.MediaTypeImageManifest + `","config":` + config + `,"layers":[` + config + `],"subject":` + config + `,"annotations":{"a":"b"}}`,
		`{"schemaVersion":2,"manifests":[]}`, `{"schemaVersion":2,"manifests":[` + config + `]}`,
		`{"schemaVersion":2,"config":null}`, `{"schemaVersion":1}`, `[]`, `null`, ``, `{"schemaVersion":2,"config":` + config + `,"layers":[{}]}`,
		`{"schemaVersion":2,"config":` + config + `,"layers":[],"layers":null,"Layers":[` + config + `]}`,
	} {
		f.Add([]byte(m), false)
		f.Add([]byte(m), true)
	}
	s := memoryStore(f)
	if err := s.Put(f.Context(), registry.Push{Repository: "a", Artifact: registry.Artifact{
		Manifest: registry.NewManifest(ocispec.MediaTypeImageManifest, []byte(`{"schemaVersion":2,"config":`+config+`}`)),
		Blobs:    []registry.Blob{registry.NewBlob(ocispec.MediaTypeEmptyJSON, []byte("{}"))},
	}}); err != nil {
		f.Fatal(err)
	}
	h := s.Handler(HandlerOptions{})
	f.Fuzz(func(t *testing.T, data []byte, index bool) {
		mediaType := ocispec.MediaTypeImageManifest
		if index {
			mediaType = ocispec.MediaTypeImageIndex
		}
		url := "/v2/a/manifests/" + digest.FromBytes(data).String()
		known, err := s.Resolve(t.Context(), "a", digest.FromBytes(data).String())
		r := httptest.NewRequest("PUT", url, bytes.NewReader(data))
		r.Header.Set("Content-Type", mediaType)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		got := httptest.NewRecorder()
		h.ServeHTTP(got, httptest.NewRequest("GET", url, nil))
		switch {
		case w.Code == http.StatusCreated:
			if got.Code != http.StatusOK || !bytes.Equal(got.Body.Bytes(), data) || got.Header().Get("Content-Type") != mediaType {
				t.Fatalf("pushed, then pulled with %d as %s", got.Code, got.Header().Get("Content-Type"))
			}
			if !json.Valid(data) {
				t.Fatal("accepted without being JSON")
			}
			if _, err := s.Get(t.Context(), "a", digest.FromBytes(data).String()); err != nil {
				t.Fatalf("accepted, but cannot be read: %v", err)
			}
		case w.Code >= 500:
			t.Fatalf("status %d: %s", w.Code, w.Body)
		case err != nil && got.Code != http.StatusNotFound:
			t.Fatalf("refused with %d, but there: %s", w.Code, known.Digest)
		}
	})
}

// No request makes the handler fail.
func FuzzRequest(f *testing.F) {
	d := digest.FromString("x").String()
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		for _, url := range []string{"a/manifests/v1", "a/manifests/" + d + "?tag=b", "a/blobs/" + d, "a/blobs/uploads/?digest=" + d, "a/blobs/uploads/?mount=" + d + "&from=b", "a/tags/list?n=1&last=b", "a/referrers/" + d + "?last=" + d, "_catalog?n=2", "a/blobs/uploads/id?digest=" + d} {
			f.Add(method, url, "x")
		}
	}
	s := memoryStore(f)
	h := s.Handler(HandlerOptions{ReservedPrefix: "reserved"})
	f.Fuzz(func(t *testing.T, method, url, body string) {
		path, query, _ := strings.Cut(url, "?")
		r := httptest.NewRequest("GET", "/v2/", strings.NewReader(body))
		r.Method, r.URL.Path, r.URL.RawQuery = method, "/v2/"+path, query
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 || w.Code < 200 {
			t.Fatalf("%s %s: %d %s", method, url, w.Code, w.Body)
		}
		if w.Code >= 400 && w.Code != http.StatusRequestedRangeNotSatisfiable && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%s %s: %d with body %q", method, url, w.Code, w.Body)
		}
		if id := w.Header().Get("Docker-Upload-Uuid"); id != "" { // so that sessions do not run out
			if u, err := s.holdUpload(parsePath(r.URL.Path).repo, id); err == nil {
				s.end(u)
				s.release(u)
			}
		}
	})
}
