package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestServerScripts runs scripts about gsq serve and gsq init: with the
// commands "serve" and "end", and "request" to ask.
func TestServerScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/server",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Values[serversKey{}] = map[string]*scriptServer{}
			env.Setenv("HOME", env.WorkDir)
			return endQuickly(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":        scriptServe,
			"debugaddress": scriptDebugAddress,
			"end":          scriptEnd,
			"request":      scriptRequest,
			"exits":        exits,
		},
	})
}

// stopTime is within what a stop may take.
const stopTime = 15 * time.Second

// scriptServe starts gsq serve in the script's environment, on a port of its own
// unless the script says otherwise, and waits until it is ready. It sets NAME_URL
// and NAME_ADDRESS, and leaves what the server printed in NAME.out and its log in NAME.err:
// serve NAME [FLAG...]
func scriptServe(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: serve NAME [FLAG...]")
	}
	name := args[0]
	out, err := os.Create(ts.MkAbs(name + ".out"))
	ts.Check(err)
	log, err := os.Create(ts.MkAbs(name + ".err"))
	ts.Check(err)
	cmd := exec.Command(gsqPath(ts), append([]string{"serve"}, args[1:]...)...)
	cmd.Dir = ts.MkAbs(".")
	for _, variable := range []string{"PATH", "HOME", "GORACE", "LISTEN_ADDR", "REGISTRY_HOST", "GSQ_CONFIG", "GSQ_LISTEN", "GSQ_PREFIX", "GSQ_DATA", "GSQ_LOG_FORMAT"} {
		if value := ts.Getenv(variable); value != "" {
			cmd.Env = append(cmd.Env, variable+"="+value)
		}
	}
	cmd.Stdout, cmd.Stderr = out, log
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		out.Close()
		log.Close()
	}()
	s := &scriptServer{cmd: cmd, ended: ended}
	ts.Defer(s.kill)
	servers(ts)[name] = s
	url, err := awaitLine(filepath.Join(ts.MkAbs("."), name+".out"), "listening on ", ended)
	if err != nil {
		ts.Fatalf("%s: %v: %s", name, err, ts.ReadFile(name+".err"))
	}
	ts.Setenv(name+"_URL", url)
	ts.Setenv(name+"_ADDRESS", strings.TrimPrefix(url, "http://"))
	for deadline := time.Now().Add(serverStart); ; time.Sleep(10 * time.Millisecond) {
		response, err := http.Get(url + "/readyz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s is not ready after %s: %s", name, serverStart, ts.ReadFile(name+".err"))
		}
	}
}

type scriptServer struct {
	cmd   *exec.Cmd
	ended chan error
	done  bool
}

func (s *scriptServer) kill() {
	if !s.done {
		_ = s.cmd.Process.Kill() // it may have ended
		<-s.ended
		s.done = true
	}
}

type serversKey struct{}

// servers are those of one script.
func servers(ts *testscript.TestScript) map[string]*scriptServer {
	return ts.Value(serversKey{}).(map[string]*scriptServer)
}

// awaitLine waits until a file has a line with the prefix, and returns the rest
// of the line.
func awaitLine(path, prefix string, ended chan error) (string, error) {
	for deadline := time.Now().Add(serverStart); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		data, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
			if rest, ok := strings.CutPrefix(lines.Text(), prefix); ok {
				return rest, nil
			}
		}
		select {
		case err := <-ended:
			ended <- err
			return "", io.ErrUnexpectedEOF
		default:
		}
	}
	return "", os.ErrDeadlineExceeded
}

// scriptEnd ends a server: with SIGTERM, after which it must end with exit code
// 0 in time, or with -kill at once: end [-kill] NAME
func scriptEnd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: end [-kill] NAME")
	}
	s := servers(ts)[args[len(args)-1]]
	if args[0] == "-kill" {
		s.kill()
		return
	}
	ts.Check(s.cmd.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-s.ended:
		s.done = true
		ts.Check(err)
	case <-time.After(stopTime):
		ts.Fatalf("the server has not ended %s after SIGTERM", stopTime)
	}
}

// scriptRequest sends a request and writes the answer to standard output; its
// status must be as given: request STATUS METHOD URL [BODY]
func scriptRequest(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 || len(args) > 4 {
		ts.Fatalf("usage: request STATUS METHOD URL [BODY]")
	}
	var body io.Reader
	if len(args) == 4 {
		body = strings.NewReader(args[3])
	}
	request, err := http.NewRequest(args[1], args[2], body)
	ts.Check(err)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	defer response.Body.Close()
	_, err = io.Copy(ts.Stdout(), response.Body)
	ts.Check(err)
	if !strings.HasPrefix(response.Status, args[0]+" ") {
		ts.Fatalf("status %s, want %s", response.Status, args[0])
	}
}
