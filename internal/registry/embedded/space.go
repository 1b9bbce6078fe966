package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"gitops-squared.io/gsq/internal/registry"
)

// space watches over the room on the disk. A write that the database cannot
// finish ends the process, so new ones are refused while there still is room
// to finish those that were accepted. The last of it is not left to chance: a
// file of zeros, the reserve, holds it against everybody else who fills the
// disk, and is given up when the database needs it. Writes are accepted again
// when there is room for the reserve. A file system that does not tell how much
// is free has no limit.
type space struct {
	fs     vfs.FS
	folder string
	log    *slog.Logger

	reserve int64 // bytes of the file
	margin  int64 // bytes that have to be free besides

	mu       sync.Mutex
	limited  bool      // the file system tells what is free
	free     int64     // bytes when last looked, less what was accepted since
	accepted int64     // bytes since then
	looked   time.Time // when
	held     bool      // the reserve lies on the disk
	refusing bool      // as the log last said
}

// What was free is believed for so long, and for a part of the margin.
const (
	freeAge  = 100 * time.Millisecond
	freePart = 16
)

// smallPart is the part of the margin that small writes need, and that stays
// free when the reserve is taken back.
const smallPart = 8

// spaceFactor is how many times what the database has in memory the reserve and
// the margin are each: it may have to write the next file of its log, and two
// such memories to tables.
const spaceFactor = 4

// writeFactor is how often a byte is written: to the log and to a table.
const writeFactor = 2

// minimalRoom is for what an opening writes besides its log.
const minimalRoom = 256 << 10

const reserveFile = "reserve"

func newSpace(o Options) *space {
	return &space{
		fs: o.FS, folder: o.Folder, log: o.Log,
		reserve: int64(spaceFactor * o.memTableBytes), margin: int64(spaceFactor * o.memTableBytes),
	}
}

// begin takes the reserve, that of the last opening if it left one, and returns ErrNoSpace if
// the database cannot be opened in the room that there is: it writes its log
// to tables when it is.
func (p *space) begin(log int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.measure(); !p.limited {
		return nil
	}
	there, err := exists(p.fs, p.path())
	if err != nil {
		return err
	}
	room := p.free
	if there && p.hold() {
		p.measure()
		room = p.free + p.reserve
	}
	if need := log + minimalRoom; room < need {
		return fmt.Errorf("%w: the file system of %s has %d MiB left, %d MiB are needed to open it; nothing was changed, free some space", registry.ErrNoSpace, p.folder, room>>20, need>>20+1)
	}
	p.looked = time.Time{}
	p.look()
	return nil
}

// settle takes the reserve back if the opening needed it, or says that there is
// no room.
func (p *space) settle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked = time.Time{}
	p.look()
	if p.full(0) {
		_ = p.refuse(p.margin) // for the log
	}
}

// accept accepts a write of new content, or returns ErrNoSpace.
func (p *space) accept(bytes int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look()
	if p.full(bytes) {
		return p.refuse(p.margin + bytes)
	}
	p.free -= bytes
	p.accepted += bytes
	p.resume()
	return nil
}

// acceptSmall accepts a write of a few bytes that completes an accepted one,
// that deletes something, or without which there is no start. It is refused
// only when the reserve is gone, and little else is left.
func (p *space) acceptSmall() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look()
	if p.limited && !p.held && p.free < p.margin/smallPart {
		return p.refuse(p.margin)
	}
	return nil
}

// spare accepts a write of work that can wait, or reports that there is no room
// for that.
func (p *space) spare(bytes int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look()
	if p.limited && (!p.held || p.free-bytes < p.margin/2) {
		return false
	}
	p.free -= bytes
	p.accepted += bytes
	return true
}

// give gives the reserve up. The database calls it when a write found the disk
// full, and tries once more.
func (p *space) give() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = false
	p.log.Error("embedded registry: the disk is full, the reserve is used up", "folder", p.folder)
	if err := p.fs.Remove(p.path()); err != nil && !errors.Is(err, os.ErrNotExist) {
		p.log.Error("embedded registry: the reserve cannot be removed", "error", err.Error())
	}
}

// state returns how many bytes are free, how many the reserve holds, and
// whether new content is refused.
func (p *space) state() (free, reserve int64, full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.look()
	if p.held {
		reserve = p.reserve
	}
	return p.free, reserve, p.full(0)
}

// full reports whether there is no room for so many bytes of new content.
func (p *space) full(bytes int64) bool {
	return p.limited && (!p.held || p.free-bytes < p.margin)
}

func (p *space) path() string { return p.fs.PathJoin(p.folder, reserveFile) }

// look asks what is free, if the last answer is old, and takes the reserve back
// if there is room. The caller holds mu.
func (p *space) look() {
	if time.Since(p.looked) < freeAge && p.accepted < p.margin/freePart {
		return
	}
	p.measure()
	if p.limited && !p.held && p.free >= p.reserve+p.margin/smallPart && p.hold() {
		p.measure()
	}
}

func (p *space) measure() {
	usage, err := p.fs.GetDiskUsage(p.folder)
	p.limited = err == nil
	p.free = int64(min(usage.AvailBytes, 1<<62))
	p.accepted, p.looked = 0, time.Now()
}

// hold makes the reserve, or makes sure of the one that is there.
func (p *space) hold() bool {
	f, err := p.fs.OpenReadWrite(p.path(), vfs.WriteCategoryUnspecified)
	if err == nil {
		err = errors.Join(f.Preallocate(0, p.reserve), f.Close())
	}
	if err != nil {
		p.log.Warn("embedded registry: the reserve cannot be made", "error", err.Error())
		if err := p.fs.Remove(p.path()); err != nil && !errors.Is(err, os.ErrNotExist) {
			p.log.Warn("embedded registry: the reserve cannot be removed", "error", err.Error())
		}
	}
	p.held = err == nil
	return p.held
}

func (p *space) refuse(need int64) error {
	if !p.held {
		need += p.reserve
	}
	err := fmt.Errorf("%w: the file system of %s has %d MiB left, %d MiB are needed; nothing was stored, free some space", registry.ErrNoSpace, p.folder, p.free>>20, need>>20+1)
	if !p.refusing {
		p.refusing = true
		p.log.Error("embedded registry: writes are refused", "error", err.Error())
	}
	return err
}

func (p *space) resume() {
	if p.refusing {
		p.refusing = false
		p.log.Info("embedded registry: writes are accepted again", "free", p.free)
	}
}

// isFull reports whether the operating system has refused to store more.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// fileError classifies what storing a file returned that nothing names yet.
func fileError(err error) error {
	if isFull(err) {
		return fmt.Errorf("%w: %w", registry.ErrNoSpace, err)
	}
	return fmt.Errorf("%w: %w", registry.ErrUnavailable, err)
}
