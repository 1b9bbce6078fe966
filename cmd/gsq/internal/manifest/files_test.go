package manifest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func resource(name string) string { return "name: " + name + "\nspec: {type: vm, size: small}\n" }

func names(all []Declaration) string {
	var list []string
	for _, d := range all {
		list = append(list, d.Name)
	}
	return strings.Join(list, " ")
}

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "b.yaml"), resource("b"))
	write(t, filepath.Join(dir, "a.yml"), resource("a"))
	write(t, filepath.Join(dir, "c.json"), `{"name":"c","spec":{"type":"vm","size":"small"}}`)
	write(t, filepath.Join(dir, "README.md"), "not a manifest")
	write(t, filepath.Join(dir, ".hidden.yaml"), "nonsense")
	write(t, filepath.Join(dir, "deep", "er", "d.yaml"), resource("d"))
	write(t, filepath.Join(dir, "..data", "e.yaml"), resource("e"))
	if err := os.Symlink(filepath.Join("..data", "e.yaml"), filepath.Join(dir, "e.yaml")); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		files Files
		want  string
	}{
		"a folder":       {Files{Paths: []string{dir}}, "a b c e"},
		"with folders":   {Files{Paths: []string{dir}, Recursive: true}, "a b c d e"},
		"a file":         {Files{Paths: []string{filepath.Join(dir, "b.yaml")}}, "b"},
		"stdin":          {Files{Paths: []string{"-"}, Stdin: strings.NewReader(resource("in"))}, "in"},
		"in their order": {Files{Paths: []string{filepath.Join(dir, "c.json"), "-"}, Stdin: strings.NewReader(resource("in"))}, "c in"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all, err := Read(test.files)
			if err != nil {
				t.Fatal(err)
			}
			if got := names(all); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "large.yaml"), "#"+strings.Repeat(" ", MaxFileBytes))
	write(t, filepath.Join(dir, "nothing", "notes.txt"), "x")
	write(t, filepath.Join(dir, "bad", "a.yaml"), "name: a\n")
	write(t, filepath.Join(dir, "bad", "b.yaml"), "spec: {}\n")
	write(t, filepath.Join(dir, "loop", "a.yaml"), resource("a"))
	if err := os.Symlink(".", filepath.Join(dir, "loop", "self")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "dangling", "a.yaml"), resource("a"))
	if err := os.Symlink("nowhere", filepath.Join(dir, "dangling", "b.yaml")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "deep", strings.Repeat("d/", maxFolders+1), "a.yaml"), resource("a"))
	endless := strings.NewReader(strings.Repeat("#", MaxFileBytes+1))
	for name, test := range map[string]struct {
		files Files
		want  []string
	}{
		"missing":     {Files{Paths: []string{filepath.Join(dir, "none.yaml")}}, []string{"none.yaml: no such file"}},
		"no name":     {Files{Paths: []string{""}}, []string{"empty file name"}},
		"large":       {Files{Paths: []string{filepath.Join(dir, "large.yaml")}}, []string{"large.yaml has more than 1 MiB"}},
		"large stdin": {Files{Paths: []string{"-"}, Stdin: endless}, []string{"standard input has more than 1 MiB"}},
		"stdin twice": {Files{Paths: []string{"-", "-"}, Stdin: strings.NewReader("")}, []string{"only once"}},
		"no files":    {Files{Paths: []string{filepath.Join(dir, "nothing")}}, []string{"holds no files", "--recursive"}},
		"all faults":  {Files{Paths: []string{filepath.Join(dir, "bad")}}, []string{"a.yaml:1: spec", "b.yaml:1: name"}},
		"loop":        {Files{Paths: []string{filepath.Join(dir, "loop")}, Recursive: true}, []string{"self is a link to a folder"}},
		"dangling":    {Files{Paths: []string{filepath.Join(dir, "dangling")}}, []string{"b.yaml: no such file"}},
		"deep":        {Files{Paths: []string{filepath.Join(dir, "deep")}, Recursive: true}, []string{"deeper than 32 folders"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Read(test.files)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got %q, want it to contain %q", err, want)
				}
			}
		})
	}
}

func TestReadBoundsTheWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range strings.Fields("a b c d e f g h i j k l m n o p q") {
		write(t, filepath.Join(dir, name+".yaml"), strings.Repeat("#", MaxFileBytes))
	}
	if _, err := Read(Files{Paths: []string{dir}}); err == nil || !strings.Contains(err.Error(), "more than 16 MiB together") {
		t.Errorf("17 MiB: %v", err)
	}
	many := make([]string, MaxFiles+1)
	for i := range many {
		many[i] = filepath.Join(dir, "a.yaml")
	}
	if _, err := Read(Files{Paths: many}); err == nil || !strings.Contains(err.Error(), "more than 4096 files") {
		t.Errorf("too many files: %v", err)
	}
}

func TestSplit(t *testing.T) {
	t.Parallel()
	input := resource("a") + "---\nnamespace: prod\n" + resource("a") + "---\n" + resource("b")
	all, err := Parse("f.yaml", []byte(input))
	if err != nil {
		t.Fatal(err)
	}
	groups, err := Split(all, "default", false)
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) != 2 || groups[0].Namespace != "default" || names(groups[0].Declarations) != "a b" ||
		groups[1].Namespace != "prod" || names(groups[1].Declarations) != "a" {
		t.Errorf("got %+v", groups)
	}

	var invalid Invalid
	if _, err := Split(all, "default", true); !errors.As(err, &invalid) ||
		!strings.Contains(err.Error(), `f.yaml:4 (document 2): a belongs to namespace "prod", but --namespace says "default"`) {
		t.Errorf("conflict: %v", err)
	}
	if _, err := Split(all, "prod", true); !errors.As(err, &invalid) ||
		!strings.Contains(err.Error(), "f.yaml:5 (document 2): prod/a is declared twice (first in f.yaml:1)") {
		t.Errorf("twice: %v", err)
	}
}
