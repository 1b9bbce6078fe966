package server

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/deploy/crd"
	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
)

// rulesOf compiles the rule of a body, as New does.
func rulesOf[T any](tb testing.TB) *rule {
	tb.Helper()
	schema, err := intent.NewSchema(crd.PlatformResource)
	if err != nil {
		tb.Fatal(err)
	}
	spec, err := schemaOf(schema.Spec())
	if err != nil {
		tb.Fatal(err)
	}
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	registry.Schema(reflect.TypeFor[api.Spec](), true, "Spec")
	*registry.Map()["Spec"] = *spec
	return compile(registry, registry.Schema(reflect.TypeFor[T](), true, ""))
}

// FuzzBody holds the checker to encoding/json and to the ledger's own schema:
// what it admits decodes without loss, and is valid.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{
		`{"resources":[{"name":"a","spec":{"type":"vm","size":"small","region":"eu","replicas":2},"ifMatch":"*"}],"deletes":["b"],"reason":"why"}`,
		`{"resources":[{"name":"a","spec":{"type":"bucket","size":"large","replicas":10}},{"name":"a"}]}`,
		`{"resources":[],"resources":[]}`, `{"resources":[{"name":"\ud83d\ude00","spec":null}]}`, `{"a":{"b":[[[0.5e-3]]]}}`,
		`{"resources":[{"name":"x","spec":{"type":"vm","size":"small","replicas":1e0}}]}`, "", "null", `"\ud800"`, "\xff", `{"\u0061":1,"a":2}`,
	} {
		f.Add([]byte(seed))
	}
	rule := rulesOf[api.ApplyRequest](f)
	schema, err := intent.NewSchema(crd.PlatformResource)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		body, faults, err := parse(data)
		if err != nil {
			return
		}
		if !json.Valid(data) || !utf8.Valid(data) {
			t.Fatalf("%q is taken for JSON", data)
		}
		faults = append(faults, rule.check(body, nil)...)
		faults = append(faults, applyFaults(nil, body)...)
		for _, fault := range faults {
			if fault.Detail == "" || fault.Pointer != "" && !strings.HasPrefix(fault.Pointer, "/") {
				t.Fatalf("fault %+v of %q", fault, data)
			}
		}
		if len(faults) > 0 {
			return
		}
		var request api.ApplyRequest
		if err := json.Unmarshal(data, &request); err != nil {
			t.Fatalf("%q is admitted, but: %v", data, err)
		}
		for _, r := range request.Resources {
			if _, err := schema.Complete(intent.Ref{Namespace: "n", Name: r.Name}, specOf(r.Spec)); err != nil {
				t.Fatalf("%q is admitted, but: %v", data, err)
			}
		}
	})
}

func FuzzToken(f *testing.F) {
	f.Add(token{Format: tokenFormat, Namespace: "shop", Filters: filters{kind: "vm"}.fingerprint(), Revision: 7, Digest: "sha256:0", After: "web", Started: 1795263788}.String())
	f.Add(token{Format: 2}.String())
	f.Add("")
	f.Add("e30")
	f.Fuzz(func(t *testing.T, s string) {
		parsed, err := parseToken(s)
		if err == nil && (parsed.String() != s || parsed.Format != tokenFormat || len(s) > maxTokenBytes) {
			t.Fatalf("%q is read as %+v", s, parsed)
		}
	})
}

func FuzzConditions(f *testing.F) {
	for _, seed := range []string{"*", `"a"`, `W/"a"`, `"a", W/"b" ,"c"`, `"a" "b"`, `"`, ",", `w/"a"`, "\"\x00\"", `"a",*`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		c, err := parseConditions(header)
		if err != nil {
			if !c.empty() {
				t.Fatalf("%q fails with %+v", header, c)
			}
			return
		}
		for _, tag := range c.tags {
			if strings.ContainsAny(tag.value, "\" \n") {
				t.Fatalf("%q has the tag %q", header, tag.value)
			}
			if tag.weak && c.matchStrong(tag.value) && !hasStrong(c, tag.value) {
				t.Fatalf("%q: the weak tag %q matches strongly", header, tag.value)
			}
			if !c.matchWeak(tag.value) {
				t.Fatalf("%q does not match its tag %q", header, tag.value)
			}
		}
	})
}

func hasStrong(c conditions, value string) bool {
	for _, t := range c.tags {
		if t.value == value && !t.weak {
			return true
		}
	}
	return false
}

func FuzzHistoryToken(f *testing.F) {
	f.Add(seal(historyToken{Format: historyTokenFormat, Namespace: "shop", Name: "web", Revision: 7, Digest: "sha256:0", Shown: true}))
	f.Add(seal(historyToken{Format: historyTokenFormat, Namespace: "shop", Name: "web"}))
	f.Add(token{Format: tokenFormat, Namespace: "shop"}.String())
	f.Add("e30")
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" {
			return // no token
		}
		parsed, err := historyPlace("shop", "web", s)
		if err == nil && (seal(parsed) != s || parsed.Namespace != "shop" || parsed.Name != "web" || parsed.place().Number < 1) {
			t.Fatalf("%q is read as %+v", s, parsed)
		}
	})
}

func FuzzMoment(f *testing.F) {
	for _, seed := range []string{"r1", "r0", "r9223372036854775807", "2026-05-04T14:00:00Z", "2026-05-04T14:00:00.000000001+23:59", "0000-01-01T00:00:00Z", "latest", "14:00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := parseMoment(s)
		if err != nil {
			return
		}
		if m.number < 0 || m.number > 0 && !m.time.IsZero() {
			t.Fatalf("%q is read as %+v", s, m)
		}
		if m.number > 0 && s != artifact.RevisionTag(m.number) {
			t.Fatalf("%q is read as revision %d", s, m.number)
		}
	})
}
