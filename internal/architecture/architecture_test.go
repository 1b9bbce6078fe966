// Package architecture holds the dependency rules of docs/architecture.md, as
// tests: which part may import which, and where a library may be used.
package architecture

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"gitops-squared.io/gsq/internal/toolbox"
)

func TestImportsFollowTheArrows(t *testing.T) {
	t.Parallel()
	root, err := toolbox.Root()
	if err != nil {
		t.Fatal(err)
	}
	g, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	// The graph is the real one: these are in it, with what they import.
	if !slices.Contains(g[module+"internal/ledger"], module+"internal/intent") || g["net/http"] == nil {
		t.Fatalf("go list answered a graph of %d packages without what must be in it", len(g))
	}
	for _, violation := range violations(g) {
		t.Error(violation)
	}
}

func TestPurePackagesHaveNoClock(t *testing.T) {
	t.Parallel()
	root, err := toolbox.Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"internal/artifact", "internal/catalog", "internal/intent"} {
		uses, err := clockUses(os.DirFS(filepath.Join(root, dir)))
		if err != nil {
			t.Fatal(err)
		}
		for _, use := range uses {
			t.Errorf("%s/%s: the time comes from the caller", dir, use)
		}
	}
}

// The checker itself: it finds what is wrong in graphs made up for it, names
// the chain, and finds nothing in a graph that is right.
func TestViolationsAreFound(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		graph graph
		want  string // the only violation; "" for none
	}{
		"as drawn": {graph: graph{
			module + "cmd/gsq":                    {module + "internal/server", module + "internal/registry/embedded", "github.com/spf13/cobra"},
			module + "internal/server":            {module + "internal/ledger", module + "api", "net/http", "github.com/danielgtaylor/huma/v2"},
			module + "internal/ledger":            {module + "internal/artifact", module + "internal/registry"},
			module + "internal/artifact":          {module + "internal/registry", module + "internal/intent"},
			module + "internal/registry":          {"context"},
			module + "internal/registry/embedded": {module + "internal/registry", "net/http", "github.com/cockroachdb/pebble/v2"},
			module + "internal/intent":            {"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1", module + "deploy/crd"},
			module + "deploy/crd":                 {"embed"},
			// What a library imports for itself is its own affair.
			"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1": {"net/http", "k8s.io/client-go/rest"},
		}},
		"an arrow back": {
			graph: graph{module + "internal/intent": {module + "internal/ledger"}},
			want:  "internal/intent -> internal/ledger: no arrow points from internal/intent there",
		},
		"wire types in the core": {
			graph: graph{module + "internal/ledger": {module + "api"}},
			want:  "internal/ledger -> api: no arrow points from internal/ledger there",
		},
		"the client reaches inside": {
			graph: graph{module + "client/retry": {module + "internal/intent"}},
			want:  "client/retry -> internal/intent: no arrow points from client there",
		},
		"a catalog that knows OCI": {
			graph: graph{module + "internal/catalog": {module + "internal/artifact"}},
			want:  "internal/catalog -> internal/artifact: no arrow points from internal/catalog there",
		},
		"a library away from home": {
			graph: graph{module + "internal/ledger": {"github.com/cockroachdb/pebble/v2/vfs"}},
			want:  "internal/ledger -> github.com/cockroachdb/pebble/v2/vfs: that library is imported in internal/registry/embedded alone",
		},
		"an implementation in the core": {
			graph: graph{module + "internal/ledger": {module + "internal/registry/remote"}},
			want:  "internal/ledger -> internal/registry/remote: the ledger knows the seam, not what is behind it",
		},
		"a transport, at two removes": {
			graph: graph{
				module + "internal/artifact":       {module + "internal/artifact/names"},
				module + "internal/artifact/names": {module + "internal/intent", "strings"},
				module + "internal/intent":         {},
				module + "internal/registry":       {module + "internal/registry/auth"},
				module + "internal/registry/auth":  {"net/http"},
			},
			want: "internal/registry -> internal/registry/auth -> net/http: the seam knows no transport",
		},
		"test support in the product": {
			graph: graph{
				module + "cmd/gsq":                  {module + "internal/server"},
				module + "internal/server":          {module + "internal/registry/faulty"},
				module + "internal/registry/faulty": {},
			},
			want: "cmd/gsq -> internal/server -> internal/registry/faulty: it is for tests",
		},
		"a part that nobody drew": {
			graph: graph{module + "internal/util": {}},
			want:  "internal/util: no component is drawn for it: add it to the rules and to the architecture page",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := strings.Join(violations(test.graph), "\n"); got != test.want {
				t.Errorf("found %q\n want %q", got, test.want)
			}
		})
	}
}

func TestClockUsesAreFound(t *testing.T) {
	t.Parallel()
	source := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte("package p\n" + s)} }
	uses, err := clockUses(fstest.MapFS{
		"pure.go":      source(`import "time"; var t time.Time; var z = time.UnixMicro(0)`),
		"unpure.go":    source(`import clock "time"; var t = clock.Now()`),
		"now_test.go":  source(`import "time"; var t = time.Now()`),
		"innocent.go":  source(`var time clock; var t = time.Now()`),
		"unrelated.md": source(`time.Now()`),
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"unpure.go:2:30: clock.Now"}; !slices.Equal(uses, want) {
		t.Errorf("found %q, want %q", uses, want)
	}
}
