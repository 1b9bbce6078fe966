package embedded

import (
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// disk is a file system in memory that becomes full.
type disk struct {
	vfs.FS

	mu    sync.Mutex
	total int64
	taken map[string]int64 // by file, as it was written or preallocated
	other int64            // by somebody else
}

func newDisk(total int64) *disk {
	return &disk{FS: vfs.NewMem(), total: total, taken: map[string]int64{}}
}

func (d *disk) free() int64 {
	used := d.other
	for _, n := range d.taken {
		used += n
	}
	return max(0, d.total-used)
}

// fill lets somebody else take all but so many bytes of what is free.
func (d *disk) fill(left int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.other += d.free() - left
}

// empty lets somebody else give back what it took.
func (d *disk) empty() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.other = 0
}

// take makes a file so many bytes long, if there is room.
func (d *disk) take(name string, size int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	more := size - d.taken[name]
	if more <= 0 {
		return nil
	}
	if more > d.free() {
		return syscall.ENOSPC
	}
	d.taken[name] = size
	return nil
}

func (d *disk) move(from, to string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.taken[to] = d.taken[from]
	delete(d.taken, from)
}

func (d *disk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return vfs.DiskUsage{AvailBytes: uint64(d.free()), TotalBytes: uint64(d.total)}, nil
}

func (d *disk) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	d.forget(name)
	f, err := d.FS.Create(name, category)
	return &diskFile{f, d, name, 0}, err
}

func (d *disk) OpenReadWrite(name string, category vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := d.FS.OpenReadWrite(name, category, o...)
	return &diskFile{f, d, name, 0}, err
}

func (d *disk) ReuseForWrite(from, to string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := d.FS.ReuseForWrite(from, to, category)
	d.move(from, to)
	return &diskFile{f, d, to, 0}, err
}

func (d *disk) Rename(from, to string) error {
	d.move(from, to)
	return d.FS.Rename(from, to)
}

func (d *disk) Remove(name string) error {
	d.forget(name)
	return d.FS.Remove(name)
}

func (d *disk) RemoveAll(name string) error {
	d.forget(name)
	return d.FS.RemoveAll(name)
}

func (d *disk) forget(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for file := range d.taken {
		if file == name || strings.HasPrefix(file, name+"/") {
			delete(d.taken, file)
		}
	}
}

type diskFile struct {
	vfs.File
	d    *disk
	name string
	size int64
}

func (f *diskFile) Write(p []byte) (int, error) {
	if err := f.d.take(f.name, f.size+int64(len(p))); err != nil {
		return 0, err
	}
	n, err := f.File.Write(p)
	f.size += int64(n)
	return n, err
}

func (f *diskFile) Preallocate(offset, length int64) error { return f.d.take(f.name, offset+length) }

func TestDiskBecomesFull(t *testing.T) {
	t.Parallel()
	d := newDisk(100)
	f, err := d.Create("/a", vfs.WriteCategoryUnspecified)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Preallocate(0, 60); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, 70)); err != nil || d.free() != 30 {
		t.Fatalf("%v, %d bytes free", err, d.free())
	}
	if _, err := f.Write(make([]byte, 31)); err != syscall.ENOSPC {
		t.Fatalf("full: %v", err)
	}
	if err := d.Rename("/a", "/b"); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove("/b"); err != nil || d.free() != 100 {
		t.Fatalf("%v, %d bytes free", err, d.free())
	}
}
