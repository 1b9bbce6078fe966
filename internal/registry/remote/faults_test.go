package remote_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

const html = "<html><body>404 not found</body></html>"

// TestWriteFaults puts a tag through faults. Each must be sent exactly once.
func TestWriteFaults(t *testing.T) {
	t.Parallel()
	backend := registrytest.StartDistribution(t)
	for name, c := range map[string]struct {
		fault   fault
		want    error
		settled bool
		moved   bool
	}{
		"400":                       {refusal(400, "MANIFEST_INVALID"), registry.ErrRefused, true, false},
		"401":                       {refusal(401, "UNAUTHORIZED"), registry.ErrRefused, true, false},
		"403":                       {refusal(403, "DENIED"), registry.ErrRefused, true, false},
		"404 of the registry":       {refusal(404, "NAME_UNKNOWN"), registry.ErrRefused, true, false},
		"404 of a proxy":            {status(404, "text/html", html), registry.ErrUnavailable, false, false},
		"405":                       {refusal(405, "UNSUPPORTED"), registry.ErrRefused, true, false},
		"408":                       {status(408, "text/plain", "too slow"), registry.ErrUnavailable, false, false},
		"409":                       {refusal(409, "DENIED"), registry.ErrRefused, true, false},
		"413":                       {status(413, "text/html", html), registry.ErrRefused, true, false},
		"429":                       {refusal(429, "TOOMANYREQUESTS"), registry.ErrRefused, true, false},
		"500":                       {refusal(500, "UNKNOWN"), registry.ErrUnavailable, false, false},
		"502":                       {status(502, "text/html", html), registry.ErrUnavailable, false, false},
		"503":                       {status(503, "text/plain", ""), registry.ErrUnavailable, false, false},
		"a redirect to nowhere":     {status(307, "text/plain", ""), registry.ErrUnavailable, false, false},
		"reset before it is stored": {reset(false), registry.ErrUnavailable, false, false},
		"reset after it is stored":  {reset(true), registry.ErrUnavailable, false, true},
		"no answer":                 {hang, context.DeadlineExceeded, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, r := newProxy(t, backend)
			repo := "faults/" + strings.ReplaceAll(strings.ToLower(name), " ", "-")
			old := stored(t, r, repo, "latest", "old")
			next := stored(t, r, repo, "other", "next")
			p.set("PUT /manifests/latest", c.fault)
			client := r
			if errors.Is(c.want, context.DeadlineExceeded) {
				client = p.hurried(t)
			}
			err := client.Commit(t.Context(), registry.Tag{Repository: repo, Name: "latest", Manifest: next.Manifest})
			if !errors.Is(err, c.want) || registry.Settled(err) != c.settled {
				t.Errorf("got %v, want %v, settled %v", err, c.want, c.settled)
			}
			if n := p.seen(); n != 1 {
				t.Errorf("the request was sent %d times", n)
			}
			p.set("", nil)
			want := old
			if c.moved {
				want = next
			}
			if d, err := r.Resolve(t.Context(), repo, "latest"); err != nil || d.Digest != want.Manifest.Digest {
				t.Errorf("latest is %s (%v), want %s", d.Digest, err, want.Manifest.Digest)
			}
		})
	}
}

// TestPutFaults fails the requests of a Put one after the other.
func TestPutFaults(t *testing.T) {
	t.Parallel()
	backend := registrytest.StartDistribution(t)
	for name, match := range map[string]string{
		"begin":    "POST /blobs/uploads/",
		"blob":     "PUT /blobs/uploads/",
		"manifest": "PUT /manifests/",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, r := newProxy(t, backend)
			repo := "put-faults/" + name
			a := registrytest.Artifact(t, nil, name)
			for what, c := range map[string]struct {
				fault fault
				want  error
			}{
				"500":         {refusal(500, "UNKNOWN"), registry.ErrUnavailable},
				"403":         {refusal(403, "DENIED"), registry.ErrRefused},
				"reset":       {reset(false), registry.ErrUnavailable},
				"no answer":   {hang, context.DeadlineExceeded},
				"lost upload": {refusal(404, "BLOB_UPLOAD_UNKNOWN"), registry.ErrUnavailable},
			} {
				p.set(match, c.fault)
				client := r
				if errors.Is(c.want, context.DeadlineExceeded) {
					client = p.hurried(t)
				}
				if err := client.Put(t.Context(), registry.Push{Repository: repo, Artifact: a}); !errors.Is(err, c.want) {
					t.Errorf("%s: got %v, want %v", what, err, c.want)
				}
				if n := p.seen(); n > len(a.Blobs)+1 || (n == 0 && client == r) { // +1: a mount that failed, and the upload after it
					t.Errorf("%s: the request was sent %d times", what, n)
				}
			}
			p.set("", nil)
			if _, err := r.Get(t.Context(), repo, a.Manifest.Digest.String()); !errors.Is(err, registry.ErrNotFound) {
				t.Errorf("after only failures: %v", err)
			}
			stored(t, r, repo, "latest", name)
		})
	}
}

