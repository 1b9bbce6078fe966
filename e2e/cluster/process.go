package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"gitops-squared.io/gsq/e2e/spawn"
)

// process is one program that we started, in a session of its own.
type process struct {
	name    string
	cmd     *exec.Cmd
	log     string
	started string        // see startTime
	done    chan struct{} // closed when it ended; only then may its pid be reused
}

// await calls check until it returns nil, the process ends or ctx does.
func (p *process) await(ctx context.Context, check func(context.Context) error) error {
	for {
		err := check(ctx)
		if ended := p.exited(); ended != nil {
			return ended
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; last answer: %w\n%s", p.name, context.Cause(ctx), err, p.tail())
		case <-p.done:
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// exited returns an error with the end of the log if the process has ended.
func (p *process) exited() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	tail := p.tail()
	if strings.Contains(tail, "address already in use") {
		return fmt.Errorf("%s: %w\n%s", p.name, spawn.ErrPortTaken, tail)
	}
	return fmt.Errorf("%s ended: %s\n%s", p.name, p.cmd.ProcessState, tail)
}

// stop ends the process and whatever it started.
func (p *process) stop() error {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		select {
		case <-p.done:
			return nil
		default:
		}
		// The pid is ours as long as done is open: it was not waited for.
		if err := syscall.Kill(-p.cmd.Process.Pid, signal); err != nil && err != syscall.ESRCH {
			return fmt.Errorf("stop %s (pid %d): %w", p.name, p.cmd.Process.Pid, err)
		}
		select {
		case <-p.done:
			return nil
		case <-time.After(stopTimeout):
		}
	}
	return fmt.Errorf("stop %s: pid %d outlived SIGKILL by %v", p.name, p.cmd.Process.Pid, stopTimeout)
}

// tail returns the end of the process's log.
func (p *process) tail() string {
	const most = 4 << 10
	f, err := os.Open(p.log)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		f.Seek(max(0, size-most), io.SeekStart)
	}
	content, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("--- end of %s:\n%s", p.log, bytes.TrimSpace(content))
}
