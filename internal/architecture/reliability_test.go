package architecture

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Every test that docs/reliability.md names is in the package that it names.
func TestReliabilityPageNamesRealTests(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	page, err := os.ReadFile(filepath.Join(root, "docs", "reliability.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([^`]+)`")
	checked := 0
	for line := range strings.Lines(string(page)) {
		source := ""
		for _, match := range named.FindAllStringSubmatch(line, -1) {
			name := match[1]
			if strings.HasPrefix(name, "e2e") || strings.HasPrefix(name, "internal/") {
				source = testsOf(t, filepath.Join(root, name))
			} else if strings.HasPrefix(name, "Test") {
				checked++
				if !strings.Contains(source, "\nfunc "+name+"(t *testing.T)") {
					t.Errorf("%s is not in the package named before it: %s", name, strings.TrimSpace(line))
				}
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d tests are named: the page is not read as it is written", checked)
	}
}

func testsOf(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: no tests, error %v", folder, err)
	}
	var all strings.Builder
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(source)
	}
	return all.String()
}
