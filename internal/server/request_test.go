package server_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
)

// wantNothing checks that no refused request has changed anything.
func (f *fixture) wantNothing() {
	f.t.Helper()
	if list := f.do("GET", resources, "").list(); list.Count != 0 || list.Revision.Number > 1 {
		f.t.Errorf("there are %d resources at revision %d, want none", list.Count, list.Revision.Number)
	}
	var namespaces api.NamespaceList
	f.do("GET", "/api/v1/namespaces", "").want(200).decode(&namespaces)
	if len(namespaces.Namespaces) > 1 {
		f.t.Errorf("namespaces %v exist, want only the first", namespaces.Namespaces)
	}
}

func TestEveryFaultOfABodyIsListedWithItsPointer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for body, want := range map[string][]string{
		`{}`:                    {"/name", "/spec"},
		`[]`:                    {""},
		`null`:                  {""},
		`{"name":1,"spec":"x"}`: {"/name", "/spec"},
		`{"name":null,"spec":{"type":null,"size":null,"region":null,"replicas":null}}`:                 {"/name", "/spec/type", "/spec/size", "/spec/region", "/spec/replicas"},
		`{"name":"A","spec":{"type":"x","replicas":"2","a/b~c":1},"extra":{}}`:                         {"/name", "/spec/type", "/spec/replicas", "/spec/a~1b~0c", "/spec/size", "/extra"},
		`{"name":"a","spec":{"type":"vm","size":"small","size":"large"},"name":"b"}`:                   {"/spec/size", "/name"},
		`{"name":"a","spec":{"type":"vm","size":"small","replicas":1.5}}`:                              {"/spec/replicas"},
		`{"name":"a","spec":{"type":"vm","size":"small","replicas":1e0}}`:                              {"/spec/replicas"},
		`{"name":"a","spec":{"type":"vm","size":"small","replicas":99999999999999999999}}`:             {"/spec/replicas"},
		`{"name":"a","spec":{"type":"vm","size":"small","replicas":true}}`:                             {"/spec/replicas"},
		`{"NAME":"a","Spec":{"type":"vm","size":"small"}}`:                                             {"/NAME", "/Spec", "/name", "/spec"},
		`{"name":"a","spec":{"type":"vm","size":"small","region":"` + strings.Repeat("r", 254) + `"}}`: {"/spec/region"},
	} {
		p := f.do("POST", shop, body).problem(400, api.CodeInvalid)
		if got := places(p); !slices.Equal(got, want) {
			t.Errorf("%s: faults at %q, want %q", body, got, want)
		}
		for _, fault := range p.Errors {
			if fault.Detail == "" {
				t.Errorf("%s: the fault at %q has no detail", body, fault.Pointer)
			}
		}
	}
	f.wantNothing()
}

func TestBodiesThatAreNotJSON(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, body := range map[string]string{
		"blank":              " \n",
		"truncated":          vm[:len(vm)-1],
		"trailing value":     vm + `{}`,
		"trailing garbage":   vm + `x`,
		"single quotes":      `{'name':'a'}`,
		"comment":            "//\n" + vm,
		"not UTF-8":          strings.Replace(vm, "eu", "\xff", 1),
		"half a surrogate":   strings.Replace(vm, "eu", `\ud800`, 1),
		"byte order mark":    "\ufeff" + vm,
		"leading zero":       strings.Replace(vm, ":2", ":02", 1),
		"nested too deep":    `{"name":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`,
		"too many values":    `{"name":[` + strings.Repeat("0,", 60_000) + `0]}`,
		"unquoted member":    `{name:"a"}`,
		"two values at once": `1 2`,
	} {
		p := f.do("POST", shop, body).problem(400, api.CodeMalformed)
		if len(p.Errors) != 0 {
			t.Errorf("%s: faults %v in a body that cannot be read", name, p.Errors)
		}
	}
	f.do("POST", shop, "").problem(400, api.CodeMalformed)
	f.wantNothing()
}

