package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"gitops-squared.io/gsq/e2e/spawn"
	"gitops-squared.io/gsq/internal/toolbox"
)

// supervisor starts programs that live in one folder, and ends them. Only stop
// may be called concurrently.
type supervisor struct {
	dir         string
	environment []string
	detached    bool // the programs may outlive us
	spawner     *spawn.Spawner
	processes   []*process
}

// supervise creates the folder. The programs see nothing of the caller's home,
// so that its kubeconfig and registry credentials play no part.
func supervise(dir string, detached bool, environment ...string) (*supervisor, error) {
	for _, sub := range []string{"", "logs", "home", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	return &supervisor{
		dir: dir,
		environment: append([]string{
			"PATH=" + os.Getenv("PATH"),
			"HOME=" + filepath.Join(dir, "home"),
			"TMPDIR=" + filepath.Join(dir, "tmp"),
		}, environment...),
		detached: detached,
		spawner:  spawn.New(),
	}, nil
}

// run starts a program, with its output in logs/<program>.log, and writes it
// down in the state file before anything waits for it.
func (s *supervisor) run(program string, args ...string) (*process, error) {
	path, err := toolbox.Find(program)
	if err != nil {
		return nil, err
	}
	p := &process{
		name: program,
		log:  filepath.Join(s.dir, "logs", program+".log"),
		done: make(chan struct{}),
	}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own descriptor
	p.cmd = exec.Command(path, args...)
	p.cmd.Dir = s.dir
	p.cmd.Env = s.environment
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if s.detached {
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	} else {
		spawn.DieTogether(p.cmd)
	}
	if err := s.spawner.Start(p.cmd); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	p.started = startTime(p.cmd.Process.Pid)
	go func() {
		p.cmd.Wait() // its exit code is of no interest: see exited
		close(p.done)
	}()
	s.processes = append(s.processes, p)
	return p, s.record(false)
}

// complete says that all programs are ready, or which of them died meanwhile:
// one may answer its first check and fail on its next port.
func (s *supervisor) complete() error {
	for _, p := range s.processes {
		if err := p.exited(); err != nil {
			return err
		}
	}
	return s.record(true)
}

func (s *supervisor) record(ready bool) error {
	state := State{Ready: ready}
	for _, p := range s.processes {
		state.Processes = append(state.Processes, ProcessState{p.name, p.cmd.Process.Pid, p.started})
	}
	return writeState(s.dir, state)
}

// stop ends the programs, the last one first, and returns when they are gone.
func (s *supervisor) stop() error {
	var errs []error
	for i := len(s.processes) - 1; i >= 0; i-- {
		errs = append(errs, s.processes[i].stop())
	}
	s.spawner.Close()
	return errors.Join(errs...)
}
