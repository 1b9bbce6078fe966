package cluster_test

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"gitops-squared.io/gsq/internal/toolbox"
)

// The Dockerfile's build line, run on nothing but the files that .dockerignore
// lets in, makes a binary that needs no dynamic linker: the image has none.
func TestImageHoldsAStaticBinary(t *testing.T) {
	t.Parallel()
	root, err := toolbox.Root()
	if err != nil {
		t.Fatal(err)
	}
	dockerfile, err := os.ReadFile(filepath.Join(root, "Dockerfile"))
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`CGO_ENABLED=0 GOOS=\$TARGETOS GOARCH=\$TARGETARCH (go build .*) -o /out/gsq (\S+)`).FindSubmatch(dockerfile)
	if line == nil {
		t.Fatal("found no build line in the Dockerfile")
	}
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(makefile), string(line[1])+" -o bin/gsq") {
		t.Errorf("the Makefile does not build with %q, as the Dockerfile does", line[1])
	}

	context := t.TempDir()
	ignore, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	for _, kept := range regexp.MustCompile(`(?m)^!(\S+)$`).FindAllSubmatch(ignore, -1) {
		copyTree(t, filepath.Join(root, string(kept[1])), filepath.Join(context, string(kept[1])))
	}
	binary := filepath.Join(t.TempDir(), "gsq")
	build := exec.CommandContext(t.Context(), "sh", "-c", string(line[1])+" -o "+binary+" "+string(line[2]))
	build.Dir = context
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+runtime.GOARCH)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line[1], err, out)
	}
	file, err := elf.Open(binary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, part := range file.Progs {
		if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a %v segment: it is not static", part.Type)
		}
	}
}

// copyTree copies a file or a folder, without the tests that .dockerignore
// leaves out.
func copyTree(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	if !info.IsDir() {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		if entry.Name() == "testdata" || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		copyTree(t, filepath.Join(from, entry.Name()), filepath.Join(to, entry.Name()))
	}
}
