package gsq

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"gitops-squared.io/gsq/e2e/spawn"
)

// Options say what to start.
type Options struct {
	Dir      string   // holds the data, the log and a home of its own; created if missing
	Registry string   // REGISTRY_HOST; empty means the embedded registry
	Args     []string // more flags of gsq serve
	Runner   []string // a program that becomes gsq serve, with its flags; empty means none
}

// Server is a gsq server that can be ended and started again at the same
// address. Its methods may be called concurrently, except Start, Kill and Stop
// with each other.
type Server struct {
	URL  string // http://host:port
	Host string // host:port

	o       Options
	spawner *spawn.Spawner
	http    *http.Client
	release func() // the address, which is held until the first start

	mu      sync.Mutex
	process *process // the last one that was started
}

type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it ended
}

// stopTimeout bounds how long Stop waits before it kills. The product's own
// bound is 15 s.
const stopTimeout = 30 * time.Second

// New returns a server that is not started. Close ends it for good.
func New(o Options) (*Server, error) {
	for _, sub := range []string{"", "home", "tmp"} {
		if err := os.MkdirAll(filepath.Join(o.Dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	port, release, err := spawn.Reserve()
	if err != nil {
		return nil, err
	}
	s := &Server{Host: spawn.Address(port), o: o, spawner: spawn.New(), release: release}
	s.URL = "http://" + s.Host
	// As many connections as there are callers: none waits for another.
	s.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}, Timeout: time.Minute}
	return s, nil
}

// Start starts the server and returns at once.
func (s *Server) Start() error {
	log, err := os.OpenFile(s.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the process has its own descriptor
	line := slices.Concat(s.o.Runner, []string{os.Getenv(binaryVariable), "serve",
		"--listen", s.Host, "--data", filepath.Join(s.o.Dir, "data")}, s.o.Args)
	cmd := exec.Command(line[0], line[1:]...)
	cmd.Env = s.environment("REGISTRY_HOST=" + s.o.Registry)
	cmd.Dir = s.o.Dir
	cmd.Stdout, cmd.Stderr = log, log
	spawn.DieTogether(cmd)
	s.release()
	if err := s.spawner.Start(cmd); err != nil {
		return fmt.Errorf("start gsq serve: %w", err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		cmd.Wait() // its exit code is asked for by who ended it
		close(p.done)
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.process = p
	return nil
}

// environment is what the program sees: nothing of the caller's settings.
func (s *Server) environment(more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + filepath.Join(s.o.Dir, "home"),
		"TMPDIR=" + filepath.Join(s.o.Dir, "tmp"),
	}, more...)
}

func (s *Server) current() *process {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.process
}

// Started says whether Start was ever called with success.
func (s *Server) Started() bool { return s.current() != nil }

// Kill ends the server with SIGKILL and returns when it is gone.
func (s *Server) Kill() error {
	p := s.current()
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.done
	return nil
}

// Terminate asks the server to end (SIGTERM) and returns at once.
func (s *Server) Terminate() error { return s.current().cmd.Process.Signal(syscall.SIGTERM) }

// Pause freezes the server (SIGSTOP): it takes connections and does nothing
// until Resume.
func (s *Server) Pause() error { return s.current().cmd.Process.Signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (s *Server) Resume() error { return s.current().cmd.Process.Signal(syscall.SIGCONT) }

// Wait waits until the server ended by itself, and returns its exit code, -1
// for a signal. After timeout it kills it and returns an error.
func (s *Server) Wait(timeout time.Duration) (int, error) {
	p := s.current()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-time.After(timeout):
		return -1, errors.Join(fmt.Errorf("gsq serve has not ended after %v", timeout), s.Kill())
	}
}

// Stop ends the server with SIGTERM and waits. An exit code other than 0 is an
// error.
func (s *Server) Stop() error {
	if err := s.Terminate(); err != nil {
		return err
	}
	code, err := s.Wait(stopTimeout)
	if err == nil && code != 0 {
		err = fmt.Errorf("gsq serve ended with %d after SIGTERM", code)
	}
	return err
}

// Close ends the server, if it runs, and releases everything.
func (s *Server) Close() {
	if s.current() != nil {
		s.Kill() // nothing more is asked of it
	}
	s.release()
	s.spawner.Close()
	s.http.CloseIdleConnections()
}

// Ready waits until the server can serve. The error says what its last answer
// was, or that it ended.
func (s *Server) Ready(ctx context.Context) error {
	p := s.current()
	for {
		a, err := s.Do(ctx, http.MethodGet, "/readyz", nil)
		if err == nil && a.Status == http.StatusOK {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gsq is not ready: %w; last answer: %v %s", context.Cause(ctx), err, a.Body)
		case <-p.done:
			return fmt.Errorf("gsq serve ended: %s", p.cmd.ProcessState)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// LogFile is the path of the log, of all starts.
func (s *Server) LogFile() string { return filepath.Join(s.o.Dir, "gsq.log") }

// Log returns the log, of all starts.
func (s *Server) Log() string {
	content, err := os.ReadFile(s.LogFile())
	if err != nil {
		return err.Error()
	}
	return string(content)
}

// LogTail returns the last lines of the log, without those of requests.
func (s *Server) LogTail(lines int) string {
	all := slices.DeleteFunc(strings.Split(strings.TrimSpace(s.Log()), "\n"), func(line string) bool {
		return strings.Contains(line, "msg=request ")
	})
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