func TestReadFaults(t *testing.T) {
	t.Parallel()
	backend := registrytest.StartDistribution(t)
	stored(t, open(t, backend), "read/faults", "latest", "some text that is long enough")
	const manifest, blob = "GET /manifests/", "GET /blobs/"
	for name, c := range map[string]struct {
		match string
		fault fault
		want  error
	}{
		"404 of the registry":           {manifest, refusal(404, "MANIFEST_UNKNOWN"), registry.ErrNotFound},
		"404 with the version's header": {manifest, withVersion(status(404, "text/plain", "no")), registry.ErrNotFound},
		"404 page with that header":     {manifest, withVersion(status(404, "text/html", html)), registry.ErrUnavailable},
		"404 page without a type":       {manifest, withVersion(status(404, "", " <!doctype html>")), registry.ErrUnavailable},
		"404 of a proxy":                {manifest, status(404, "text/html", html), registry.ErrUnavailable},
		"404 of a gateway":              {manifest, status(404, "application/json", `{"message":"no route"}`), registry.ErrUnavailable},
		"404 with nothing":              {manifest, status(404, "text/plain", ""), registry.ErrUnavailable},
		"401":                           {manifest, refusal(401, "UNAUTHORIZED"), registry.ErrRefused},
		"403":                           {manifest, refusal(403, "DENIED"), registry.ErrRefused},
		"429":                           {manifest, refusal(429, "TOOMANYREQUESTS"), registry.ErrUnavailable},
		"500":                           {manifest, refusal(500, "UNKNOWN"), registry.ErrUnavailable},
		"reset":                         {manifest, reset(false), registry.ErrUnavailable},
		"no answer":                     {manifest, hang, context.DeadlineExceeded},
		"half a manifest":               {manifest, half, registry.ErrUnavailable},
		"another byte in the manifest":  {manifest, edited(flip), registry.ErrCorrupt},
		"a page instead":                {manifest, status(200, "text/html; charset=utf-8", html), registry.ErrUnavailable},
		"a large manifest":              {manifest, edited(func([]byte) []byte { return make([]byte, registry.MaxManifestBytes+1) }), registry.ErrTooLarge},
		"an endless manifest":           {manifest, endless, registry.ErrTooLarge},
		"a blob's 404":                  {blob, refusal(404, "BLOB_UNKNOWN"), registry.ErrCorrupt},
		"a blob's 404 of a proxy":       {blob, status(404, "text/html", html), registry.ErrUnavailable},
		"a blob's 500":                  {blob, status(500, "text/plain", ""), registry.ErrUnavailable},
		"half a blob":                   {blob, half, registry.ErrUnavailable},
		"another byte in the blob":      {blob, edited(flip), registry.ErrCorrupt},
		"a short blob":                  {blob, edited(func(b []byte) []byte { return b[1:] }), registry.ErrCorrupt},
		"a long blob":                   {blob, edited(func(b []byte) []byte { return append(b, 'x') }), registry.ErrCorrupt},
		"an endless blob":               {blob, endless, registry.ErrCorrupt},
		"a blob that hangs":             {blob, hang, context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, r := newProxy(t, backend)
			p.set(c.match, c.fault)
			if errors.Is(c.want, context.DeadlineExceeded) {
				r = p.hurried(t)
			}
			_, err := r.Get(t.Context(), "read/faults", "latest")
			if !errors.Is(err, c.want) {
				t.Errorf("Get: got %v, want %v", err, c.want)
			}
			if !errors.Is(c.want, registry.ErrNotFound) && errors.Is(err, registry.ErrNotFound) {
				t.Errorf("Get: %v says that nothing is there", err)
			}
			if c.match == manifest {
				if _, err := r.Resolve(t.Context(), "read/faults", "latest"); !errors.Is(err, c.want) {
					t.Errorf("Resolve: got %v, want %v", err, c.want)
				}
			}
		})
	}
}

// withVersion adds the header that most registries send, and some proxies too.
func withVersion(f fault) fault {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		f(w, r, next)
	}
}

// endless answers with a body of unknown length that does not end.
func endless(w http.ResponseWriter, r *http.Request, next http.Handler) {
	answer := httptest.NewRecorder()
	next.ServeHTTP(answer, r)
	w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
	chunk := bytes.Repeat([]byte("x"), 64<<10)
	for r.Context().Err() == nil {
		if _, err := w.Write(chunk); err != nil {
			return
		}
	}
}

func TestDeleteFaults(t *testing.T) {
	t.Parallel()
	backend := registrytest.StartDistribution(t)
	for name, c := range map[string]struct {
		fault fault
		want  error
	}{
		"405":            {status(405, "text/plain", ""), registry.ErrUnsupported},
		"unsupported":    {refusal(400, "UNSUPPORTED"), registry.ErrUnsupported},
		"404":            {refusal(404, "MANIFEST_UNKNOWN"), registry.ErrNotFound},
		"404 of a proxy": {status(404, "text/html", html), registry.ErrUnavailable},
		"403":            {refusal(403, "DENIED"), registry.ErrRefused},
		"500":            {refusal(500, "UNKNOWN"), registry.ErrUnavailable},
		"reset":          {reset(false), registry.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, r := newProxy(t, backend)
			repo := "delete-faults/" + strings.ReplaceAll(name, " ", "-")
			a := stored(t, r, repo, "latest", "text")
			p.set("DELETE /manifests/", c.fault)
			if err := r.Delete(t.Context(), repo, a.Manifest.Digest); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if n := p.seen(); n != 1 {
				t.Errorf("the request was sent %d times", n)
			}
			p.set("", nil)
			if _, err := r.Get(t.Context(), repo, "latest"); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}
