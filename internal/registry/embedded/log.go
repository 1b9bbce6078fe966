package embedded

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// noteLog notes which file the database writes its log to from now on. The
// database does not miss a log that is gone: it would open without what only
// that log had. A crash before this is done leaves the note of the log before,
// which is still there, as what it holds has not been written to a table yet.
func (s *Store) noteLog(info pebble.WALCreateInfo) {
	if info.Err != nil {
		return
	}
	err := writeSynced(s.fs, s.folder, newestLogFile, []byte(s.fs.PathBase(info.Path)+"\n"))
	if err == nil {
		return
	}
	// Without a note, a start does not look for the log; a note that stays
	// behind would be taken for a loss.
	s.log.Warn("embedded registry: the name of the database's newest log cannot be noted", "error", err.Error())
	err = s.fs.Remove(s.fs.PathJoin(s.folder, newestLogFile))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.fail(fmt.Errorf("remove the note of the newest log: %w", err))
	}
}

// logBytes is the size of the logs of a database.
func logBytes(fs vfs.FS, folder string) (size int64, err error) {
	names, err := fs.List(folder)
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		info, err := fs.Stat(fs.PathJoin(folder, name))
		if err != nil {
			return 0, err
		}
		size += info.Size()
	}
	return size, nil
}

// checkLog returns ErrDamaged if the noted log is missing.
func (s *Store) checkLog() error {
	data, err := readSmallFile(s.fs, s.fs.PathJoin(s.folder, newestLogFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the note of the newest log: %w", err)
	}
	name := strings.TrimSuffix(string(data), "\n")
	there := false
	if name != "" && name == s.fs.PathBase(name) {
		if there, err = exists(s.fs, s.fs.PathJoin(s.folder, databaseName, name)); err != nil {
			return err
		}
	}
	return damagedIf(!there, "its database's log %q is missing, which has the latest writes", name)
}
