package server

import (
	"encoding/json"
	"strings"
	"testing"

	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// TestKeywordsThatTheAPIWouldNotCheck: a rule of the cluster that requests are
// not checked for must not go unnoticed.
func TestKeywordsThatTheAPIWouldNotCheck(t *testing.T) {
	t.Parallel()
	for schema, known := range map[string]bool{
		`{"type":"string","enum":["a"],"pattern":"x","minLength":1,"maxLength":2,"default":"a","format":"f","description":"d"}`: true,
		`{"type":"array","maxItems":3,"items":{"type":"integer","minimum":1,"maximum":2}}`:                                      true,
		`{"type":"object","required":["a"],"properties":{"a":{"type":"boolean"}}}`:                                              true,
		`{"type":"string","nullable":true}`:                                                               false,
		`{"type":"object","x-kubernetes-preserve-unknown-fields":true}`:                                   false,
		`{"type":"object","x-kubernetes-validations":[{"rule":"self.a > 1"}]}`:                            false,
		`{"type":"object","properties":{"a":{"type":"object","additionalProperties":{"type":"string"}}}}`: false,
		`{"type":"array","items":{"type":"integer","multipleOf":2}}`:                                      false,
		`{"type":"integer","minimum":1,"exclusiveMinimum":true}`:                                          false,
		`{"anyOf":[{"type":"string"}]}`:                                                                   false,
	} {
		var props v1.JSONSchemaProps
		if err := json.Unmarshal([]byte(schema), &props); err != nil {
			t.Fatal(err)
		}
		_, err := schemaOf(&props)
		if (err == nil) != known {
			t.Errorf("%s: error %v, want known %v", schema, err, known)
		}
		if err != nil && !strings.Contains(err.Error(), "not checked") {
			t.Errorf("%s: %v does not say why", schema, err)
		}
	}
}

func TestArraysAreBounded(t *testing.T) {
	t.Parallel()
	one := 1
	r := rule{kind: kindArray, maxItems: &one, items: &rule{kind: kindBoolean}}
	v, _, err := parse([]byte(`[true,false]`))
	if err != nil {
		t.Fatal(err)
	}
	if faults := r.check(v, &pointer{name: "list"}); len(faults) != 1 || faults[0].Pointer != "/list" {
		t.Errorf("faults %v, want one of the array", faults)
	}
}
