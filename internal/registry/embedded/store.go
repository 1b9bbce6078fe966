// Package embedded is the product's own OCI registry: a Pebble database for
// manifests, tags, referrers and small blobs, and files for large blobs. The
// ledger uses it in process, as a registry.Registry; Handler serves it at /v2/
// to everyone else (OCI distribution spec 1.1). It deletes nothing that it was
// not told to delete. docs/embedded-registry.md describes what lies on disk.
package embedded

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"gitops-squared.io/gsq/internal/registry"
)

// Store is a registry in a data folder. It is safe for concurrent use.
type Store struct {
	fs      vfs.FS
	folder  string
	log     *slog.Logger
	options Options
	lock    io.Closer
	db      *pebble.DB
	uploads uploads
	space   *space
	recent  recentChunks

	confirmed *confirmations
	temporary sync.Map   // paths of files among the uploads that are in use
	collected *collected // what collections have removed

	closing   chan struct{} // closed when Close begins
	closeOnce sync.Once

	failure atomic.Pointer[error] // the first fatal error

	// life is held shared by every operation on the database, and exclusively
	// by Close.
	life   sync.RWMutex
	closed bool

	// blobs is held shared by whoever makes blobs or names them, until the
	// batch is applied, and exclusively by who removes one: a blob does not
	// vanish between being found and being named.
	blobs sync.RWMutex

	// collecting is held by the collection under way. It sets marks while it
	// holds blobs exclusively.
	collecting sync.Mutex
	marks      atomic.Pointer[marks]

	// tags is held shared by whoever moves tags, until the batch is applied,
	// and exclusively by who removes a manifest: a tag never names a manifest
	// that is not there. Nobody waits for a sync while holding it.
	tags sync.RWMutex
}

var _ registry.Registry = (*Store)(nil)

// Open opens the store in a data folder, or makes an empty one if the folder
// is empty or missing. Errors: ErrLocked if another opener has it, ErrDamaged
// if a store is there that cannot be read, and an error that names both
// versions if it has a format that this code does not know.
func Open(o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := makeFolder(o.FS, o.Folder); err != nil {
		return nil, fmt.Errorf("embedded registry: data folder %s: %w", o.Folder, err)
	}
	lock, err := lockFolder(o.FS, o.Folder)
	if err != nil {
		return nil, fmt.Errorf("embedded registry: %w", err)
	}
	s := &Store{fs: o.FS, folder: o.Folder, log: o.Log, options: o, lock: lock, space: newSpace(o), closing: make(chan struct{})}
	s.confirmed, s.collected = newConfirmations(), &collected{}
	s.uploads.open = map[string]*upload{}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded registry: %w", err), lock.Close())
	}
	return s, nil
}

func (s *Store) load() error {
	format, err := readFormat(s.fs, s.folder)
	if err != nil {
		return err
	}
	if format == 0 {
		if err := prepare(s.fs, s.folder); err != nil {
			return fmt.Errorf("%s: %w", s.folder, err)
		}
	}
	err = errors.Join(checkParts(s.fs, s.folder), clearUploads(s.fs, s.folder))
	if err == nil && format != 0 { // else the note is of an interrupted making
		err = s.checkLog()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.folder, err)
	}
	logs, err := logBytes(s.fs, s.fs.PathJoin(s.folder, databaseName))
	if err == nil {
		err = s.space.begin(logs)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.folder, err)
	}
	if s.db, err = s.openDatabase(format == 0); err != nil {
		return fmt.Errorf("%s: %w", s.folder, err)
	}
	if format == 0 {
		err = s.complete()
	} else {
		err = checkDatabase(s.db)
	}
	if err == nil {
		err = errors.Join(removeCreating(s.fs, s.folder), s.settleBlobs())
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", s.folder, err), s.db.Close())
	}
	s.space.settle()
	return nil
}

// complete ends the making of a store: from the format file on, it is one.
func (s *Store) complete() error {
	version := strconv.Itoa(formatVersion)
	if err := s.db.Set(formatKey(), []byte(version), pebble.Sync); err != nil {
		return err
	}
	// The database began its log before it took on its format. Only the next
	// one tells damage from a torn end.
	if err := s.db.Flush(); err != nil {
		return err
	}
	return writeSynced(s.fs, s.folder, formatFile, []byte(version+"\n"))
}

// Close waits for the calls under way, ends the upload sessions and releases
// the folder. What was acknowledged is durable already; Close syncs the rest.
// Later calls fail. Close may be called again.
func (s *Store) Close() error {
	s.closeOnce.Do(func() { close(s.closing) })
	s.endUploads()
	s.life.Lock()
	defer s.life.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	if failure := s.failure.Load(); failure != nil {
		// The database may wait for ever on locks that its failure left behind.
		return errors.Join(*failure, s.lock.Close())
	}
	return errors.Join(s.db.Close(), s.lock.Close())
}

// fail notes that nobody can know what is durable, and says so to the owner.
func (s *Store) fail(err error) {
	err = fmt.Errorf("%s: %w", s.folder, err)
	s.failure.CompareAndSwap(nil, &err)
	s.options.Fatal(err)
}

// usable returns why the database must not be used, or nil. The caller holds
// life.
func (s *Store) usable() error {
	if failure := s.failure.Load(); failure != nil {
		return fmt.Errorf("%w: storage failed: %w", registry.ErrUnavailable, *failure)
	}
	if s.closed {
		return fmt.Errorf("%w: the embedded registry is closed", registry.ErrUnreachable)
	}
	return nil
}
