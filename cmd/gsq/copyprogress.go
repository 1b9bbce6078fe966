package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/term"

	"gitops-squared.io/gsq/internal/backup"
)

// copyTimeout is for one request of a copy: the longest that the client takes,
// because a layer may be large and a line slow.
const copyTimeout = 10 * time.Second

// How often progress is shown on a terminal, and in a log.
const (
	showOften  = 200 * time.Millisecond
	showSeldom = 10 * time.Second
)

// showProgress writes how far a copy is, until stop is called: as one line that
// changes, on a terminal, else as a line now and then.
func showProgress(w io.Writer, terminal bool, p *backup.Progress) (stop func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	began := time.Now()
	pause := showSeldom
	if terminal {
		pause = showOften
	}
	go func() {
		defer close(ended)
		ticker := time.NewTicker(pause)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				if terminal {
					fmt.Fprint(w, "\r\x1b[K")
				}
				return
			case <-ticker.C:
				line := progressLine(p, time.Since(began))
				if terminal {
					fmt.Fprint(w, "\r\x1b[K"+line)
				} else {
					fmt.Fprintln(w, line)
				}
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// progressWidth is that of the bar.
const progressWidth = 30

func progressLine(p *backup.Progress, took time.Duration) string {
	read, total, done, copied, bytes := p.Now()
	if total == 0 {
		return fmt.Sprintf("reading the history: %d revisions", read)
	}
	full := int(min(done, total) * progressWidth / total)
	bar := strings.Repeat("=", full) + strings.Repeat(" ", progressWidth-full)
	return fmt.Sprintf("[%s] %d of %d artifacts, %d copied, %s", bar, done, total, copied, volume(bytes, took))
}

// volume writes an amount and its speed.
func volume(bytes int64, took time.Duration) string {
	perSecond := float64(bytes) / max(took.Seconds(), 0.001)
	return fmt.Sprintf("%s (%s/s)", inBytes(float64(bytes)), inBytes(perSecond))
}

// inBytes writes a number of bytes in a unit that people read.
func inBytes(n float64) string {
	for _, unit := range []string{"B", "kB", "MB"} {
		if n < 1000 {
			if unit == "B" {
				return fmt.Sprintf("%.0f B", n)
			}
			return fmt.Sprintf("%.1f %s", n, unit)
		}
		n /= 1000
	}
	return fmt.Sprintf("%.1f GB", n)
}

// terminal reports whether messages go to a terminal that can rewrite a line.
func (p process) terminal() bool {
	file, ok := p.Err.(*os.File)
	return ok && p.setting("TERM", "") != "dumb" && term.IsTerminal(int(file.Fd()))
}

// syncFolderOf makes the names in a file's folder durable.
func syncFolderOf(name string) error {
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}
