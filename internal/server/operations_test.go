package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/server"
)

func TestProbes(t *testing.T) {
	t.Parallel()
	ok := func() error { return nil }
	reachable := func(context.Context) error { return nil }
	for name, c := range map[string]struct {
		ledger stub
		drain  bool
		failed string
	}{
		"all well":         {ledger: stub{ready: ok, ping: reachable}},
		"not loaded":       {ledger: stub{ready: func() error { return errors.New("why not") }, ping: reachable}, failed: "ledger"},
		"registry is down": {ledger: stub{ready: ok, ping: func(context.Context) error { return errors.New("why not") }}, failed: "registry"},
		"stopping":         {ledger: stub{ready: ok, ping: reachable}, drain: true, failed: "server"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, c.ledger)
			if c.drain {
				f.server.Drain()
			}
			f.do("GET", "/livez", "").want(200)
			f.do("GET", "/healthz?verbose", "").want(200)
			r := f.do("GET", "/readyz", "")
			var readiness api.Readiness
			r.decode(&readiness)
			if c.failed == "" {
				r.want(200)
				if readiness.Status != "ok" || r.header.Get("Retry-After") != "" {
					t.Errorf("%+v with Retry-After %q", readiness, r.header.Get("Retry-After"))
				}
			} else {
				r.want(503)
				if readiness.Status != "unavailable" || r.header.Get("Retry-After") == "" {
					t.Errorf("%+v with Retry-After %q", readiness, r.header.Get("Retry-After"))
				}
			}
			for _, check := range readiness.Checks {
				if (check.Name == c.failed) != (check.Status == "failed") || (check.Name == c.failed) != (check.Detail != "") {
					t.Errorf("check %+v, want only %q to fail, with a reason", check, c.failed)
				}
			}
			if len(readiness.Checks) != 3 {
				t.Errorf("checks %+v, want three", readiness.Checks)
			}
		})
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	extra := prometheus.NewGauge(prometheus.GaugeOpts{Name: "gsq_test_extra", Help: "x"})
	f := newFixture(t, func(o *server.Options) { o.Collectors = []prometheus.Collector{extra} })
	f.do("POST", shop, vm).want(201)
	f.do("POST", shop, `{`).want(400)
	f.do("GET", shop+"/web", "").want(200)
	f.do("GET", "/secret-path", "").want(404)
	f.do("BREW", "/secret-path", "").want(404)
	body := f.do("GET", "/metrics", "").want(200).body
	for _, line := range []string{
		`gsq_http_requests_total{code="201",method="POST",route="/api/v1/namespaces/{namespace}/resources"} 1`,
		`gsq_http_requests_total{code="400",method="POST",route="/api/v1/namespaces/{namespace}/resources"} 1`,
		`gsq_http_requests_total{code="200",method="GET",route="/api/v1/namespaces/{namespace}/resources/{name}"} 1`,
		`gsq_http_requests_total{code="404",method="GET",route="none"} 1`,
		`gsq_http_requests_total{code="404",method="other",route="none"} 1`,
		`gsq_http_request_duration_seconds_count{method="POST",route="/api/v1/namespaces/{namespace}/resources"} 2`,
		`gsq_http_requests_in_flight 1`,
		`gsq_ledger_ready 1`,
		`gsq_namespaces{state="active"} 2`,
		`gsq_resources{namespace="shop"} 1`,
		`gsq_catalog_revision{namespace="shop"} 2`,
		`gsq_namespace_refuses_writes{namespace="shop"} 0`,
		`gsq_ledger_superseded 0`,
		`gsq_queue_length{namespace="shop"} 0`,
		`gsq_queue_oldest_age_seconds{namespace="shop"} 0`,
		`gsq_test_extra 0`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if !regexp.MustCompile(`(?m)^gsq_build_info\{go_version="go[^"]+",version="v1\.2\.3"\} 1$`).MatchString(body) {
		t.Error("no build info")
	}
	if strings.Contains(body, "secret") || strings.Contains(body, "BREW") {
		t.Error("callers can make up label values")
	}
	body = serve(t, failing(errors.New("not loaded"))).do("GET", "/metrics", "").want(200).body
	if !strings.Contains(body, "gsq_ledger_ready 0\n") || strings.Contains(body, "gsq_namespaces{") {
		t.Error("a ledger that is not loaded has namespaces")
	}
}

