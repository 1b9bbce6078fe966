package main

import (
	"bytes"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/cmd/gsq/internal/manifest"
)

func TestAge(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 119 * time.Second: "119s", 2 * time.Minute: "2m", 179 * time.Minute: "179m",
		3 * time.Hour: "3h", 47 * time.Hour: "47h", 48 * time.Hour: "2d", 10000 * time.Hour: "416d",
	} {
		if got := age(d); got != want {
			t.Errorf("%s: got %s, want %s", d, got, want)
		}
	}
}

func TestTableQuotesWhatIsNotPrintable(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := writeTable(&b, []string{"NAME", "REGION"}, [][]string{{"a", "\x1b[31mred"}, {"b", "x\ty\n"}, {"c", "größe"}, {"d", ""}}); err != nil {
		t.Fatal(err)
	}
	want := "NAME   REGION\na      \"\\x1b[31mred\"\nb      \"x\\ty\\n\"\nc      größe\nd\n"
	if b.String() != want {
		t.Errorf("got\n%q\nwant\n%q", b.String(), want)
	}
}

// Rows whose last cells are empty are aligned with the others.
func TestTableWithoutLastCells(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	rows := [][]string{{"r1", "a long name", "why"}, {"r2", "b", ""}, {"r3", "", ""}, {"r4", "c", "so"}}
	if err := writeTable(&b, []string{"REVISION", "ACTOR", "REASON"}, rows); err != nil {
		t.Fatal(err)
	}
	want := "REVISION   ACTOR         REASON\nr1         a long name   why\nr2         b\nr3\nr4         c             so\n"
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestDiffer(t *testing.T) {
	t.Parallel()
	answer := &api.ApplyResponse{Namespace: "prod", Changes: []api.Change{
		{Name: "a", Operation: api.Created, After: &api.Spec{Type: "vm", Size: "small", Replicas: 1}},
		{Name: "b", Operation: api.Deleted, Before: &api.Spec{Type: "vm", Size: "small", Region: "\x1b", Replicas: 1}},
		{Name: "c", Operation: api.Unchanged, Before: &api.Spec{Type: "vm"}, After: &api.Spec{Type: "vm"}},
		{Name: "d", Operation: api.Updated,
			Before: &api.Spec{Type: "vm", Size: "small", Region: "eu", Replicas: 1},
			After:  &api.Spec{Type: "vm", Size: "large", Replicas: 2}},
	}}
	var plain bytes.Buffer
	d := differ{p: process{Out: &plain}, output: "text"}
	d.namespace(answer)
	want := `+ prod/a would be created
+   replicas: 1
+   size: small
+   type: vm
- prod/b would be deleted
-   region: "\x1b"
-   replicas: 1
-   size: small
-   type: vm
~ prod/d would be updated
-   region: eu
-   replicas: 1
+   replicas: 2
-   size: small
+   size: large
`
	if plain.String() != want || d.differences != 3 || d.err != nil {
		t.Errorf("%d differences, error %v:\n%s", d.differences, d.err, plain.String())
	}

	var coloured bytes.Buffer
	d = differ{p: process{Out: &coloured}, output: "text", colours: true}
	d.namespace(&api.ApplyResponse{Namespace: "n", Changes: []api.Change{{Name: "a", Operation: api.Created, After: &api.Spec{Type: "vm"}}}})
	if got := coloured.String(); got != "\x1b[32m+ n/a would be created\x1b[0m\n\x1b[32m+   size: \x1b[0m\n\x1b[32m+   type: vm\x1b[0m\n" {
		t.Errorf("got %q", got)
	}

	var unified bytes.Buffer
	d = differ{p: process{Out: &unified}, output: "unified", colours: true}
	d.text("--- a\n+++ b\n@@ -1,1 +1,1 @@\n-x\n+y\n z\n")
	if got := unified.String(); got != "--- a\n+++ b\n\x1b[36m@@ -1,1 +1,1 @@\x1b[0m\n\x1b[31m-x\x1b[0m\n\x1b[32m+y\x1b[0m\n z\n" {
		t.Errorf("got %q", got)
	}
}

func TestNoColoursIntoPipes(t *testing.T) {
	t.Parallel()
	if (process{Out: &bytes.Buffer{}}).colourful() {
		t.Error("colours without a terminal")
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	declarations, err := manifest.Parse("dir/f.yaml", []byte("- name: a\n  spec: {type: vm, size: small}\n- name: b\n  spec:\n    type: vm\n    size: huge\n"))
	if err != nil {
		t.Fatal(err)
	}
	problem := &api.Problem{Detail: "Two faults.", Code: api.CodeInvalid, Errors: []api.Fault{
		{Pointer: "/resources/1/spec/size", Detail: "is bad"},
		{Pointer: "/deletes/0", Detail: "is gone"},
		{Pointer: "/resources/7/spec", Detail: "is nowhere"},
		{Pointer: "/reason", Detail: "is long"},
		{Parameter: "namespace", Detail: "is no label"},
	}}
	got := locate(problem, declarations).Error()
	want := `Two faults.
  dir/f.yaml:6: b /spec/size: is bad
  dir/f.yaml:1: a: is gone
  /resources/7/spec: is nowhere
  /reason: is long
  parameter namespace: is no label`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
