package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every setting is on the page with its variables and its default, and nothing
// else is.
func TestConfigurationPageIsComplete(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for _, s := range serverSettings("") {
		row := regexp.MustCompile("(?m)^\\| `--" + s.name + "` \\|.*$").FindString(page)
		variables := "`" + s.variable() + "`"
		if s.contract != "" {
			variables += ", `" + s.contract + "`"
		}
		if !strings.Contains(row, "| "+variables+" |") {
			t.Errorf("docs/configuration.md: the row of --%s is %q, want the variables %s", s.name, row, variables)
		}
		if s.value != "" && !strings.Contains(row, "| `"+s.value+"` |") {
			t.Errorf("docs/configuration.md: the row of --%s lacks its default %s", s.name, s.value)
		}
	}
	known := append(configKeys(), "config")
	for _, m := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\|").FindAllStringSubmatch(page, -1) {
		if !slices.Contains(known, m[1]) {
			t.Errorf("docs/configuration.md has --%s, which does not exist", m[1])
		}
	}
	for _, name := range otherVariables() {
		if !strings.Contains(page, "`"+name+"`") {
			t.Errorf("docs/configuration.md lacks %s", name)
		}
	}
	// The example of a file is one.
	for _, m := range regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(page, -1) {
		if _, faults := parseConfig([]byte(m[1])); len(faults) > 0 {
			t.Errorf("docs/configuration.md: an example of a file has the faults %v", faults)
		}
	}
}
