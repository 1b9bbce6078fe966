package diff_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"gitops-squared.io/gsq/internal/diff"
	"gitops-squared.io/gsq/internal/intent"
)

func parse(t testing.TB, text string) any {
	t.Helper()
	if text == "" {
		return nil
	}
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func TestFields(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ from, to, want string }{
		"the same":           {`{"a":1,"b":{"c":"x"}}`, `{"b":{"c":"x"},"a":1}`, `[]`},
		"nothing":            {``, ``, `[]`},
		"a value":            {`{"size":"small"}`, `{"size":"large"}`, `[["/size","small","large"]]`},
		"a number":           {`{"n":1}`, `{"n":10}`, `[["/n",1,10]]`},
		"false is a value":   {`{"a":false}`, `{}`, `[["/a",false,null]]`},
		"added and removed":  {`{"a":1,"z":2}`, `{"b":3,"z":2}`, `[["/a",1,null],["/b",null,3]]`},
		"sorted by name":     {`{"b":1,"a":1,"c":1}`, `{"c":2,"b":2,"a":2}`, `[["/a",1,2],["/b",1,2],["/c",1,2]]`},
		"deep":               {`{"a":{"b":{"c":1,"d":2}}}`, `{"a":{"b":{"c":1,"d":3}}}`, `[["/a/b/d",2,3]]`},
		"all of it is new":   {``, `{"a":{"b":1},"c":2}`, `[["/a/b",null,1],["/c",null,2]]`},
		"all of it is gone":  {`{"a":{"b":1},"c":2}`, ``, `[["/a/b",1,null],["/c",2,null]]`},
		"another kind":       {`{"a":{"b":1}}`, `{"a":"b"}`, `[["/a",{"b":1},"b"]]`},
		"an object for none": {`{"a":1}`, `{"a":{}}`, `[["/a",1,{}]]`},
		"an empty object":    {`{}`, `{"a":{}}`, `[["/a",null,{}]]`},
		"an empty list":      {`{}`, `{"a":[]}`, `[["/a",null,[]]]`},
		"an item":            {`{"a":[1,2,3]}`, `{"a":[1,4,3]}`, `[["/a/1",2,4]]`},
		"longer":             {`{"a":[1]}`, `{"a":[1,{"b":2}]}`, `[["/a/1/b",null,2]]`},
		"shorter":            {`{"a":[1,2]}`, `{"a":[1]}`, `[["/a/1",2,null]]`},
		"a list for object":  {`{"a":[1]}`, `{"a":{"0":1}}`, `[["/a",[1],{"0":1}]]`},
		"names are escaped":  {`{"a/b":1,"c~d":1}`, `{"a/b":2,"c~d":2}`, `[["/a~1b",1,2],["/c~0d",1,2]]`},
		"an empty name":      {`{"":1}`, `{"":2}`, `[["/",1,2]]`},
		"only a value":       {`1`, `2`, `[["",1,2]]`},
		"null is absent":     {`{"a":null}`, `{}`, `[]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changes, err := diff.Fields(parse(t, c.from), parse(t, c.to))
			if err != nil {
				t.Fatal(err)
			}
			got := [][3]any{}
			for _, change := range changes {
				got = append(got, [3]any{change.Path, change.From, change.To})
			}
			text, err := json.Marshal(got)
			if err != nil {
				t.Fatal(err)
			}
			if string(text) != c.want {
				t.Errorf("got %s, want %s", text, c.want)
			}
		})
	}
	if _, err := diff.Fields(func() {}, nil); err == nil {
		t.Error("a function was compared")
	}
	if _, err := diff.Fields(nil, func() {}); err == nil {
		t.Error("a function was compared")
	}
}

func TestUnified(t *testing.T) {
	t.Parallel()
	side := func(name, data string) diff.Text { return diff.Text{Name: name, Data: []byte(data)} }
	if got := diff.Unified(side("a", "x\n"), side("b", "x\n")); got != "" {
		t.Errorf("the same: %q", got)
	}
	got := diff.Unified(side("web v1", "one\ntwo\nthree\nfour\nfive\n"), side("web v2", "one\ntwo\n3\nfour\nfive\n"))
	want := "--- web v1\n+++ web v2\n@@ -1,5 +1,5 @@\n one\n two\n-three\n+3\n four\n five\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := diff.Unified(side("a", ""), side("b", "x\n")); got != "--- a\n+++ b\n@@ -0,0 +1,1 @@\n+x\n" {
		t.Errorf("created: %q", got)
	}
}

func TestSpecs(t *testing.T) {
	t.Parallel()
	ref := intent.Ref{Namespace: "shop", Name: "web"}
	small, large := &intent.Spec{Type: "vm", Size: "small", Replicas: 1}, &intent.Spec{Type: "vm", Size: "large", Region: "eu", Replicas: 1}
	for name, c := range map[string]struct {
		from, to diff.Side
		paths    string
		text     string
	}{
		"the same in another version": {diff.Side{Version: "v1", Spec: small}, diff.Side{Version: "v2", Spec: small}, "", ""},
		"never there":                 {diff.Side{}, diff.Side{}, "", ""},
		"updated": {diff.Side{Version: "v1", Spec: small}, diff.Side{Version: "v2", Spec: large}, "/spec/region /spec/size",
			"--- shop/web v1\n+++ shop/web v2\n@@ -4,6 +4,7 @@\n   name: web\n   namespace: shop\n spec:\n+  region: eu\n   replicas: 1\n-  size: small\n+  size: large\n   type: vm\n"},
		"deleted": {diff.Side{Spec: small}, diff.Side{}, "/spec/replicas /spec/size /spec/type",
			"--- shop/web\n+++ /dev/null\n@@ -1,9 +0,0 @@\n-apiVersion: gitops-squared.io/v1alpha1\n-kind: PlatformResource\n-metadata:\n-  name: web\n-  namespace: shop\n-spec:\n-  replicas: 1\n-  size: small\n-  type: vm\n"},
	} {
		changes, text, err := diff.Specs(ref, c.from, c.to)
		var paths []string
		for _, change := range changes {
			paths = append(paths, change.Path)
		}
		if err != nil || strings.Join(paths, " ") != c.paths || text != c.text {
			t.Errorf("%s: %q, %q, %v", name, paths, text, err)
		}
	}
}

// What Fields returns, done to one side, gives the other.
func FuzzFields(f *testing.F) {
	f.Add(`{"a":{"b":[1,2,{"c":"d"}]},"e":null}`, `{"a":{"b":[1,3]},"f/g~":{}}`)
	f.Add(`{"type":"vm","size":"small","replicas":1}`, `{"type":"vm","size":"large","region":"eu"}`)
	f.Add(`[]`, `{}`)
	f.Fuzz(func(t *testing.T, from, to string) {
		var a, b any
		if json.Unmarshal([]byte(from), &a) != nil || json.Unmarshal([]byte(to), &b) != nil {
			return
		}
		forward, err := diff.Fields(a, b)
		if err != nil {
			t.Fatal(err)
		}
		back, err := diff.Fields(b, a)
		if err != nil || len(back) != len(forward) {
			t.Fatalf("%d changes there, %d back (%v)", len(forward), len(back), err)
		}
		for i, c := range forward {
			if reflect.DeepEqual(c.From, c.To) || back[i].Path != c.Path || !reflect.DeepEqual(back[i].From, c.To) || !reflect.DeepEqual(back[i].To, c.From) {
				t.Fatalf("%+v there, %+v back", c, back[i])
			}
			if c.Path != "" && !strings.HasPrefix(c.Path, "/") {
				t.Fatalf("%q is not a pointer", c.Path)
			}
		}
		if same, err := diff.Fields(a, a); err != nil || len(same) > 0 {
			t.Fatalf("a value differs from itself: %+v, %v", same, err)
		}
	})
}
