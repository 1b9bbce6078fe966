package embedded

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// A session serves one request at a time; the other is told so and changes
// nothing.
func TestUploadIsBusy(t *testing.T) {
	t.Parallel()
	s := memoryStore(t)
	h := s.Handler(HandlerOptions{})
	do := func(method, url, body string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body)))
		return w
	}
	location := do("POST", "/v2/a/blobs/uploads/", "").Header().Get("Location")
	u, err := s.holdUpload("a", parsePath(location).reference)
	if err != nil {
		t.Fatal(err)
	}
	d := digest.FromString("x").String()
	for _, method := range []string{"GET", "PATCH", "PUT", "DELETE"} {
		if w := do(method, location+"?digest="+d, "y"); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), codeBlobUploadInvalid) {
			t.Errorf("%s: %d %s", method, w.Code, w.Body)
		}
	}
	s.release(u)
	if w := do("PUT", location+"?digest="+d, "x"); w.Code != http.StatusCreated {
		t.Errorf("afterwards: %d %s", w.Code, w.Body)
	}
}

func TestUploadIDsAreRandomUUIDs(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		id := newUploadID()
		if len(id) != 36 || id[14] != '4' || !strings.Contains("89ab", id[19:20]) || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
	}
}
