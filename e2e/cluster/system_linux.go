package cluster

import (
	"bytes"
	"fmt"
	"os"
)

// startTime returns when a process started, in a form that only equality makes
// sense of, or "" if there is no such process or it only waits to be reaped.
// Source: proc_pid_stat(5), fields 3 (state) and 22 (starttime).
func startTime(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field, the name, may hold spaces and parentheses.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return ""
	}
	return string(fields[19])
}
