package toolbox_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"gitops-squared.io/gsq/internal/toolbox"
)

func TestPathNamesARunnableProgram(t *testing.T) {
	t.Parallel()
	path := toolbox.Path(t, "oras")
	out, err := exec.Command(path, "version").CombinedOutput()
	if err != nil || !strings.Contains(string(out), "Version:") {
		t.Errorf("%s version: %v\n%s", path, err, out)
	}
}

func TestFindRefusesAProgramThatIsNotPinned(t *testing.T) {
	t.Parallel()
	if path, err := toolbox.Find("rm"); err == nil || !strings.Contains(err.Error(), "kube-apiserver") {
		t.Errorf("Find(rm) = %q, %v; want an error that names what there is", path, err)
	}
}

// Not parallel: it changes the environment.
func TestFindSaysHowToBuildWhatIsMissing(t *testing.T) {
	t.Setenv("GSQ_TOOLS_CACHE", t.TempDir())
	if path, err := toolbox.Find("oras"); err == nil || !strings.Contains(err.Error(), "make tools") {
		t.Errorf("Find(oras) = %q, %v; want an error that says \"make tools\"", path, err)
	}
}

func TestRootHoldsTheProduct(t *testing.T) {
	t.Parallel()
	root, err := toolbox.Root()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(root + "/deploy/crd/platformresource.yaml"); err != nil {
		t.Error(err)
	}
}
