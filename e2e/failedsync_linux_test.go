package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/gsq"
)

// When a sync fails, nobody knows what is durable: the write under way is not
// acknowledged, the process ends and says why, and the next start has all that
// was acknowledged. The operating system's error is real for the server: strace
// puts it into its calls.
func TestFailedSyncEndsTheServer(t *testing.T) {
	t.Parallel()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatalf("this test needs strace (Debian's package of that name): %v", err)
	}
	dir := t.TempDir()
	runner := []string{strace, "-D", "-f", "--seccomp-bpf", "-o", os.DevNull, "-e", "trace=fdatasync", "-e", "signal=none", "-e", "inject=fdatasync:error=EIO:when=50+"}
	broken := newServer(t, gsq.Options{Dir: dir, Runner: runner})
	startServer(t, broken)
	var acknowledged []string
	for n := range 1000 {
		name := fmt.Sprint("r-", n)
		a, err := broken.Do(t.Context(), http.MethodPut, "/api/v1/namespaces/syncs/resources/"+name, api.ResourcePut{Spec: api.Spec{Type: "vm", Size: "small"}})
		if err != nil || a.Status != http.StatusCreated {
			if err == nil && a.Status != http.StatusGatewayTimeout {
				t.Errorf("the write whose sync failed was answered %d %s", a.Status, a.Body)
			}
			break
		}
		acknowledged = append(acknowledged, name)
	}
	if len(acknowledged) < 5 || len(acknowledged) == 1000 { // strace counts by thread
		t.Errorf("%d writes were acknowledged before the failure", len(acknowledged))
	}
	code, err := broken.Wait(10 * time.Second)
	if code != 1 || err != nil {
		t.Errorf("after a failed sync: exit code %d, %v", code, err)
	}
	if log := broken.Log(); !strings.Contains(log, "storage failed; ending the process") || !strings.Contains(log, "input/output error") || !strings.Contains(log, filepath.Join(dir, "data")) {
		t.Errorf("the log does not say why it ended")
	}
	sound := newServer(t, gsq.Options{Dir: dir})
	startServer(t, sound)
	for _, name := range acknowledged {
		call(t, sound, http.StatusOK, http.MethodGet, "/api/v1/namespaces/syncs/resources/"+name, nil, nil)
	}
	readHistory(t, sound.Host)
}
