//go:build unix && !linux

package cluster

import (
	"os/exec"
	"strconv"
	"strings"
)

// startTime returns when a process started, in a form that only equality makes
// sense of, or "" if there is no such process or it only waits to be reaped.
func startTime(pid int) string {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	state, started, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if err != nil || strings.HasPrefix(state, "Z") {
		return ""
	}
	return strings.TrimSpace(started)
}
