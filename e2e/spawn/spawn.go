// Package spawn starts programs for tests, on ports of the loopback address
// that nobody else takes: programs that end when whoever started them ends,
// however that happens (on Linux).
package spawn

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// Spawner starts processes from one thread that lives until Close: Linux sends
// a process's parent-death signal when the thread that started it ends, not
// when the whole program does. Its methods may be called concurrently.
type Spawner struct {
	requests chan request
	closing  sync.Once
}

type request struct {
	cmd    *exec.Cmd
	answer chan error
}

// New returns a Spawner, which must be closed.
func New() *Spawner {
	s := &Spawner{requests: make(chan request)}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		for r := range s.requests {
			r.answer <- r.cmd.Start()
		}
	}()
	return s
}

// Start starts the command.
func (s *Spawner) Start(cmd *exec.Cmd) error {
	r := request{cmd, make(chan error, 1)}
	s.requests <- r
	return <-r.answer
}

// Close ends the thread, and with it what it started that dies with it.
// Nothing can be started afterwards. Closing twice does nothing.
func (s *Spawner) Close() { s.closing.Do(func() { close(s.requests) }) }

// DieTogether makes a command end when the Spawner that starts it is closed or
// its program ends; a session of its own keeps signals of the terminal away.
func DieTogether(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	dieWithParent(cmd.SysProcAttr)
}
