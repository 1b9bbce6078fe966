package embedded

import (
	"strings"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// fullPause is how long the database's background work waits when the disk is
// full: it repeats itself at once, for ever.
const fullPause = time.Second

// tables is the file system of the database. When the disk is full, what must
// be written uses up the reserve; merging tables, which can wait, leaves it
// alone.
type tables struct {
	vfs.FS // that gives the reserve up
	plain  vfs.FS
	space  *space
	closed <-chan struct{}
}

func newTables(fs vfs.FS, p *space, closed <-chan struct{}) tables {
	return tables{FS: vfs.OnDiskFull(fs, p.give), plain: fs, space: p, closed: closed}
}

// Create implements vfs.FS.
func (t tables) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if category != "pebble-compaction" {
		f, err := t.FS.Create(name, category)
		if err == nil && strings.HasSuffix(name, ".sst") {
			f = table{f, t, false}
		}
		return f, t.pause(err)
	}
	if !t.space.spare(0) {
		return nil, t.pause(syscall.ENOSPC)
	}
	f, err := t.plain.Create(name, category)
	if err == nil {
		f = table{f, t, true}
	}
	return f, t.pause(err)
}

// Unwrap implements vfs.FS.
func (t tables) Unwrap() vfs.FS { return t.FS }

// pause waits if err says that the disk is full.
func (t tables) pause(err error) error {
	if isFull(err) {
		timer := time.NewTimer(fullPause)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-t.closed:
		}
	}
	return err
}

// table is a table that is being written.
type table struct {
	vfs.File
	t       tables
	canWait bool
}

// Write implements vfs.File.
func (f table) Write(p []byte) (int, error) {
	if f.canWait && !f.t.space.spare(int64(len(p))) {
		return 0, f.t.pause(syscall.ENOSPC)
	}
	n, err := f.File.Write(p)
	return n, f.t.pause(err)
}
