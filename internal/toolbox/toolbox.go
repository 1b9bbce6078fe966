// Package toolbox finds the programs that tests drive: etcd, kube-apiserver,
// kubectl, the Flux controllers, CNCF Distribution, oras and crane. They are
// pinned in the modules under tools/ and built by "make tools".
package toolbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Path returns the absolute path of a program, or fails the test with what to
// do when it is not built.
func Path(t testing.TB, program string) string {
	t.Helper()
	path, err := Find(program)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Find is Path outside of a test. The error says how to build what is missing.
func Find(program string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	var stderr bytes.Buffer
	cmd := exec.Command(filepath.Join(root, "tools", "build.sh"), "--path", program)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("find %s: %w: %s", program, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

// Root returns the root of the repository: the first folder from the working
// folder upwards whose go.mod is the product's.
func Root() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && bytes.HasPrefix(content, []byte("module gitops-squared.io/gsq\n")) {
			return dir, nil
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not inside a checkout of gitops-squared.io/gsq", wd)
		}
	}
}
