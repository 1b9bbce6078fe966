package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// serverStart bounds how long a script waits for its server.
const serverStart = time.Minute

// startServer starts a server with an embedded registry of its own, waits until
// it is ready, and points GSQ_SERVER at it. It ends with the script.
func startServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: server")
	}
	ctx, cancel := context.WithTimeout(context.Background(), serverStart)
	defer cancel()
	work := ts.Getenv("WORK")
	cmd := exec.Command(gsqPath(ts), "serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(work, ".data"))
	cmd.Env = []string{"PATH=" + ts.Getenv("PATH"), "HOME=" + work, "GORACE=" + ts.Getenv("GORACE")}
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	url := make(chan string, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		followOutput(out, url)
		if err := cmd.Wait(); err != nil {
			fmt.Fprintln(&log, err)
		}
	}()
	ts.Defer(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			ts.Logf("stop the server: %v", err)
		}
		<-ended
		if code := cmd.ProcessState.ExitCode(); code != 0 {
			ts.Fatalf("the server ended with code %d:\n%s", code, &log)
		}
	})
	select {
	case address, ok := <-url:
		if !ok {
			<-ended
			ts.Fatalf("the server ended before it listened:\n%s", &log)
		}
		ts.Setenv("GSQ_SERVER", address)
		ts.Check(awaitReady(ctx, address+"/readyz"))
	case <-ctx.Done():
		ts.Fatalf("the server does not listen after %s", serverStart)
	}
}

// followOutput reads a server's output to its end, and tells where it listens.
func followOutput(out io.Reader, url chan<- string) {
	defer close(url)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if address, ok := strings.CutPrefix(lines.Text(), "listening on "); ok {
			url <- address
		}
	}
}

// awaitReady asks until the answer is 200.
func awaitReady(ctx context.Context, url string) error {
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
