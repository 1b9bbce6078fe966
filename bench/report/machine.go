package report

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Machine is what the numbers depend on. What the system does not tell is
// empty.
type Machine struct {
	CPU        string `json:"cpu"`
	Cores      int    `json:"cores"` // that programs may use
	Memory     string `json:"memory"`
	System     string `json:"system"`     // operating system, architecture and kernel
	FileSystem string `json:"fileSystem"` // of the data folder
	Go         string `json:"go"`
	Load       string `json:"load"`   // average number of programs that wanted to run, in the minute before
	Commit     string `json:"commit"` // of the product; with + when files were changed since
}

// Inspect finds out what it can. data is the folder that holds the data, root
// that of the sources.
func Inspect(data, root string) Machine {
	m := Machine{
		CPU: field("/proc/cpuinfo", "model name"), Cores: runtime.GOMAXPROCS(0), Go: runtime.Version(),
		System: runtime.GOOS + "/" + runtime.GOARCH, FileSystem: fileSystem(data), Commit: commit(root),
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.System += ", kernel " + strings.TrimSpace(string(kernel))
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(load), " ")
	}
	if kib, _, ok := strings.Cut(field("/proc/meminfo", "MemTotal"), " "); ok {
		if n, err := strconv.ParseInt(kib, 10, 64); err == nil {
			m.Memory = strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " GiB"
		}
	}
	return m
}

type fact struct{ name, value string }

func (m Machine) facts() []fact {
	all := []fact{
		{"processor", m.CPU}, {"cores", strconv.Itoa(m.Cores)}, {"memory", m.Memory}, {"system", m.System},
		{"file system of the data", m.FileSystem}, {"Go", m.Go}, {"commit", m.Commit},
		{"load before the start", m.Load},
	}
	var known []fact
	for _, f := range all {
		if f.value != "" {
			known = append(known, f)
		}
	}
	return known
}

// field returns the first value of a key in a file of "key : value" lines.
func field(path, key string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		if k, v, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// fileSystem is the type of the mount that holds a folder.
func fileSystem(folder string) string {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return ""
	}
	if folder, err = filepath.EvalSymlinks(folder); err != nil {
		return ""
	}
	return mountOf(string(mounts), folder)
}

// mountOf picks the longest mount point that holds the folder; of two that are
// the same, the later one covers the earlier.
func mountOf(mounts, folder string) string {
	longest, found := 0, ""
	for lines := bufio.NewScanner(strings.NewReader(mounts)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 3 {
			continue
		}
		point := fields[1]
		if folder != point && !strings.HasPrefix(folder, strings.TrimSuffix(point, "/")+"/") {
			continue
		}
		if len(point) >= longest {
			longest, found = len(point), fields[2]
		}
	}
	return found
}

func commit(root string) string {
	git := func(args ...string) string {
		out, err := exec.Command("git", append([]string{"-C", root}, args...)...).Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(out))
	}
	head := git("rev-parse", "--short=12", "HEAD")
	if head != "" && git("status", "--porcelain", "--", "*.go", "go.mod") != "" {
		head += "+"
	}
	return head
}
