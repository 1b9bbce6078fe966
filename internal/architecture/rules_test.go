package architecture

import (
	"fmt"
	"slices"
	"strings"
)

// component is a part of the product and what it may import of the others:
// itself (its sub-packages included) and those named. An arrow that is not
// drawn here does not exist.
type component struct {
	tree    string
	imports []string
}

// The arrows. Everything may import deploy/crd, which holds one file and
// imports nothing.
func components() []component {
	core := []string{"internal/catalog", "internal/artifact", "internal/registry", "internal/intent"}
	upper := func(more ...string) []string {
		return slices.Concat(core, []string{"internal/ledger", "internal/diff", "api"}, more)
	}
	return []component{
		{"cmd/gsq", upper("client", "internal/metrics", "internal/server", "internal/agent", "internal/hydrate", "internal/trust", "internal/mirror", "internal/fsck", "internal/backup")},

		{"internal/server", upper()},
		{"internal/metrics", []string{"internal/ledger", "internal/registry"}},
		{"internal/agent", upper("client")},
		{"internal/hydrate", upper()},
		{"internal/trust", upper()},
		{"internal/mirror", upper()},
		{"internal/fsck", upper()},
		{"internal/backup", upper()},

		{"internal/ledger", core},

		{"internal/catalog", []string{"internal/intent"}}, // knows no OCI
		{"internal/artifact", []string{"internal/intent", "internal/registry"}},
		{"internal/registry/registrytest", []string{"internal/registry", "internal/toolbox"}}, // the first that matches counts
		{"internal/registry", []string{"internal/intent"}},

		{"internal/diff", []string{"internal/intent"}},
		{"internal/intent", nil},

		{"api", nil},
		{"client", []string{"api"}},

		{"deploy/crd", nil},
		{"internal/toolbox", nil},
		{"internal/architecture", nil},
		{"bench", []string{"api", "e2e", "internal/toolbox", "internal/intent", "internal/artifact", "internal/registry"}},
		{"e2e", []string{"bench/report", "api", "client", "internal/toolbox", "internal/intent", "internal/artifact", "internal/catalog", "internal/registry"}},
	}
}

// ban is something that a part must not reach, by whatever chain of our own
// packages.
type ban struct {
	from   string // a component's tree or a single package
	exact  bool   // from is that package alone
	target string // a tree of packages
	why    string
}

func bans() []ban {
	const pure = "it is pure: bytes in, bytes out"
	const leaf = "heavy libraries stay in leaf packages"
	b := []ban{
		{"internal/artifact", false, module + "internal/registry/", "only the types of the root package"},
		{"internal/artifact", false, "net/http", pure},
		{"internal/catalog", false, "net/http", pure},
		{"internal/intent", false, "net/http", pure},
		{"internal/registry", true, "net/http", "the seam knows no transport"},
		{"internal/ledger", false, module + "internal/registry/", "the ledger knows the seam, not what is behind it"},
		{"internal/ledger", false, "net/http", "HTTP is the server's affair"},
		{"cmd/gsq", false, module + "internal/registry/faulty", "it is for tests"},
		{"cmd/gsq", false, module + "internal/registry/registrytest", "it is for tests"},
		{"cmd/gsq", false, "testing", "it is for tests"},
	}
	for _, from := range []string{"internal/server", "internal/ledger", "internal/catalog", "internal/artifact", "internal/registry", "internal/intent", "api", "client"} {
		b = append(b,
			ban{from, false, "sigs.k8s.io/controller-runtime", leaf},
			ban{from, false, "k8s.io/client-go", leaf})
	}
	return b
}

// home says where alone a library may be imported. Of several that match, the
// one with the longest path counts.
type home struct {
	library string
	trees   []string
}

func homes() []home {
	return []home{
		{"github.com/cockroachdb/pebble", []string{"internal/registry/embedded"}},
		{"oras.land/oras-go", []string{"internal/registry/remote"}},
		{"github.com/danielgtaylor/huma", []string{"internal/server"}},
		{"github.com/spf13/cobra", []string{"cmd/gsq"}},
		{"sigs.k8s.io/controller-runtime", []string{"internal/agent"}},
		{"k8s.io/apiextensions-apiserver", []string{"internal/intent"}},
		// intent hands out the schema in these types, and the server describes
		// its API with it.
		{"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1", []string{"internal/intent", "internal/server"}},
	}
}

// homesOf returns where a package may be imported; false means anywhere.
func homesOf(imported string) ([]string, bool) {
	var best home
	for _, h := range homes() {
		if within(imported, h.library) && len(h.library) > len(best.library) {
			best = h
		}
	}
	return best.trees, best.library != ""
}

// violations returns every broken rule, each with the imports that break it.
func violations(g graph) []string {
	var found []string
	report := func(chain []string, why string) {
		for i := range chain {
			chain[i] = strings.TrimPrefix(chain[i], module)
		}
		found = append(found, fmt.Sprintf("%s: %s", strings.Join(chain, " -> "), why))
	}
	for _, path := range g.own() {
		short := strings.TrimPrefix(path, module)
		c, ok := componentOf(short)
		if !ok {
			report([]string{path}, "no component is drawn for it: add it to the rules and to the architecture page")
			continue
		}
		for _, imported := range g[path] {
			if to, ok := strings.CutPrefix(imported, module); ok && !c.mayImport(to) {
				report([]string{path, imported}, "no arrow points from "+c.tree+" there")
			}
			trees, limited := homesOf(imported)
			if limited && !slices.ContainsFunc(trees, func(tree string) bool { return within(short, tree) }) {
				report([]string{path, imported}, "that library is imported in "+strings.Join(trees, " and ")+" alone")
			}
		}
		for _, b := range bans() {
			if short != b.from && (b.exact || !within(short, b.from)) {
				continue
			}
			chain := g.chain(path, func(to string) bool {
				if tree, ok := strings.CutSuffix(b.target, "/"); ok { // only what lies below it
					return to != tree && within(to, tree)
				}
				return within(to, b.target)
			})
			if chain != nil {
				report(chain, b.why)
			}
		}
	}
	slices.Sort(found)
	return found
}

func componentOf(short string) (component, bool) {
	for _, c := range components() {
		if within(short, c.tree) {
			return c, true
		}
	}
	return component{}, false
}

func (c component) mayImport(short string) bool {
	return within(short, c.tree) || short == "deploy/crd" ||
		slices.ContainsFunc(c.imports, func(tree string) bool { return within(short, tree) })
}
