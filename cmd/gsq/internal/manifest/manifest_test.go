package manifest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// show writes declarations on one line each, to compare.
func show(all []Declaration) string {
	var b strings.Builder
	for _, d := range all {
		fmt.Fprintf(&b, "%d:%d %s/%s %s %s %q %d\n", d.Source.Document, d.Source.Line,
			d.Namespace, d.Name, d.Spec.Type, d.Spec.Size, d.Spec.Region, d.Spec.Replicas)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func TestParse(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ input, want string }{
		"nothing":        {"", ""},
		"comments only":  {"# to come\n---\n# nothing\n", ""},
		"empty list":     {"[]", ""},
		"api form, YAML": {"name: db\nspec: {type: database, size: small}\n", `1:1 /db database small "" 0`},
		"api form, JSON": {`{"name":"db","spec":{"type":"database","size":"small","region":"eu","replicas":2}}`, `1:1 /db database small "eu" 2`},
		"JSON that YAML cannot read": {
			"{\n\t\"name\": \"db\",\n\t\"spec\": {\"type\": \"vm\", \"size\": \"small\", \"region\": \"a\\/\\ud83d\\ude00\"}\n}",
			`1:1 /db vm small "a/😀" 0`},
		"several JSON values": {
			`{"name":"a","spec":{"type":"vm","size":"small"}}` + "\n" + `{"name":"b","spec":{"type":"vm","size":"small"}}`,
			"1:1 /a vm small \"\" 0\n2:2 /b vm small \"\" 0"},
		"flow mapping of YAML": {"{name: db, spec: {type: vm, size: small}}", `1:1 /db vm small "" 0`},
		"what GET answers": {
			`{"name":"db","namespace":"prod","version":"v1","digest":"sha256:00","repository":"r","createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z","spec":{"type":"vm","size":"small"}}`,
			`1:1 prod/db vm small "" 0`},
		"what list answers": {
			"resources:\n- name: a\n  spec: {type: vm, size: small}\ncount: 1\nrevision: {number: 4}\n", `1:2 /a vm small "" 0`},
		"a list": {"- name: a\n  spec: {type: vm, size: small}\n- name: b\n  namespace: x\n  spec: {type: vm, size: large}\n",
			"1:1 /a vm small \"\" 0\n1:3 x/b vm large \"\" 0"},
		"manifests, an empty document between": {`
apiVersion: gitops-squared.io/v1alpha1
kind: PlatformResource
metadata: {name: a}
spec: {type: vm, size: small}
---
---
apiVersion: gitops-squared.io/v1alpha1
kind: PlatformResource
metadata: {name: b, namespace: prod}
spec: {type: bucket, size: large, replicas: 3}
`, "1:2 /a vm small \"\" 0\n3:8 prod/b bucket large \"\" 3"},
		"what kubectl prints": {`
apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- apiVersion: gitops-squared.io/v1alpha1
  kind: PlatformResource
  metadata:
    annotations:
      gitops-squared.io/version: v1789000000000000
      gitops-squared.io/created-at: "2026-09-10T00:00:00.000000Z"
      kubectl.kubernetes.io/last-applied-configuration: "{}"
    creationTimestamp: "2026-09-10T00:00:00Z"
    generation: 1
    labels:
      app.kubernetes.io/managed-by: gitops-squared
      kustomize.toolkit.fluxcd.io/name: gsq
    managedFields: [{manager: flux}]
    finalizers: []
    name: a
    namespace: prod
    resourceVersion: "17"
    uid: 3f8b
  spec: {type: vm, size: small}
  status: {state: ready}
`, `1:6 prod/a vm small "" 0`},
		"a typed list": {`
apiVersion: gitops-squared.io/v1alpha1
kind: PlatformResourceList
items: []
`, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := Parse("f.yaml", []byte(test.input))
			if err != nil {
				t.Fatal(err)
			}
			if got := show(all); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const object = "apiVersion: gitops-squared.io/v1alpha1\nkind: PlatformResource\n"
	const spec = "spec: {type: vm, size: small}\n"
	tests := map[string]struct{ input, want string }{
		"not text":             {"\xff\xfe", "f.yaml: is not UTF-8 text"},
		"not YAML":             {"name: a\n spec: b: c\n", "f.yaml:2: is neither YAML nor JSON"},
		"broken JSON":          {"{\"name\": \"a\",\n \"spec\": {\"type\": }", "is neither YAML nor JSON"},
		"a scalar":             {"hello", "f.yaml:1: must be a mapping, not the string \"hello\""},
		"unknown field":        {"name: a\nsize: small\n" + spec, "f.yaml:2: size: unknown field; a resource has name, namespace, spec"},
		"unknown spec field":   {"name: a\nspec:\n  type: vm\n  size: small\n  replica: 2\n", "f.yaml:5: spec.replica: unknown field; a spec has type, size, region, replicas"},
		"duplicate key":        {"name: a\nname: b\n" + spec, "f.yaml:2: name: occurs twice (first in line 1)"},
		"duplicate key, JSON":  {"{\"name\":\"a\",\n\"name\":\"b\",\"spec\":{}}", "f.yaml:2: name: occurs twice (first in line 1)"},
		"no name":              {spec, "f.yaml:1: name: is required"},
		"empty name":           {"name: ''\n" + spec, "f.yaml:1: name: must not be empty"},
		"name that is a digit": {"name: 7\n" + spec, "f.yaml:1: name: must be a string, not the number 7"},
		"no spec":              {"name: a\n", "f.yaml:1: spec: is required"},
		"replicas as text":     {"name: a\nspec: {type: vm, size: small, replicas: '2'}", "spec.replicas: must be a whole number, not the string \"2\""},
		"replicas, fraction":   {`{"name":"a","spec":{"type":"vm","size":"small","replicas":2.0}}`, "spec.replicas: must be a whole number, not the number 2.0"},
		"replicas, zero":       {"name: a\nspec: {type: vm, size: small, replicas: 0}", "spec.replicas: must be at least 1; leave it out"},
		"replicas, octal":      {"name: a\nspec: {type: vm, size: small, replicas: 010}", "spec.replicas: must be a plain decimal number"},
		"replicas, huge":       {"name: a\nspec: {type: vm, size: small, replicas: 99999999999}", "spec.replicas: must be a plain decimal number"},
		"alias":                {"name: &n a\nspec: {type: vm, size: small, region: *n}", "spec.region: must be a string, not an alias"},
		"merge key":            {"name: a\nspec: {<<: {type: vm}, size: small}", "spec: has a key that is not a string"},
		"null in a list":       {"- null\n", "f.yaml:1: [0]: must be a resource, not null"},
		"list in a list":       {"- []\n", "f.yaml:1: [0]: must be a resource, not a list"},
		"second document":      {"name: a\n" + spec + "---\nname: b\n", "f.yaml:4 (document 2): spec: is required"},
		"other kind":           {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {}\n", "f.yaml:1: apiVersion: must be gitops-squared.io/v1alpha1"},
		"other version":        {"apiVersion: gitops-squared.io/v1\nkind: PlatformResource\n", "f.yaml:1: apiVersion: must be gitops-squared.io/v1alpha1, not the string \"gitops-squared.io/v1\""},
		"no kind":              {"apiVersion: gitops-squared.io/v1alpha1\n", "f.yaml:1: kind: is required: PlatformResource"},
		"kind without version": {"kind: PlatformResource\nmetadata: {name: a}\n", "apiVersion: is required"},
		"no metadata":          {object + spec, "f.yaml:1: metadata.name: is required"},
		"own label":            {object + "metadata:\n  name: a\n  labels:\n    team: x\n" + spec, "f.yaml:6: metadata.labels: \"team\" is not kept"},
		"other manager":        {object + "metadata:\n  name: a\n  labels: {app.kubernetes.io/managed-by: helm}\n" + spec, "\"app.kubernetes.io/managed-by\" is not kept"},
		"own annotation":       {object + "metadata: {name: a, annotations: {note: x}}\n" + spec, "metadata.annotations: \"note\" is not kept"},
		"finalizer":            {object + "metadata: {name: a, finalizers: [x]}\n" + spec, "metadata.finalizers: is not kept"},
		"generated name":       {object + "metadata: {generateName: a-}\n" + spec, "metadata.generateName: unknown field, or one that is not kept"},
		"unknown in object":    {object + "metadata: {name: a}\ndata: {}\n" + spec, "f.yaml:4: data: unknown field"},
		"a page of a list":     {"resources: []\ncontinue: abc\n", "f.yaml:2: continue: this is one page of a longer list"},
		"a page from kubectl":  {"apiVersion: v1\nkind: List\nmetadata: {continue: abc}\nitems: []\n", "metadata.continue: this is one page"},
		"a list of others":     {"apiVersion: apps/v1\nkind: DeploymentList\nitems: []\n", "must be gitops-squared.io/v1alpha1"},
		"a list in a list, k8s": {"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: List, items: []}\n",
			"f.yaml:4: items[0].apiVersion: must be gitops-squared.io/v1alpha1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := Parse("f.yaml", []byte(test.input))
			var invalid Invalid
			if !errors.As(err, &invalid) {
				t.Fatalf("got %d declarations and error %v, want Invalid", len(all), err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got\n%s\nwant it to contain\n%s", err, test.want)
			}
		})
	}
}

func TestParseReportsEveryFault(t *testing.T) {
	t.Parallel()
	_, err := Parse("f.yaml", []byte("- spec: {type: 1}\n- name: a\n  x: y\n"))
	if got := strings.Count(err.Error(), "\n") + 1; got != 4 {
		t.Errorf("got %d faults, want 4:\n%s", got, err)
	}
	_, err = Parse("f.yaml", []byte(strings.Repeat("- 1\n", 1000)))
	if lines := strings.Split(err.Error(), "\n"); len(lines) != 51 || lines[50] != "and 950 more" {
		t.Errorf("got %d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

func TestAt(t *testing.T) {
	t.Parallel()
	all, err := Parse("f.yaml", []byte(`apiVersion: gitops-squared.io/v1alpha1
kind: PlatformResource
metadata:
  name: a
spec:
  type: vm
  size: small
`))
	if err != nil {
		t.Fatal(err)
	}
	for pointer, line := range map[string]int{
		"": 1, "/name": 4, "/spec": 5, "/spec/type": 6, "/spec/size": 7, "/spec/replicas": 5, "/spec/type/x": 6, "/else": 1,
	} {
		if got := all[0].At(pointer).Line; got != line {
			t.Errorf("%q: line %d, want %d", pointer, got, line)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("name: a\nspec: {type: vm, size: small, replicas: 3}\n---\n- name: b\n"))
	f.Add([]byte(`{"name":"a","spec":{"type":"vm"}}{"resources":[{"name":"\ud83d"}]}`))
	f.Add([]byte("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: gitops-squared.io/v1alpha1, kind: PlatformResource, metadata: {name: a, labels: {x: y}}}\n"))
	f.Add([]byte("a: &x [*x]\n<<: *x\n"))
	f.Add([]byte("kind: [List]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, err := Parse("f.yaml", data)
		if err != nil {
			var invalid Invalid
			if !errors.As(err, &invalid) || len(invalid) == 0 || len(all) > 0 {
				t.Fatalf("%d declarations with error %#v", len(all), err)
			}
			return
		}
		lines := strings.Count(string(data), "\n") + 1
		for _, d := range all {
			if d.Name == "" {
				t.Fatalf("%+v has no name", d)
			}
			if at := d.At("/spec/type"); at.Line < 1 || at.Document < 1 || at.Line > lines+strings.Count(string(data), "\r")+strings.Count(string(data), "\u0085")+strings.Count(string(data), "\u2028")+strings.Count(string(data), "\u2029") {
				t.Fatalf("%+v lies outside the %d lines of the file", d, lines)
			}
		}
	})
}
