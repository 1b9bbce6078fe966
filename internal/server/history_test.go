package server_test

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/ledger"
)

// story writes the history that the tests read: r2 creates web, r3 enlarges it
// and creates db, r4 deletes web, r5 creates it anew as it was in r2.
func story(f *fixture) {
	f.t.Helper()
	f.do("PUT", shop+"/web", `{"spec":{"type":"vm","size":"small"},"reason":"first try"}`, "Gsq-Actor: Ada").want(201)
	f.do("POST", shopApply, `{"resources":[{"name":"web","spec":{"type":"vm","size":"large","region":"eu"}},{"name":"db","spec":{"type":"database","size":"small"}}],"reason":"more"}`, "Gsq-Actor: Zoë").want(200)
	f.do("DELETE", shop+"/web?reason=too+dear", "", "Gsq-Actor: Bob").want(200)
	f.do("POST", shop, `{"name":"web","spec":{"type":"vm","size":"small"}}`).want(201)
}

func (f *fixture) versions(path string) api.VersionList {
	f.t.Helper()
	var list api.VersionList
	f.do("GET", path, "").want(200).decode(&list)
	return list
}

func TestVersions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	story(f)
	list := f.versions(shop + "/web/versions")
	var got []string
	for _, v := range list.Versions {
		got = append(got, fmt.Sprintf("r%d %s %q %q %v %v", v.Revision.Number, v.Operation, v.Actor, v.Reason, v.Deleted, v.Current))
		if v.ActorVerified || v.Version == "" || v.Digest == "" || v.Revision.Digest == "" || v.Time.IsZero() {
			t.Errorf("%+v", v)
		}
	}
	if want := []string{
		`r5 create "" "" false true`, `r4 delete "Bob" "too dear" true false`, `r3 update "Zoë" "more" false false`, `r2 create "Ada" "first try" false false`,
	}; !slices.Equal(got, want) || list.Continue != "" {
		t.Errorf("got %q, continue %q; want %q", got, list.Continue, want)
	}

	// In pages, it is the same.
	var paged []api.VersionEntry
	for path, next := shop+"/web/versions?limit=1", ""; ; {
		page := f.versions(path + next)
		if len(page.Versions) > 1 {
			t.Fatalf("a page has %d entries", len(page.Versions))
		}
		if paged = append(paged, page.Versions...); page.Continue == "" {
			break
		}
		next = "&continue=" + url.QueryEscape(page.Continue)
	}
	if fmt.Sprint(paged) != fmt.Sprint(list.Versions) {
		t.Errorf("paged: %+v, want %+v", paged, list.Versions)
	}

	for i, v := range list.Versions {
		r := f.do("GET", shop+"/web/versions/"+v.Version, "").want(200)
		var stored api.StoredVersion
		r.decode(&stored)
		if stored.Version != v.Version || stored.Digest != v.Digest || stored.Revision != v.Revision || stored.Origin != v.Origin || stored.Deleted != v.Deleted || stored.Operation != v.Operation {
			t.Errorf("%+v, want %+v", stored, v)
		}
		if deleted := stored.Spec == nil && stored.CreatedAt == nil; deleted != (i == 1) {
			t.Errorf("version %d: %s", i, r.body)
		}
		if r.header.Get("ETag") != `"`+v.Digest+`"` || r.header.Get("Cache-Control") != "private, max-age=31536000, immutable" {
			t.Errorf("headers %v", r.header)
		}
		if again := f.do("GET", shop+"/web/versions/"+v.Version, "", `If-None-Match: "`+v.Digest+`"`).want(304); again.body != "" || again.header.Get("Cache-Control") == "" {
			t.Errorf("304 with %q and %v", again.body, again.header)
		}
		f.do("GET", shop+"/web/versions/"+v.Version, "", `If-Match: "other"`).problem(412, api.CodePreconditionFailed)
	}
}