// What the ledger says of itself, when something is wrong with it.
func TestMetricsOfALedgerInTrouble(t *testing.T) {
	t.Parallel()
	f := serve(t, stub{
		ready: func() error { return &ledger.Error{Code: ledger.CodeSuperseded, Message: "x"} },
		namespaces: func() ([]ledger.Namespace, error) {
			return []ledger.Namespace{
				{Name: "shop", State: ledger.Active, Waiting: 7, WaitingSince: time.Now().Add(-time.Hour), Problem: "x"},
				{Name: "calm", State: ledger.Active},
			}, nil
		},
	})
	body := f.do("GET", "/metrics", "").want(200).body
	for _, line := range []string{
		`gsq_ledger_ready 0`, `gsq_ledger_superseded 1`,
		`gsq_namespace_refuses_writes{namespace="shop"} 1`, `gsq_namespace_refuses_writes{namespace="calm"} 0`,
		`gsq_queue_length{namespace="shop"} 7`, `gsq_queue_length{namespace="calm"} 0`,
		`gsq_queue_oldest_age_seconds{namespace="calm"} 0`,
	} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	age := regexp.MustCompile(`gsq_queue_oldest_age_seconds\{namespace="shop"\} (3[67]\d\d)`).FindStringSubmatch(body)
	if age == nil {
		t.Error("the oldest request is not an hour old")
	}
	body = serve(t, failing(&ledger.Error{Code: ledger.CodeNotReady, Message: "x"})).do("GET", "/metrics", "").want(200).body
	if !strings.Contains(body, "gsq_ledger_superseded 0\n") {
		t.Error("a ledger that is not loaded is superseded")
	}
}

func TestRequestLog(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	f := newFixture(t, func(o *server.Options) { o.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
	f.do("POST", shop+"?x=secret-value", strings.Replace(vm, "eu", "secret-region", 1), "X-Request-Id: the-id", "Authorization: Bearer secret-token").want(400)
	f.do("GET", "/healthz", "").want(200)
	f.http.Close()
	var line map[string]any
	if err := json.Unmarshal(log.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, log.String()) // two lines, too: probes are not logged
	}
	for key, want := range map[string]any{
		"msg": "request", "level": "INFO", "method": "POST", "route": "/api/v1/namespaces/{namespace}/resources", "status": 400.0, "id": "the-id",
	} {
		if line[key] != want {
			t.Errorf("%s is %v, want %v", key, line[key], want)
		}
	}
	if line["duration"] == nil || line["bytes"] == nil || line["bytes"] == 0.0 {
		t.Errorf("no duration or size in %s", log.String())
	}
	if strings.Contains(log.String(), "secret") {
		t.Errorf("the log tells secrets: %s", log.String())
	}
}

func TestRegistryIsServedBesideTheAPI(t *testing.T) {
	t.Parallel()
	f := serve(t, stub{}, func(o *server.Options) {
		o.Registry = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Got", r.Method+" "+r.URL.Path+"?"+r.URL.RawQuery+" "+string(body))
			w.WriteHeader(http.StatusAccepted)
		})
	})
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		got := f.do(method, "/v2/a/b/blobs/uploads/?digest=x", "blob", "Content-Type: application/octet-stream", "Accept: */*").want(202).header.Get("Got")
		if want := method + " /v2/a/b/blobs/uploads/?digest=x blob"; got != want {
			t.Errorf("the registry got %q, want %q", got, want)
		}
	}
}

func TestDocumentationPage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.do("GET", "/docs", "").want(200)
	if !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || !strings.Contains(r.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("headers %v", r.header)
	}
	if strings.Contains(r.body, "<script") || regexp.MustCompile(`(src|href)="(https?:)?//`).MatchString(r.body) {
		t.Error("the page has scripts, or needs other hosts")
	}
	if got := f.do("GET", "/docs/style.css", "").want(200).header.Get("Content-Type"); !strings.HasPrefix(got, "text/css") {
		t.Errorf("the style sheet is %s", got)
	}
	for _, op := range described(f) {
		if !strings.Contains(r.body, `id="`+op.id+`"`) || !strings.Contains(r.body, op.path) {
			t.Errorf("%s %s is not on the page", op.method, op.path)
		}
	}
	for _, text := range []string{"one of vm, database, bucket", "between 1 and 10", "confirm"} {
		if !strings.Contains(r.body, text) {
			t.Errorf("%q is not on the page", text)
		}
	}
}

