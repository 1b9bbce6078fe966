package architecture

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"strings"
)

// clockUses returns where the Go files of a folder, tests left out, ask for the
// time of day.
func clockUses(dir fs.FS) ([]string, error) {
	var uses []string
	entries, err := fs.ReadDir(dir, ".")
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	for _, entry := range entries {
		name := entry.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, err
		}
		parsed, err := parser.ParseFile(files, name, source, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		clock := "" // what the file calls package time
		for _, spec := range parsed.Imports {
			if spec.Path.Value == `"time"` {
				clock = "time"
				if spec.Name != nil {
					clock = spec.Name.Name
				}
			}
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := selector.X.(*ast.Ident)
			if !ok || clock == "" || x.Name != clock {
				return true
			}
			switch selector.Sel.Name {
			case "Now", "Since", "Until", "After", "AfterFunc", "Tick", "Sleep", "NewTimer", "NewTicker":
				uses = append(uses, fmt.Sprintf("%s: %s.%s", files.Position(n.Pos()), clock, selector.Sel.Name))
			}
			return true
		})
	}
	return uses, nil
}
