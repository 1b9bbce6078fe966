package embedded

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/opencontainers/go-digest"
)

// Durability says what has happened when a write is acknowledged.
type Durability string

const (
	// DurabilityCommit: what was acknowledged survives the loss of power.
	DurabilityCommit Durability = "commit"

	// DurabilityNone: no write waits for a sync. What was acknowledged
	// survives the end of the process, however it ends, because the operating
	// system has it. The loss of power, or a crash of the operating system,
	// may take the latest writes, and may leave a store that is damaged and
	// says so.
	DurabilityNone Durability = "none"
)

func (d Durability) check() error {
	if d == DurabilityCommit || d == DurabilityNone {
		return nil
	}
	return fmt.Errorf("embedded registry: the durability must be %s or %s, not %q", DurabilityCommit, DurabilityNone, string(d))
}

// waits reports whether writes wait for syncs.
func (s *Store) waits() bool { return s.options.Durability == DurabilityCommit }

// unsyncedLogs is a file system whose files of the database's log are synced
// only when they are closed. A commit still hands its part of the log to the
// operating system, but does not wait for the disk. That the closed logs and
// the tables are synced keeps the database in order.
type unsyncedLogs struct{ vfs.FS }

func (fs unsyncedLogs) wrap(name string, f vfs.File, err error) (vfs.File, error) {
	if err != nil || filepath.Ext(name) != ".log" {
		return f, err
	}
	return unsyncedLog{f}, nil
}

// Create implements vfs.FS.
func (fs unsyncedLogs) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	return fs.wrap(name, f, err)
}

// ReuseForWrite implements vfs.FS.
func (fs unsyncedLogs) ReuseForWrite(old, name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(old, name, category)
	return fs.wrap(name, f, err)
}

// Unwrap implements vfs.FS.
func (fs unsyncedLogs) Unwrap() vfs.FS { return fs.FS }

type unsyncedLog struct{ vfs.File }

// Sync implements vfs.File.
func (f unsyncedLog) Sync() error { return nil }

// SyncData implements vfs.File.
func (f unsyncedLog) SyncData() error { return nil }

// SyncTo implements vfs.File.
func (f unsyncedLog) SyncTo(int64) (fullSync bool, err error) { return false, nil }

// Close implements vfs.File.
func (f unsyncedLog) Close() error { return errors.Join(f.File.SyncData(), f.File.Close()) }

// unsyncedFile is in a folder whose blobs may not be durable, because it was
// opened with DurabilityNone.
const unsyncedFile = "unsynced"

// settleBlobs makes durable what an opening with DurabilityNone left behind,
// or notes that this is one: a blob that is there is not written again when it
// is pushed again, and must be durable then.
func (s *Store) settleBlobs() error {
	if !s.waits() {
		return writeSynced(s.fs, s.folder, unsyncedFile, nil)
	}
	unsynced, err := exists(s.fs, s.fs.PathJoin(s.folder, unsyncedFile))
	if err != nil || !unsynced {
		return err
	}
	for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		folder := s.fs.PathJoin(s.folder, blobsName, algorithm.String())
		names, err := s.fs.List(folder)
		if err != nil {
			return err
		}
		for _, name := range names {
			f, err := s.fs.Open(s.fs.PathJoin(folder, name))
			if err != nil {
				return err
			}
			if err := errors.Join(f.Sync(), f.Close()); err != nil {
				return err
			}
		}
		if err := syncFolder(s.fs, folder); err != nil {
			return err
		}
	}
	return s.fs.Remove(s.fs.PathJoin(s.folder, unsyncedFile))
}
