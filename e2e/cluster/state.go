package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// State is what a cluster's folder says about the processes that were started
// for it.
type State struct {
	Ready     bool           `json:"ready"` // Start succeeded
	Processes []ProcessState `json:"processes"`
}

// ProcessState names one process so that no other can be taken for it.
type ProcessState struct {
	Name    string `json:"name"`
	PID     int    `json:"pid"`     // also its process group and session
	Started string `json:"started"` // as the system tells it
}

// Alive says whether the process still runs.
func (p ProcessState) Alive() bool { return p.Started != "" && startTime(p.PID) == p.Started }

func stateFile(dir string) string { return filepath.Join(dir, "processes.json") }

func writeState(dir string, s State) error {
	content, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	temporary := stateFile(dir) + ".new"
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, stateFile(dir))
}

// ReadState returns what was started in dir; nothing if dir has no state.
func ReadState(dir string) (State, error) {
	content, err := os.ReadFile(stateFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, nil
	}
	if err != nil {
		return State{}, err
	}
	var s State
	if err := json.Unmarshal(content, &s); err != nil {
		return State{}, fmt.Errorf("%s: %w", stateFile(dir), err)
	}
	return s, nil
}

// Down ends the processes of a detached cluster, exactly those that its state
// names, and returns how many of them were running. The folder stays.
func Down(dir string) (int, error) {
	s, err := ReadState(dir)
	if err != nil {
		return 0, err
	}
	ended := 0
	for i := len(s.Processes) - 1; i >= 0; i-- {
		p := s.Processes[i]
		if !p.Alive() {
			continue
		}
		if err := p.end(); err != nil {
			return ended, err
		}
		ended++
	}
	return ended, nil
}

func (p ProcessState) end() error {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := syscall.Kill(-p.PID, signal); err != nil && err != syscall.ESRCH {
			return fmt.Errorf("stop %s (pid %d): %w", p.Name, p.PID, err)
		}
		for deadline := time.Now().Add(stopTimeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
			if !p.Alive() {
				return nil
			}
		}
	}
	return fmt.Errorf("stop %s: pid %d outlived SIGKILL by %v", p.Name, p.PID, stopTimeout)
}