func TestRevisions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	story(f)
	var all []api.Commit
	for path, next := shopSpace+"/revisions?limit=2", ""; ; {
		var page api.CommitList
		f.do("GET", path+next, "").want(200).decode(&page)
		if all = append(all, page.Revisions...); page.Continue == "" {
			break
		}
		next = "&continue=" + url.QueryEscape(page.Continue)
	}
	if len(all) != 5 {
		t.Fatalf("%d revisions", len(all))
	}
	for i, c := range all {
		if c.Number != int64(5-i) || i > 0 && (all[i-1].Parent != c.Digest || !all[i-1].Time.After(c.Time)) {
			t.Errorf("revision %d: %+v", i, c)
		}
		r := f.do("GET", fmt.Sprintf("%s/revisions/r%d", shopSpace, c.Number), "").want(200)
		var one api.Commit
		r.decode(&one)
		if fmt.Sprintf("%+v", one.Changes) == "" || one.Digest != c.Digest || len(one.Changes) != len(c.Changes) || r.header.Get("ETag") != `"`+c.Digest+`"` {
			t.Errorf("%+v, want %+v", one, c)
		}
		f.do("GET", fmt.Sprintf("%s/revisions/r%d", shopSpace, c.Number), "", `If-None-Match: "`+c.Digest+`"`).want(304)
	}
	r3 := all[2]
	if !slices.Equal(r3.Actors, []string{"Zoë"}) || !slices.Equal(r3.Reasons, []string{"more"}) || len(r3.Changes) != 2 || r3.Changes[0].Name != "db" || r3.Changes[0].Before != nil || r3.Changes[1].Before == nil || r3.Checkpoint != nil {
		t.Errorf("r3: %+v", r3)
	}
	if r1 := all[4]; r1.Parent != "" || r1.Changes == nil || len(r1.Changes) != 0 || r1.Actors == nil {
		t.Errorf("r1: %+v", r1)
	}
	var latest api.Commit
	f.do("GET", shopSpace+"/revisions/latest", "").want(200).decode(&latest)
	if latest.Digest != all[0].Digest {
		t.Errorf("latest: %+v", latest)
	}
}

func TestTimeTravel(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	story(f)
	var r3 api.Commit
	f.do("GET", shopSpace+"/revisions/r3", "").want(200).decode(&r3)
	exact := url.QueryEscape(r3.Time.Format(time.RFC3339Nano))
	before := url.QueryEscape(r3.Time.Add(-time.Microsecond).In(time.FixedZone("", 7200)).Format(time.RFC3339Nano))
	for at, want := range map[string]string{"r2": "web", "r3": "db web", "r4": "db", "r5": "db web", exact: "db web", before: "web", "9999-12-31T23:59:59Z": "db web", "r1": ""} {
		l := f.do("GET", shop+"?at="+at, "").list()
		if got := strings.Join(names(l), " "); got != want || l.Count != len(names(l)) {
			t.Errorf("at %s: %q, want %q", at, got, want)
		}
	}
	large := f.do("GET", shop+"/web?at="+exact, "").want(200)
	if r := large.resource(); r.Spec.Size != "large" || r.Revision.Number != 3 || large.header.Get("ETag") != `"`+r.Digest+`"` {
		t.Errorf("web at r3: %s", large.body)
	}
	f.do("GET", shop+"/web?at=r3", "", "If-None-Match: "+large.header.Get("ETag")).want(304)
	if l := f.do("GET", shop+"?at=r3&type=vm&namePrefix=w", "").list(); !slices.Equal(names(l), []string{"web"}) {
		t.Errorf("filtered: %v", names(l))
	}
	page := f.do("GET", shop+"?at=r3&limit=1", "").list()
	if !slices.Equal(names(page), []string{"db"}) || page.Count != 2 || page.Revision.Number != 3 {
		t.Errorf("the first page: %+v", page)
	}
	f.do("DELETE", shop+"/db", "").want(200)
	if next := f.do("GET", shop+"?at=r3&limit=1&continue="+page.Continue, "").list(); !slices.Equal(names(next), []string{"web"}) || next.Revision.Number != 3 {
		t.Errorf("the second page: %+v", next)
	}
	f.do("GET", shop+"?limit=1&continue="+page.Continue, "").problem(400, api.CodeInvalid)
	f.do("GET", shop+"/web?at=r4", "").problem(404, api.CodeNotFound)
	f.do("GET", shop+"?at=r7", "").problem(404, api.CodeNotFound)
	f.do("GET", shop+"?at=1999-12-31T00:00:00Z", "").problem(404, api.CodeNotFound)

	// So do the un-namespaced calls.
	f.do("POST", resources, vm).want(201)
	f.do("POST", resources, bigger).want(201)
	if l := f.do("GET", resources+"?at=r1", "").list(); l.Count != 0 {
		t.Errorf("%+v", l)
	}
	if r := f.do("GET", resources+"/web?at=r2", "").want(200).resource(); r.Spec.Size != "small" {
		t.Errorf("%+v", r)
	}
}

