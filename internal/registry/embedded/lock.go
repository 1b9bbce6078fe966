package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/sys/unix"
)

// ErrLocked says that another process, or another Store of this one, has the
// data folder open.
var ErrLocked = errors.New("the data folder is in use by another process")

// lockFolder takes the exclusive lock of a data folder without waiting. The
// kernel releases it when the process ends, however it ends.
func lockFolder(fs vfs.FS, folder string) (io.Closer, error) {
	path := fs.PathJoin(folder, lockFile)
	if vfs.Root(fs) != vfs.Default {
		lock, err := fs.Lock(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w (%v)", folder, ErrLocked, err)
		}
		return lock, nil
	}
	// Not fs.Lock: that is a POSIX record lock, which does not exclude a second
	// opener within the process.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w; stop it first, or choose another folder", folder, ErrLocked)
		}
		return nil, fmt.Errorf("lock data folder %s: %w", folder, err)
	}
	return f, nil
}