func TestUnicodeIsKept(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.do("POST", resources, `{"name":"a","spec":{"type":"vm","size":"small","region":"\ud83d\ude00 ü\u00e9\\u00e9"}}`).want(201).resource()
	if want := "😀 üé\\u00e9"; r.Spec.Region != want {
		t.Errorf("region %q, want %q", r.Spec.Region, want)
	}
}

func TestBodySize(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	pad := func(n int) string { return vm + strings.Repeat(" ", n-len(vm)) }
	f.do("POST", shop, pad(api.MaxBodyBytes+1)).problem(413, api.CodeBodyTooLarge)
	f.do("POST", shop, pad(8<<20)).problem(413, api.CodeBodyTooLarge)
	f.wantNothing()
	f.do("POST", shop, pad(api.MaxBodyBytes)).want(201)
}

func TestContentType(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, refused := range []string{
		"application/x-www-form-urlencoded", "text/plain", "application/yaml", "application/json; charset=latin1", "application/merge-patch+json", "json", ";",
	} {
		p := f.do("POST", shop, vm, "Content-Type: "+refused).problem(415, api.CodeUnsupportedMediaType)
		if !strings.Contains(p.Detail, "application/json") {
			t.Errorf("%s: %q does not say what to send", refused, p.Detail)
		}
	}
	f.do("POST", shop, vm, "Content-Encoding: gzip").problem(415, api.CodeUnsupportedMediaType)
	f.wantNothing()
	for i, accepted := range []string{"application/json", "application/json; charset=utf-8", "APPLICATION/JSON;charset=UTF-8", ""} {
		f.do("POST", shop, strings.Replace(vm, "web", fmt.Sprint("web", i), 1), "Content-Type: "+accepted).want(201)
	}
}

func TestQueryParameters(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for path, want := range map[string][]string{
		"POST " + shop + "?dryRun=true":                                    {"?dryRun"},
		"POST " + shopApply + "?dryrun=true":                               {"?dryrun"},
		"POST " + shopApply + "?dryRun=1":                                  {"?dryRun"},
		"POST " + shopApply + "?dryRun=TRUE":                               {"?dryRun"},
		"POST " + shopApply + "?dryRun":                                    {"?dryRun"},
		"POST " + shopApply + "?dryRun=":                                   {"?dryRun"},
		"POST " + shopApply + "?dryRun=true&dryRun=true":                   {"?dryRun"},
		"POST " + shopApply + "?prune=yes&confirm=no&x=y":                  {"?confirm", "?prune", "?x"},
		"PUT " + shop + "/web?force=true":                                  {"?force"},
		"DELETE " + shop + "/web?confirm=true":                             {"?confirm"},
		"GET " + shop + "/web?version=1":                                   {"?version"},
		"GET " + resources + "?Type=vm":                                    {"?Type"},
		"GET " + resources + "?type=car":                                   {"?type"},
		"GET " + resources + "?type=&region=&namePrefix=":                  {"?namePrefix", "?region", "?type"},
		"GET " + resources + "?limit=0":                                    {"?limit"},
		"GET " + resources + "?limit=1001":                                 {"?limit"},
		"GET " + resources + "?limit=-1":                                   {"?limit"},
		"GET " + resources + "?limit=+1":                                   {"?limit"},
		"GET " + resources + "?limit=1.0":                                  {"?limit"},
		"GET " + resources + "?limit=ten":                                  {"?limit"},
		"GET " + resources + "?limit=99999999999999999999":                 {"?limit"},
		"GET " + resources + "?limit=1&limit=2":                            {"?limit"},
		"GET " + resources + "?continue=":                                  {"?continue"},
		"GET " + resources + "?x=%zz":                                      {"??"},
		"GET " + resources + "?a;b":                                        {"??"},
		"GET /api/v1/namespaces?limit=1":                                   {"?limit"},
		"GET /api/v1/namespaces/Shop/resources":                            {"?namespace"},
		"GET " + shop + "/UPPER":                                           {"?name"},
		"DELETE " + shop + "/my_db":                                        {"?name"},
		"PUT /api/v1/namespaces/a.b/resources/a.b":                         {"?name", "?namespace"},
		"GET " + shop + "/a%2Fb":                                           {"?name"},
		"GET /api/v1/namespaces/" + strings.Repeat("n", 64) + "/resources": {"?namespace"},
	} {
		method, target, _ := strings.Cut(path, " ")
		body := ""
		if method == "POST" || method == "PUT" {
			body = `{"resources":[]}`
			if !strings.Contains(target, "apply") {
				body = `{"spec":{"type":"vm","size":"small"}}`
			}
			if strings.HasPrefix(target, shop+"?") {
				body = vm
			}
		}
		p := f.do(method, target, body).problem(400, api.CodeInvalid)
		if got := places(p); !slices.Equal(got, want) {
			t.Errorf("%s: faults at %q, want %q", path, got, want)
		}
	}
	f.wantNothing()
}

