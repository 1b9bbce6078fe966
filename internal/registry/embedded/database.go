package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// databaseFormat is fixed, so that a newer Pebble does not silently rewrite a
// store that the previous gsq can still read. It is the first that tells a
// torn end of the log from damage in its middle and checks tables' footers.
const databaseFormat = pebble.FormatTableFormatV6

// Without cgo, cache and memory tables lie in Go's heap, of which a server for
// ten thousand resources needs 20 MB. What is read often is the head of each
// chain, which the ledger has in memory anyway. A small table also means a short
// log, and thus a fast start.
const (
	cacheBytes    = 16 << 20
	memTableBytes = 4 << 20

	// youngTables is twice the number of runs of young tables from which they are
	// merged with the old ones, all of which such a merge writes again. Few reads
	// look into more than one run: a filter tells where a key is not.
	youngTables = 8
)

func (s *Store) databaseOptions(fs vfs.FS, create bool) *pebble.Options {
	log := s.log
	o := &pebble.Options{
		FS:                 fs,
		FormatMajorVersion: databaseFormat,
		ErrorIfNotExists:   !create,
		CacheSize:          cacheBytes,
		MemTableSize:       s.options.memTableBytes,
		MaxOpenFiles:       500,
		Logger:             databaseLog{log: log, fatal: s.fail},
		EventListener:      &pebble.EventListener{},

		L0CompactionThreshold: youngTables,
	}
	o.EventListener.WALCreated = s.noteLog
	o.EventListener.BackgroundError = func(err error) {
		log.Error("embedded registry: background work of the database failed", "error", err.Error())
	}
	o.EventListener.DataCorruption = func(info pebble.DataCorruptionInfo) {
		log.Error("embedded registry: damaged file", "path", info.Path, "error", info.Details.Error())
	}
	if s.options.neverMerge {
		o.DisableAutomaticCompactions, o.L0StopWritesThreshold = true, 10_000
	}
	for i := range o.Levels {
		o.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
		o.Levels[i].FilterType = pebble.TableFilter
	}
	return o
}

func (s *Store) openDatabase(create bool) (*pebble.DB, error) {
	var fs vfs.FS = newTables(s.fs, s.space, s.closing)
	if !s.waits() {
		fs = unsyncedLogs{fs}
	}
	db, err := pebble.Open(fs.PathJoin(s.folder, databaseName), s.databaseOptions(fs, create))
	if err == nil {
		return db, nil
	}
	if isDamage(err) {
		return nil, fmt.Errorf("%w (database: %w)", ErrDamaged, err)
	}
	return nil, fmt.Errorf("database: %w", err)
}

// isDamage tells what the database says of the files that it found from what
// the operating system says of reading them, such as that they may not be read.
// That they are missing, or folders, is damage.
func isDamage(err error) bool {
	var number syscall.Errno
	if !errors.As(err, &number) {
		return true
	}
	return slices.Contains([]syscall.Errno{syscall.ENOENT, syscall.ENOTDIR, syscall.EISDIR}, number)
}

// checkDatabase checks that the database is one that belongs to a store with a
// format file.
func checkDatabase(db *pebble.DB) error {
	value, err := get(db, formatKey())
	if err != nil {
		return fmt.Errorf("%w (database: %w)", ErrDamaged, err)
	}
	return damagedIf(string(value) != strconv.Itoa(formatVersion), "its database is not the one that belongs to it")
}

// get returns a copy of a value, or nil if there is none. Values are never
// empty.
func get(db pebble.Reader, key []byte) ([]byte, error) {
	value, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, readError(err)
	}
	copied := append(make([]byte, 0, len(value)), value...)
	if err := closer.Close(); err != nil {
		return nil, readError(err)
	}
	return copied, nil
}

func has(db pebble.Reader, key []byte) (bool, error) {
	_, closer, err := db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, readError(err)
	}
	return true, closer.Close()
}

// databaseLog passes Pebble's log on.
type databaseLog struct {
	log   *slog.Logger
	fatal func(error)
}

func (l databaseLog) Infof(format string, args ...any) {
	l.log.Debug("embedded registry: " + fmt.Sprintf(format, args...))
}

func (l databaseLog) Errorf(format string, args ...any) {
	l.log.Error("embedded registry: " + fmt.Sprintf(format, args...))
}

// Fatalf must not return: Pebble goes on as if the process had ended.
func (l databaseLog) Fatalf(format string, args ...any) {
	l.fatal(fmt.Errorf(format, args...))
	runtime.Goexit()
}