func TestDifferences(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	story(f)
	versions := f.versions(shop + "/web/versions").Versions
	now, gone, large, small := versions[0].Version, versions[1].Version, versions[2].Version, versions[3].Version
	for name, c := range map[string]struct{ query, want string }{
		"two versions":       {"from=" + small + "&to=" + large, "[/spec/region <nil> eu] [/spec/size small large]"},
		"reversed":           {"from=" + large + "&to=" + small, "[/spec/region eu <nil>] [/spec/size large small]"},
		"the same again":     {"from=" + small + "&to=" + now, ""},
		"with itself":        {"from=" + large + "&to=" + large, ""},
		"to a tombstone":     {"from=" + small + "&to=" + gone, "[/spec/replicas 1 <nil>] [/spec/size small <nil>] [/spec/type vm <nil>]"},
		"from one":           {"from=" + gone + "&to=" + small, "[/spec/replicas <nil> 1] [/spec/size <nil> small] [/spec/type <nil> vm]"},
		"with what it is":    {"from=" + large, "[/spec/region eu <nil>] [/spec/size large small]"},
		"of two tombstones":  {"from=" + gone + "&to=" + gone, ""},
		"from one, with now": {"from=" + gone, "[/spec/replicas <nil> 1] [/spec/size <nil> small] [/spec/type <nil> vm]"},
	} {
		var d api.VersionDiff
		f.do("GET", shop+"/web/diff?"+c.query, "").want(200).decode(&d)
		var got []string
		for _, change := range d.Changes {
			got = append(got, fmt.Sprint([]any{change.Path, change.From, change.To}))
		}
		if strings.Join(got, " ") != c.want || (d.Text == "") != (c.want == "") || d.Changes == nil {
			t.Errorf("%s: %q, text %q", name, got, d.Text)
		}
	}
	f.do("DELETE", shop+"/web", "").want(200)
	var d api.VersionDiff
	f.do("GET", shop+"/web/diff?from="+small, "").want(200).decode(&d)
	if !d.To.Deleted || d.To.Version != "" || len(d.Changes) != 3 || !strings.Contains(d.Text, "+++ /dev/null\n") {
		t.Errorf("with what does not exist: %+v", d)
	}

	for query, want := range map[string]string{
		"from=r2&to=r3":                          "+1 ~1 -0: create db, update web",
		"from=r3&to=r2":                          "+0 ~1 -1: delete db, update web",
		"from=r3&to=r4":                          "+0 ~0 -1: delete web",
		"from=r4&to=r3":                          "+1 ~0 -0: create web",
		"from=r2&to=r5":                          "+1 ~0 -0: create db",
		"from=r1":                                "+1 ~0 -0: create db",
		"from=r5&to=r5":                          "+0 ~0 -0: ",
		"from=r6&to=9999-01-01T00:00:00%2B01:00": "+0 ~0 -0: ",
	} {
		var d api.NamespaceDiff
		f.do("GET", shopSpace+"/diff?"+query, "").want(200).decode(&d)
		var parts []string
		for _, r := range d.Resources {
			parts = append(parts, string(r.Operation)+" "+r.Name)
			if (r.From == nil) != (r.Operation == api.Created) || (r.To == nil) != (r.Operation == api.Deleted) || len(r.Changes) == 0 || !strings.Contains(d.Text, "shop/"+r.Name+" v") {
				t.Errorf("%s: %+v in %q", query, r, d.Text)
			}
		}
		if got := fmt.Sprintf("+%d ~%d -%d: %s", d.Created, d.Updated, d.Deleted, strings.Join(parts, ", ")); got != want || d.From.Time.IsZero() || d.To.Time.IsZero() {
			t.Errorf("%s: %q from %+v to %+v, want %q", query, got, d.From, d.To, want)
		}
	}
}

