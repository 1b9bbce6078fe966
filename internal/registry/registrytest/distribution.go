package registrytest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/toolbox"
)

// distributionReady bounds how long a registry may take to start.
const distributionReady = 30 * time.Second

var listening = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)`)

// StartDistribution starts CNCF Distribution with an empty folder, on a free
// port of the loopback interface, over plain HTTP, with deletion switched on.
// It returns host:port. The registry ends with the test; what it printed is
// shown if the test failed.
func StartDistribution(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	content := fmt.Sprintf(`version: 0.1
log:
  level: info
  accesslog: {disabled: true}
storage:
  filesystem: {rootdirectory: %q}
  delete: {enabled: true}
http:
  addr: 127.0.0.1:0
`, filepath.Join(dir, "data"))
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(toolbox.Path(t, "registry"), "serve", config)
	cmd.Stdout, cmd.Stderr = output, output
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended already
		<-ended
		output.Close()
		if t.Failed() {
			text, _ := os.ReadFile(output.Name())
			t.Logf("Distribution printed:\n%s", text[max(0, len(text)-8<<10):])
		}
	})
	return awaitDistribution(t, output.Name(), ended)
}

// awaitDistribution returns the address from the output once it answers.
func awaitDistribution(t testing.TB, output string, ended chan error) string {
	t.Helper()
	client := &http.Client{Timeout: time.Second}
	deadline := time.Now().Add(distributionReady)
	for time.Now().Before(deadline) {
		text, err := os.ReadFile(output)
		if err != nil {
			t.Fatal(err)
		}
		if found := listening.FindSubmatch(text); found != nil {
			resp, err := client.Get("http://" + string(found[1]) + "/v2/")
			if err == nil {
				resp.Body.Close()
				if resp.StatusCode == http.StatusOK {
					return string(found[1])
				}
			}
		}
		select {
		case err := <-ended:
			ended <- err // for the cleanup
			t.Fatalf("Distribution ended: %v", err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	t.Fatalf("Distribution was not ready after %v", distributionReady)
	return ""
}
