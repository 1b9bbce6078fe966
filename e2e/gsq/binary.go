// Package gsq drives the plain gsq program as its users do: it starts servers,
// ends them gently or not, runs the commands and sends requests.
package gsq

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"gitops-squared.io/gsq/internal/toolbox"
)

// binaryVariable names the program to drive.
const binaryVariable = "GSQ_BINARY"

// Prepare builds the program into a temporary folder unless GSQ_BINARY names
// one, and sets GSQ_BINARY. remove deletes what was built. It is for TestMain.
func Prepare() (remove func(), err error) {
	if path := os.Getenv(binaryVariable); path != "" {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("%s: %w; run \"make build\"", binaryVariable, err)
		}
		return func() {}, nil
	}
	root, err := toolbox.Root()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "gsq-binary")
	if err != nil {
		return nil, err
	}
	remove = func() { os.RemoveAll(dir) }
	path := filepath.Join(dir, "gsq")
	cmd := exec.Command("go", "build", "-o", path, "./cmd/gsq")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		remove()
		return nil, fmt.Errorf("build gsq: %w: %s", err, stderr.Bytes())
	}
	return remove, os.Setenv(binaryVariable, path)
}