// Whatever is wrong with a request for the past is said, with its place.
func TestBadRequestsForThePast(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	story(f)
	web := f.versions(shop + "/web/versions?limit=1")
	db := f.versions(shop + "/db/versions").Versions[0].Version
	var revisions api.CommitList
	f.do("GET", shopSpace+"/revisions?limit=1", "").want(200).decode(&revisions)
	list := f.do("GET", shop+"?limit=1", "").list()
	for path, place := range map[string]string{
		shop + "/web/versions?limit=0":                                        "?limit",
		shop + "/web/versions?limit=1001":                                     "?limit",
		shop + "/web/versions?limit=ten":                                      "?limit",
		shop + "/web/versions?continue=x":                                     "?continue",
		shop + "/web/versions?continue=":                                      "?continue",
		shop + "/web/versions?continue=" + list.Continue:                      "?continue", // a list's
		shop + "/web/versions?continue=" + revisions.Continue:                 "?continue", // the namespace's
		shop + "/db/versions?continue=" + web.Continue:                        "?continue", // another resource's
		shop + "?limit=1&continue=" + web.Continue:                            "?continue",
		shopSpace + "/revisions?continue=" + web.Continue:                     "?continue",
		"/api/v1/namespaces/default/revisions?continue=" + revisions.Continue: "?continue",
		shop + "/web/versions?at=r1":                                          "?at",
		shop + "/web/versions/12":                                             "?version",
		shop + "/web/versions/v01":                                            "?version",
		shop + "/web/versions/v999999999999999999":                            "?version",
		shopSpace + "/revisions/12":                                           "?revision",
		shopSpace + "/revisions/r0":                                           "?revision",
		shopSpace + "/revisions/r99999999999999999999":                        "?revision",
		shopSpace + "/revisions/r9999999999999999999":                         "?revision",
		shop + "?at=":                               "?at",
		shop + "?at=r0":                             "?at",
		shop + "?at=r-1":                            "?at",
		shop + "?at=yesterday":                      "?at",
		shop + "?at=2026-05-04":                     "?at",
		shop + "?at=2026-05-04T14:00:00+02:00":      "?at", // the + is a blank
		shop + "?at=14:00":                          "?at",
		shop + "/web?at=latest":                     "?at",
		shop + "/web?at=" + strings.Repeat("9", 65): "?at",
		shop + "?at=r1&at=r2":                       "?at",
		shop + "/web/diff":                          "?from",
		shop + "/web/diff?to=" + db:                 "?from",
		shop + "/web/diff?from=r1":                  "?from",
		shop + "/web/diff?from=v1&to=r2":            "?to",
		shopSpace + "/diff":                         "?from",
		shopSpace + "/diff?to=r2":                   "?from",
		shopSpace + "/diff?from=noon":               "?from",
		shopSpace + "/diff?from=r1&to=noon":         "?to",
	} {
		p := f.do("GET", path, "").problem(400, api.CodeInvalid)
		if got := places(p); !slices.Equal(got, []string{place}) || p.Errors[0].Detail == "" {
			t.Errorf("%s: faults at %q: %+v", path, got, p.Errors)
		}
	}
	for _, path := range []string{
		shop + "/none/versions", shop + "/web/versions/v1", shop + "/web/versions/" + db, shop + "/web/diff?from=" + db, shop + "/web/diff?from=" + web.Versions[0].Version + "&to=v1",
		shopSpace + "/revisions/r6", shopSpace + "/diff?from=r6", shopSpace + "/diff?from=r1&to=r9", shopSpace + "/diff?from=1999-01-01T00:00:00Z", shop + "/none?at=r3",
	} {
		f.do("GET", path, "").problem(404, api.CodeNotFound)
	}
	for _, path := range []string{"/revisions", "/revisions/latest", "/revisions/r1", "/diff?from=r1", "/resources?at=r1", "/resources/web/versions", "/resources/web/versions/v1"} {
		f.do("GET", "/api/v1/namespaces/nowhere"+path, "").problem(404, api.CodeNamespaceNotFound)
	}
}

// Who asks and why are checked before anything is done.
func TestActorsAndReasons(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	type write struct{ method, path, body string }
	writes := []write{{"PUT", shop + "/web", `{"spec":{"type":"vm","size":"small"}}`}, {"POST", shop, vm}, {"POST", shopApply, `{"resources":[]}`}, {"DELETE", shop + "/web", ""}, {"POST", resources, vm}, {"DELETE", resources + "/web", ""}}
	for _, w := range writes {
		for name, headers := range map[string][]string{
			"too long": {"Gsq-Actor: " + strings.Repeat("x", 257)}, "not UTF-8": {"Gsq-Actor: \xff"}, "not printable": {"Gsq-Actor: a\u200bb"}, "twice": {"Gsq-Actor: a", "Gsq-Actor: b"},
		} {
			p := f.do(w.method, w.path, w.body, headers...).problem(400, api.CodeInvalid)
			if got := places(p); !slices.Equal(got, []string{"@Gsq-Actor"}) {
				t.Errorf("%s %s, %s: %q", w.method, w.path, name, got)
			}
		}
	}
	long := strings.Repeat("x", 1025)
	two := strings.Repeat("é", 1000) // fewer characters than are allowed, but more bytes
	for path, c := range map[string][2]string{
		"PUT " + shop + "/web":                                 {`{"spec":{"type":"vm","size":"small"},"reason":"` + long + `"}`, "/reason"},
		"POST " + shop:                                         {`{"name":"web","spec":{"type":"vm","size":"small"},"reason":"` + two + `"}`, "/reason"},
		"POST " + shopApply:                                    {`{"resources":[],"reason":"` + long + `"}`, "/reason"},
		"DELETE " + shop + "/web?reason=" + long:               {"", "?reason"},
		"DELETE " + shop + "/w?reason=" + url.QueryEscape(two): {"", "?reason"},
	} {
		method, path, _ := strings.Cut(path, " ")
		p := f.do(method, path, c[0]).problem(400, api.CodeInvalid)
		if got := places(p); !slices.Equal(got, []string{c[1]}) {
			t.Errorf("%s %.60s: %q", method, path, got)
		}
	}
	f.do("GET", shop, "").problem(404, api.CodeNamespaceNotFound) // nothing was written
	f.do("POST", shop, vm, "Gsq-Actor: "+strings.Repeat("é", 128)).want(201)
	f.do("GET", shop, "", "Gsq-Actor: \xff").want(200) // a read has none
	if v := f.versions(shop + "/web/versions").Versions[0]; v.Actor != strings.Repeat("é", 128) || v.ActorVerified {
		t.Errorf("%+v", v)
	}
}