type describedOperation struct {
	id, method, path string
	parameters       []string // of the query and the headers
}

// described lists what /openapi.json describes.
func described(f *fixture) []describedOperation {
	f.t.Helper()
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Parameters  []struct {
				Name string `json:"name"`
				In   string `json:"in"`
			} `json:"parameters"`
		} `json:"paths"`
	}
	if err := json.Unmarshal([]byte(f.do("GET", "/openapi.json", "").want(200).body), &document); err != nil {
		f.t.Fatal(err)
	}
	var all []describedOperation
	for path, methods := range document.Paths {
		for method, op := range methods {
			found := describedOperation{id: op.OperationID, method: strings.ToUpper(method), path: path}
			for _, p := range op.Parameters {
				if p.In != "path" {
					found.parameters = append(found.parameters, p.Name)
				}
			}
			all = append(all, found)
		}
	}
	if len(all) < 15 {
		f.t.Fatalf("only %d operations are described", len(all))
	}
	return all
}

// describedParameters lists those of all operations, each once.
func describedParameters(f *fixture) []string {
	var all []string
	for _, op := range described(f) {
		all = append(all, op.parameters...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.do("GET", "/openapi.json", "").want(200)
	var document map[string]any
	if err := json.Unmarshal([]byte(r.body), &document); err != nil {
		t.Fatal(err)
	}
	if document["openapi"] != "3.1.0" || strings.Contains(r.body, "$schema") || strings.Contains(r.body, "ErrorModel") {
		t.Errorf("openapi %v, or huma's own models are described", document["openapi"])
	}
	at := func(path ...string) any {
		var here any = document
		for _, name := range path {
			m, ok := here.(map[string]any)
			if !ok || m[name] == nil {
				t.Fatalf("nothing at %q", path)
			}
			here = m[name]
		}
		return here
	}
	// The rules of the custom resource definition are the API's.
	crdSpec, err := json.Marshal(schema(t).Spec())
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]any
	if err := json.Unmarshal(crdSpec, &want); err != nil {
		t.Fatal(err)
	}
	spec := at("components", "schemas", "Spec").(map[string]any)
	if spec["additionalProperties"] != false {
		t.Error("unknown fields of a spec are described as allowed")
	}
	for name, rules := range want["properties"].(map[string]any) {
		got := spec["properties"].(map[string]any)[name].(map[string]any)
		for keyword, value := range rules.(map[string]any) {
			if g, w := jsonOf(t, got[keyword]), jsonOf(t, value); g != w {
				t.Errorf("spec.%s: %s is %s, want %s", name, keyword, g, w)
			}
		}
	}
	for _, path := range []string{resources, "/api/v1/namespaces/{namespace}/resources"} {
		if ref := at("paths", path, "post", "requestBody", "content", "application/json", "schema").(map[string]any)["$ref"]; ref != "#/components/schemas/ResourceRequest" {
			t.Errorf("POST %s takes %v", path, ref)
		}
		at("paths", path, "post", "responses", "200", "content", "application/json")
		at("paths", path, "post", "responses", "201", "content", "application/json")
		at("paths", path, "post", "responses", "400", "content", api.ProblemMediaType)
		at("paths", path, "get", "responses", "410", "content", api.ProblemMediaType)
		var parameters []string
		for _, p := range at("paths", path, "get").(map[string]any)["parameters"].([]any) {
			parameters = append(parameters, p.(map[string]any)["name"].(string))
		}
		for _, name := range []string{"type", "region", "namePrefix", "limit", "continue"} {
			if !slices.Contains(parameters, name) {
				t.Errorf("GET %s has no parameter %s", path, name)
			}
		}
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
