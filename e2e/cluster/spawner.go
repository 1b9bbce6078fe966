package cluster

import (
	"os/exec"
	"runtime"
	"sync"
)

// spawner starts processes from one thread that lives until close: Linux sends
// a process's parent-death signal when the thread that started it ends, not
// when the whole program does.
type spawner struct {
	requests chan spawn
	closing  sync.Once
}

type spawn struct {
	cmd    *exec.Cmd
	answer chan error
}

func newSpawner() *spawner {
	s := &spawner{requests: make(chan spawn)}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		for r := range s.requests {
			r.answer <- r.cmd.Start()
		}
	}()
	return s
}

func (s *spawner) start(cmd *exec.Cmd) error {
	r := spawn{cmd, make(chan error, 1)}
	s.requests <- r
	return <-r.answer
}

// close ends the thread, and with it what is still running undetached. Nothing
// can be started afterwards.
func (s *spawner) close() { s.closing.Do(func() { close(s.requests) }) }
