package e2e_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gitops-squared.io/gsq/e2e/history"
	"gitops-squared.io/gsq/internal/toolbox"
)

// Everybody may push to the embedded registry, but only the ledger writes under
// its prefix.
func TestPrefixBelongsToTheLedger(t *testing.T) {
	t.Parallel()
	s, host := places()[0].start(t)
	put(t, s, http.StatusCreated, "default", "web")
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "file.txt"), []byte("content"), 0o600); err != nil {
		t.Fatal(err)
	}
	client := func(program string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), toolbox.Path(t, program), args...)
		cmd.Dir, cmd.Env = home, []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, args := range [][]string{
		{"oras", "push", "--plain-http", host + "/ci/app:v1", "file.txt"},
		{"crane", "copy", "--insecure", host + "/ci/app:v1", host + "/ci/copy:v1"},
		{"crane", "tag", "--insecure", host + "/ci/app:v1", "v2"},
		{"oras", "pull", "--plain-http", "-o", "pulled", host + "/ci/copy:v1"},
	} {
		if out, err := client(args[0], args[1:]...); err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
	}
	if pulled, err := os.ReadFile(filepath.Join(home, "pulled", "file.txt")); err != nil || string(pulled) != "content" {
		t.Errorf("what was pulled is %q, %v", pulled, err)
	}

	reader := history.New(host)
	t.Cleanup(reader.Close)
	before, err := reader.Manifest(t.Context(), "gitops-squared/catalog", "latest")
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"oras", "push", "--plain-http", host + "/gitops-squared/catalog:latest", "file.txt"},
		{"oras", "push", "--plain-http", host + "/gitops-squared/resources/default/web:v1", "file.txt"},
		{"oras", "push", "--plain-http", host + "/gitops-squared/mine:v1", "file.txt"},
		{"crane", "copy", "--insecure", host + "/ci/app:v1", host + "/gitops-squared/writer:latest"},
		{"crane", "tag", "--insecure", host + "/gitops-squared/catalog:r1", "latest"},
		{"crane", "delete", "--insecure", host + "/gitops-squared/catalog@" + before.Digest.String()},
		{"oras", "manifest", "delete", "--force", "--plain-http", host + "/gitops-squared/system:latest"},
	} {
		if out, err := client(args[0], args[1:]...); err == nil || !strings.Contains(strings.ToLower(out), "denied") {
			t.Errorf("%v: %v, want it to be denied:\n%s", args, err, out)
		}
	}
	a, err := s.Do(t.Context(), http.MethodPut, "/v2/gitops-squared/catalog/manifests/latest", []byte("{}"))
	if err != nil || a.Status != http.StatusForbidden {
		t.Errorf("a plain PUT: %d, %v, %s", a.Status, err, a.Body)
	}
	if after, err := reader.Manifest(t.Context(), "gitops-squared/catalog", "latest"); err != nil || after.Digest != before.Digest {
		t.Errorf("the catalog is %s, %v; it was %s", after.Digest, err, before.Digest)
	}
	put(t, s, http.StatusOK, "default", "web")
	readHistory(t, host)
}
