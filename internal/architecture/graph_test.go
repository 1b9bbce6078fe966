package architecture

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

const module = "gitops-squared.io/gsq/"

// graph maps a package to what it imports directly, tests left out.
type graph map[string][]string

// load reads the real graph of the module in dir, libraries included.
func load(dir string) (graph, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports", "./...")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return nil, fmt.Errorf("go list: %w", err)
	}
	g := graph{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); err == io.EOF {
			return g, nil
		} else if err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		g[p.ImportPath] = p.Imports
	}
}

// own returns the packages of this module, sorted.
func (g graph) own() []string {
	var own []string
	for path := range g {
		if strings.HasPrefix(path, module) {
			own = append(own, path)
		}
	}
	slices.Sort(own)
	return own
}

// chain returns the shortest way from a package to one that target accepts, or
// nil if there is none. It goes through packages of this module only: what a
// library imports for itself is its own affair.
func (g graph) chain(from string, target func(path string) bool) []string {
	type step struct {
		path string
		back *step
	}
	queue := []*step{{path: from}}
	seen := map[string]bool{from: true}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, next := range g[at.path] {
			s := &step{next, at}
			if target(next) {
				var chain []string
				for ; s != nil; s = s.back {
					chain = append(chain, s.path)
				}
				slices.Reverse(chain)
				return chain
			}
			if strings.HasPrefix(next, module) && !seen[next] {
				seen[next] = true
				queue = append(queue, s)
			}
		}
	}
	return nil
}

// within says whether path is tree or lies below it.
func within(path, tree string) bool {
	return path == tree || strings.HasPrefix(path, tree+"/")
}