// The errors of the ledger's history are answered with their statuses, and a
// history that begins with empty pages is no missing one.
func TestProblemsOfThePast(t *testing.T) {
	t.Parallel()
	expired := &ledger.Error{Code: ledger.CodeRevisionExpired, Message: "the oldest revision that is kept is 26"}
	entry := ledger.HistoryEntry{Operation: ledger.Created, Verified: true, Actor: "Ada"}
	f := serve(t, stub{
		list: func(string) (ledger.Snapshot, error) {
			return ledger.Snapshot{Revision: ledger.Revision{Number: 30}}, nil
		},
		listAt: func(context.Context, string, int64) (ledger.Snapshot, error) { return ledger.Snapshot{}, expired },
		stubHistory: stubHistory{
			versions: func(_ context.Context, _, name string, from ledger.Place, _ int) (ledger.HistoryPage, error) {
				switch {
				case from.Number == 0:
					return ledger.HistoryPage{Next: ledger.Place{Number: 20, Digest: "sha256:20"}}, nil
				case from.Number == 20 && from.Digest == "sha256:20" && name == "old":
					return ledger.HistoryPage{Entries: []ledger.HistoryEntry{entry}, Next: ledger.Place{Number: 10, Digest: "sha256:10"}}, nil
				}
				return ledger.HistoryPage{}, nil
			},
		},
	})
	for _, path := range []string{shop + "?at=r3", shop + "/web?at=r3", shopSpace + "/diff?from=r3"} {
		if p := f.do("GET", path, "").problem(410, api.CodeRevisionExpired); !strings.Contains(p.Detail, "kept is 26") {
			t.Errorf("%s: %s", path, p.Detail)
		}
	}
	page := f.versions(shop + "/old/versions")
	if len(page.Versions) != 0 || page.Continue == "" {
		t.Fatalf("the first page: %+v", page)
	}
	page = f.versions(shop + "/old/versions?continue=" + page.Continue)
	if len(page.Versions) != 1 || page.Continue == "" || !page.Versions[0].ActorVerified {
		t.Fatalf("the second page: %+v", page)
	}
	if page = f.versions(shop + "/old/versions?continue=" + page.Continue); len(page.Versions) != 0 || page.Continue != "" {
		t.Errorf("the last page: %+v", page)
	}
	page = f.versions(shop + "/none/versions")
	f.do("GET", shop+"/none/versions?continue="+page.Continue, "").problem(404, api.CodeNotFound)
}

// So many requests read the past at once, and no more.
func TestReadersOfThePastAreBounded(t *testing.T) {
	t.Parallel()
	const room = 16
	began, end := make(chan struct{}), make(chan struct{})
	f := serve(t, stub{stubHistory: stubHistory{
		commits: func(ctx context.Context, _ string, _ ledger.Place, _ int) (ledger.CommitPage, error) {
			began <- struct{}{}
			<-end
			return ledger.CommitPage{}, nil
		},
	}})
	done := make(chan int, room)
	for range room {
		go func() { done <- f.do("GET", shopSpace+"/revisions", "").status }()
	}
	for range room {
		<-began
	}
	p := f.do("GET", shopSpace+"/revisions", "").problem(503, api.CodeOverloaded)
	if p.RetryAfter == 0 {
		t.Errorf("%+v", p)
	}
	close(end)
	for range room {
		if status := <-done; status != 200 {
			t.Errorf("status %d", status)
		}
	}
}
