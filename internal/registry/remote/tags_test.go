package remote_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"gitops-squared.io/gsq/internal/registry"
)

// tagServer lists tags in the order that it was given, in the way of one kind
// of registry.
type tagServer struct {
	tags     []string
	page     int  // most tags in an answer; 0 means no limit
	noLast   bool // ignores where to start, unless it is a link's
	noN      bool // ignores how many are wanted
	requests atomic.Int32
}

func (s *tagServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	tags := s.tags
	last := r.URL.Query().Get("last")
	if s.noLast {
		last = ""
	}
	if link := r.URL.Query().Get("after"); link != "" {
		last = link
	}
	if i := slices.Index(tags, last); i >= 0 {
		tags = tags[i+1:]
	} else if last != "" {
		tags = slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return strings.ToLower(t) <= strings.ToLower(last) })
	}
	n := len(tags)
	if wanted, err := strconv.Atoi(r.URL.Query().Get("n")); err == nil && !s.noN {
		n = min(n, wanted)
	}
	if s.page > 0 {
		n = min(n, s.page)
	}
	if n < len(tags) {
		w.Header().Set("Link", fmt.Sprintf(`<%s?n=%d&after=%s>; rel="next"`, r.URL.Path, n, tags[n-1]))
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"name": "repo", "tags": tags[:n]})
}

func TestTagsOfOddRegistries(t *testing.T) {
	t.Parallel()
	var plain []string
	for i := range 25 {
		plain = append(plain, fmt.Sprintf("r%d", i))
	}
	slices.Sort(plain)
	mixed := []string{"a", "B", "b2", "C", "c1", "D", "e", "F"} // without regard to case
	backwards := slices.Clone(plain)
	slices.Reverse(backwards)
	withIndex := append([]string{"latest"}, append(slices.Clone(plain), "sha256-"+strings.Repeat("0", 64))...)
	for name, s := range map[string]*tagServer{
		"orderly":                     {tags: plain},
		"small pages":                 {tags: plain, page: 3},
		"ignores n":                   {tags: plain, noN: true},
		"ignores last":                {tags: plain, noLast: true},
		"ignores both":                {tags: plain, noLast: true, noN: true},
		"case-insensitive":            {tags: mixed},
		"case-insensitive, pages":     {tags: mixed, page: 2},
		"backwards":                   {tags: backwards, noLast: true},
		"backwards, pages":            {tags: backwards, page: 4, noLast: true},
		"in no order, ignores all":    {tags: []string{"r3", "r1", "v1", "r2"}, noLast: true, noN: true},
		"in no order, pages":          {tags: []string{"r3", "r1", "v1", "r2"}, page: 2, noLast: true},
		"with an index of referrers":  {tags: withIndex},
		"one index of referrers only": {tags: withIndex[26:]},
		"none":                        {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(s)
			defer server.Close()
			r := open(t, strings.TrimPrefix(server.URL, "http://"))
			sorted := slices.DeleteFunc(slices.Clone(s.tags), func(t string) bool { return strings.HasPrefix(t, "sha256-") })
			slices.Sort(sorted)
			for _, n := range []int{1, 3, 7, 100} {
				var got []string
				for last := ""; ; last = got[len(got)-1] {
					page, err := r.Tags(t.Context(), "repo", last, n)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, page...)
					if len(page) < n {
						break
					}
				}
				if !slices.Equal(got, sorted) {
					t.Errorf("in pages of %d: got %q, want %q", n, got, sorted)
				}
			}
		})
	}
}

// TestTagsAsksForNoMoreThanNeeded, of a registry that keeps to the order.
func TestTagsAsksForNoMoreThanNeeded(t *testing.T) {
	t.Parallel()
	s := &tagServer{}
	for i := range 5000 {
		s.tags = append(s.tags, fmt.Sprintf("d%06d", i))
	}
	server := httptest.NewServer(s)
	defer server.Close()
	got, err := open(t, strings.TrimPrefix(server.URL, "http://")).Tags(t.Context(), "repo", "d000999", 2000)
	if err != nil || len(got) != 2000 || got[0] != "d001000" || s.requests.Load() != 2 {
		t.Errorf("%d tags in %d requests, %v", len(got), s.requests.Load(), err)
	}
}

func TestTagsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	loop := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", `<`+r.URL.Path+`?n=1>; rel="next"`)
		_, _ = w.Write([]byte(`{"tags":["a"]}`))
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   error
	}{
		"a proxy's 404":     {func(w http.ResponseWriter, r *http.Request) { status(404, "text/html", html)(w, r, nil) }, registry.ErrUnavailable},
		"a page":            {func(w http.ResponseWriter, r *http.Request) { status(200, "text/html", html)(w, r, nil) }, registry.ErrUnavailable},
		"not JSON":          {func(w http.ResponseWriter, r *http.Request) { status(200, "application/json", "{")(w, r, nil) }, registry.ErrUnavailable},
		"500":               {func(w http.ResponseWriter, r *http.Request) { refusal(500, "UNKNOWN")(w, r, nil) }, registry.ErrUnavailable},
		"403":               {func(w http.ResponseWriter, r *http.Request) { refusal(403, "DENIED")(w, r, nil) }, registry.ErrRefused},
		"pages in a circle": {loop, registry.ErrUnavailable},
		"a link elsewhere": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", `<http://127.0.0.1:1/v2/repo/tags/list>; rel="next"`)
			_, _ = w.Write([]byte(`{"tags":["a"]}`))
		}, registry.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.answer)
			defer server.Close()
			tags, err := open(t, strings.TrimPrefix(server.URL, "http://")).Tags(t.Context(), "repo", "", 10)
			if !errors.Is(err, c.want) {
				t.Errorf("got %q, %v, want %v", tags, err, c.want)
			}
		})
	}
}
