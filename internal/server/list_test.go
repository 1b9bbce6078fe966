package server_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/server"
)

// fill declares resources r000, r001… in the namespace shop.
func (f *fixture) fill(n int) {
	f.t.Helper()
	var list []string
	for i := range n {
		kind := []string{"vm", "database", "bucket"}[i%3]
		region := []string{"eu", "us"}[i%2]
		list = append(list, fmt.Sprintf(`{"name":"r%03d","spec":{"type":%q,"size":"small","region":%q}}`, i, kind, region))
	}
	f.do("POST", shopApply, `{"resources":[`+strings.Join(list, ",")+`]}`).want(200)
}

func names(l api.ResourceList) []string {
	var out []string
	for _, r := range l.Resources {
		out = append(out, r.Name)
	}
	return out
}

func TestListWithoutLimitIsWhole(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fill(1000)
	l := f.do("GET", shop, "").list()
	if l.Count != 1000 || len(l.Resources) != 1000 || l.Continue != "" || l.Revision.Number != 2 {
		t.Errorf("count %d, %d resources, continue %q, revision %d", l.Count, len(l.Resources), l.Continue, l.Revision.Number)
	}
	if !slices.IsSorted(names(l)) {
		t.Error("the list is not sorted by name")
	}
	one := l.Resources[0]
	got := f.do("GET", shop+"/"+one.Name, "").want(200).resource()
	got.Revision = nil
	if got != one || one.Version == "" || one.Digest == "" || one.Repository == "" || one.CreatedAt.IsZero() || one.UpdatedAt.IsZero() {
		t.Errorf("listed as %+v, read as %+v", one, got)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fill(30)
	for query, want := range map[string]int{
		"type=vm": 10, "region=eu": 15, "type=vm&region=eu": 5, "namePrefix=r00": 10, "namePrefix=r00&type=database": 3,
		"namePrefix=x": 0, "region=mars": 0, "type=vm&limit=3": 10,
	} {
		l := f.do("GET", shop+"?"+query, "").list()
		if l.Count != want || len(l.Resources) > want {
			t.Errorf("%s: count %d with %d resources, want %d", query, l.Count, len(l.Resources), want)
		}
		for _, r := range l.Resources {
			if strings.Contains(query, "type=vm") && r.Spec.Type != "vm" || strings.Contains(query, "region=eu") && r.Spec.Region != "eu" {
				t.Errorf("%s: lists %+v", query, r)
			}
		}
	}
}

func TestPagesShowTheRevisionTheyBeganWith(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fill(10)
	whole := f.do("GET", shop, "").list()
	page := f.do("GET", shop+"?limit=4", "").list()
	got := names(page)
	for n := 1; page.Continue != ""; n++ {
		if page.Count != 10 || page.Revision != whole.Revision || len(page.Resources) != 4 {
			t.Fatalf("page %d: count %d, revision %v, %d resources", n, page.Count, page.Revision, len(page.Resources))
		}
		// What happens meanwhile is not seen.
		f.do("POST", shop, fmt.Sprintf(`{"name":"r%03da","spec":{"type":"vm","size":"small"}}`, n)).want(201)
		f.do("DELETE", shop+fmt.Sprintf("/r%03d", 10-n), "").want(200)
		page = f.do("GET", shop+"?limit=4&continue="+url.QueryEscape(page.Continue), "").list()
		got = append(got, names(page)...)
	}
	if !slices.Equal(got, names(whole)) {
		t.Errorf("pages list %v, want %v", got, names(whole))
	}
	if page.Revision != whole.Revision || page.Count != 10 || len(page.Resources) != 2 {
		t.Errorf("the last page has count %d, revision %v and %d resources", page.Count, page.Revision, len(page.Resources))
	}
	first := f.do("GET", shop+"?limit=10", "").list()
	if first.Continue != "" || first.Count != 10 {
		t.Errorf("a page that is the whole list has continue %q and count %d", first.Continue, first.Count)
	}
}

func TestContinueWithoutLimitAnswersTheRest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fill(10)
	page := f.do("GET", shop+"?limit=3", "").list()
	if l := f.do("GET", shop+"?continue="+page.Continue, "").list(); len(l.Resources) != 7 || l.Continue != "" {
		t.Errorf("%d resources and continue %q, want the other seven", len(l.Resources), l.Continue)
	}
}

func TestContinueOfAnotherList(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fill(10)
	f.do("POST", resources, vm).want(201)
	token := f.do("GET", shop+"?limit=2&type=vm", "").list().Continue
	if token == "" {
		t.Fatal("no continue on the first page")
	}
	broken := []byte(token)
	broken[len(broken)/2] ^= 1
	for _, path := range []string{
		shop + "?limit=2&continue=" + token,
		shop + "?limit=2&type=bucket&continue=" + token,
		shop + "?limit=2&type=vm&region=eu&continue=" + token,
		shop + "?limit=2&type=vm&namePrefix=r&continue=" + token,
		resources + "?limit=2&type=vm&continue=" + token,
		shop + "?type=vm&continue=" + token[1:],
		shop + "?type=vm&continue=" + token + "A",
		shop + "?type=vm&continue=x",
		shop + "?type=vm&continue=" + url.QueryEscape(string(broken)),
		shop + "?type=vm&continue=" + strings.Repeat("A", 2000),
	} {
		p := f.do("GET", path, "").problem(400, api.CodeInvalid)
		if got := places(p); !slices.Equal(got, []string{"?continue"}) {
			t.Errorf("%s: faults at %q, want ?continue", path, got)
		}
	}
}

func TestContinueExpires(t *testing.T) {
	t.Parallel()
	var offset atomic.Int64
	f := newFixture(t, func(o *server.Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(offset.Load())) }
	})
	f.fill(10)
	token := f.do("GET", shop+"?limit=2", "").list().Continue
	offset.Store(int64(59 * time.Minute))
	next := f.do("GET", shop+"?limit=2&continue="+token, "").list().Continue
	offset.Store(int64(61 * time.Minute))
	// The hour counts from the first page.
	f.do("GET", shop+"?limit=2&continue="+token, "").problem(410, api.CodeRevisionExpired)
	f.do("GET", shop+"?limit=2&continue="+next, "").problem(410, api.CodeRevisionExpired)
}