// A write says that nothing changed; of a read that goes without saying.
func TestWhatFaultsSayChanged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", shop, vm).want(201)
	for request, want := range map[string]string{
		"GET " + shop + "?limit=0":           "The request has a fault.",
		"GET " + shop + "?limit=0&at=":       "The request has 2 faults.",
		"GET " + shop + "/a?at=":             "The request has a fault.",
		"GET " + shop + "?at=yesterday":      "The request has a fault.",
		"GET " + shopEvents + "?after=98":    "The request has a fault.",
		"DELETE " + shop + "/a?dryRun=x":     "The request has a fault; nothing changed.",
		"DELETE " + shop + "/my_db?dryRun=x": "The request has 2 faults; nothing changed.",
	} {
		method, target, _ := strings.Cut(request, " ")
		if got := f.do(method, target, "").problem(400, api.CodeInvalid).Detail; got != want {
			t.Errorf("%s: %q, want %q", request, got, want)
		}
	}
}

// Bounds are written as people write them.
func TestBoundsHaveNoExponents(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", shop, vm).want(201)
	p := f.do("PUT", "/api/v1/namespaces/shop/retention", `{"revisions":1000001}`).problem(400, api.CodeInvalid)
	if want := "must be between 0 and 1000000, not 1000001"; len(p.Errors) != 1 || p.Errors[0].Detail != want {
		t.Errorf("faults %v, want %q", p.Errors, want)
	}
}

func TestFaultsOfQueryHeadersAndBodyComeAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := f.do("POST", "/api/v1/namespaces/Shop/resources?x=1", `{"name":"A","spec":{}}`, "If-Match: abc", `If-None-Match: "x"`).problem(400, api.CodeInvalid)
	if got, want := places(p), []string{"?namespace", "?x", "@If-Match", "@If-None-Match", "/name", "/spec/type", "/spec/size"}; !slices.Equal(got, want) {
		t.Errorf("faults at %q, want %q", got, want)
	}
	p = f.do("POST", shop+"?x=1", `{`).problem(400, api.CodeMalformed)
	if got, want := places(p), []string{"?x"}; !slices.Equal(got, want) {
		t.Errorf("faults at %q, want %q", got, want)
	}
	f.wantNothing()
}

// TestHostileBodiesGiveBoundedAnswers sends what would make an answer far
// larger than the request.
func TestHostileBodiesGiveBoundedAnswers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	long := strings.Repeat("k", 100_000)
	var unknown strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&unknown, `"%d":0,`, i)
	}
	for name, body := range map[string]string{
		"many unknown fields":       `{` + unknown.String() + `"x":0}`,
		"a long name":               `{"` + long + `":0,"` + long + `":0}`,
		"repeats below a long name": `{"` + long + `":{` + strings.Repeat(`"a":0,`, 2000) + `"a":0}}`,
		"a long value":              `{"name":"` + long + `","spec":{"type":"` + long + `","size":"small"}}`,
	} {
		r := f.do("POST", shop, body)
		r.problem(400, api.CodeInvalid)
		if len(r.body) > api.MaxBodyBytes {
			t.Errorf("%s: %d bytes are answered with %d", name, len(body), len(r.body))
		}
	}
}

func TestUnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, path := range []string{"/", "/api", "/api/v1", "/api/v2/resources", resources + "/a/b", "/api/v1/namespaces/shop", "/v2/", "/v2/a/manifests/latest", "/docs/x", "/openapi.yaml"} {
		f.do("GET", path, "").problem(404, api.CodeRouteNotFound)
	}
	for path, allowed := range map[string]string{
		resources:            "GET, HEAD, POST",
		resources + "/a":     "DELETE, GET, HEAD, PUT",
		shopApply:            "POST",
		"/healthz":           "GET, HEAD",
		"/metrics":           "GET, HEAD",
		"/api/v1/namespaces": "GET, HEAD",
	} {
		r := f.do("PATCH", path, vm)
		r.problem(405, api.CodeMethodNotAllowed)
		if got := r.header.Get("Allow"); got != allowed {
			t.Errorf("%s: Allow is %q, want %q", path, got, allowed)
		}
	}
	if r := f.do("HEAD", resources, ""); r.status != 200 || r.body != "" {
		t.Errorf("HEAD answers %d with %d bytes, want 200 without a body", r.status, len(r.body))
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if got := f.do("GET", "/healthz", "", "X-Request-Id: trace-1.2_3").header.Get("X-Request-Id"); got != "trace-1.2_3" {
		t.Errorf("the id trace-1.2_3 became %q", got)
	}
	seen := map[string]bool{}
	for _, hostile := range []string{"", "a b", `"><script>`, strings.Repeat("x", 65), "ü"} {
		got := f.do("GET", "/healthz", "", "X-Request-Id: "+hostile).header.Get("X-Request-Id")
		if got == hostile || got == "" || seen[got] {
			t.Errorf("the id %q became %q, want one of the server's own", hostile, got)
		}
		seen[got] = true
	}
}

func TestEveryAnswerIsJSONWhateverIsAccepted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, accept := range []string{"", "text/html", "application/xml", "application/problem+json", "image/*;q=0"} {
		if got := f.do("GET", resources, "", "Accept: "+accept).want(200).header.Get("Content-Type"); got != "application/json" {
			t.Errorf("Accept %q is answered with %q", accept, got)
		}
		f.do("GET", resources+"/none", "", "Accept: "+accept).problem(404, api.CodeNotFound)
	}
}

func TestSlowBody(t *testing.T) {
	t.Parallel()
	l := newFixture(t)
	slow := httptest.NewUnstartedServer(l.server)
	slow.Config.ReadTimeout = 200 * time.Millisecond
	slow.Start()
	defer slow.Close()
	body, writer := io.Pipe()
	defer writer.Close()
	go func() { _, _ = writer.Write([]byte(`{"name":`)) }() // the rest never comes
	r, err := http.NewRequest("POST", slow.URL+shop, body)
	if err != nil {
		t.Fatal(err)
	}
	send(t, slow.Client(), r).problem(408, api.CodeRequestTimeout)
	l.wantNothing()
}

func TestServerHasTimeouts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	h := f.http.Config
	if h.ReadHeaderTimeout <= 0 || h.ReadTimeout <= 0 || h.WriteTimeout <= 0 || h.IdleTimeout <= 0 || h.MaxHeaderBytes <= 0 {
		t.Errorf("a connection is without bounds: %+v", h)
	}
	r := f.do("GET", "/healthz", "", "X-Big: "+strings.Repeat("x", 80<<10))
	if r.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("80 KiB of headers are answered with %d", r.status)
	}
}
