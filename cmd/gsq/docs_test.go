package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// commands returns all commands that people see.
func commands(root *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, c := range root.Commands() {
		if !c.Hidden && c.Name() != "help" {
			all = append(append(all, c), commands(c)...)
		}
	}
	return all
}

// Every command has a section, and every flag is in the section or among what
// all commands share.
func TestDocumentationIsComplete(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, part := range strings.Split(string(page), "\n## ")[1:] {
		title, text, _ := strings.Cut(part, "\n")
		sections[title] = text
	}
	shared := sections["What all commands share"]
	for _, c := range commands(newRoot(process{})) {
		if c.Long == "" || c.Short == "" || c.Example == "" {
			t.Errorf("%s lacks a description or examples", c.CommandPath())
		}
		if c.HasSubCommands() {
			continue
		}
		section, ok := sections[c.CommandPath()]
		if !ok {
			t.Errorf("docs/cli.md has no section %q", c.CommandPath())
			continue
		}
		if !strings.Contains(string(page), "| [`"+c.CommandPath()+"`](") {
			t.Errorf("docs/cli.md does not list %s in its first table", c.CommandPath())
		}
		c.InitDefaultHelpFlag()
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(section+shared, "`--"+f.Name+"`") {
				t.Errorf("docs/cli.md: section %q lacks --%s", c.CommandPath(), f.Name)
			}
			if f.Shorthand != "" && !strings.Contains(section+shared, "`-"+f.Shorthand+"`") {
				t.Errorf("docs/cli.md: section %q lacks -%s", c.CommandPath(), f.Shorthand)
			}
		})
		// What the section names must exist.
		for _, m := range regexp.MustCompile("(?m)^\\|[^|]*`--([a-z-]+)`").FindAllStringSubmatch(section, -1) {
			if c.Flags().Lookup(m[1]) == nil {
				t.Errorf("docs/cli.md: section %q has --%s, the command does not", c.CommandPath(), m[1])
			}
		}
		for _, m := range regexp.MustCompile(`\(env ([A-Z_, ]+)\)`).FindAllStringSubmatch(c.Flags().FlagUsages(), -1) {
			for name := range strings.SplitSeq(m[1], ", ") {
				if !strings.Contains(section+shared, "`"+name+"`") {
					t.Errorf("docs/cli.md: section %q lacks %s", c.CommandPath(), name)
				}
			}
		}
	}
}
