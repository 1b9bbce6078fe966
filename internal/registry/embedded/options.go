package embedded

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Defaults of Options.
const (
	DefaultMaxUploadBytes = 10 << 30
	DefaultMaxUploads     = 256
	DefaultUploadIdle     = 15 * time.Minute
)

// Options of a store. Folder is required.
type Options struct {
	// Folder holds everything; it is made if it does not exist.
	Folder string

	// FS is where Folder lies; default the operating system's file system.
	// Tests pass a file system in memory.
	FS vfs.FS

	Durability Durability // default DurabilityCommit

	// Essential is a repository to which Put and Commit write although the
	// disk is too full for new content, because a start, for reads, needs that:
	// the writer's claim. It is for a few bytes. Empty means none.
	Essential string

	Log *slog.Logger // default slog.Default()

	// Fatal is called, at least once, when a write to storage failed so that
	// nobody can know what is durable. The process must end; the next start
	// reads what is there. The default writes the error to Log and exits with
	// code 1. It must not call the Store. If it returns, every further call to
	// the Store fails.
	Fatal func(error)

	MaxUploadBytes int64         // one blob pushed over HTTP; default DefaultMaxUploadBytes
	MaxUploads     int           // upload sessions open at a time; default DefaultMaxUploads
	UploadIdle     time.Duration // after which a session without progress is dropped; default DefaultUploadIdle

	memTableBytes uint64 // of the database; tests make it small
	neverMerge    bool   // tables, for tests that must know how full the disk is
	beforeSlice   func() // of a collection, for tests that write then
}

func (o Options) withDefaults() (Options, error) {
	if o.Folder == "" {
		return o, fmt.Errorf("embedded registry: no data folder given")
	}
	if o.MaxUploadBytes < 0 || o.MaxUploads < 0 || o.UploadIdle < 0 {
		return o, fmt.Errorf("embedded registry: the limits of uploads must not be negative")
	}
	if o.Durability == "" {
		o.Durability = DurabilityCommit
	}
	if err := o.Durability.check(); err != nil {
		return o, err
	}
	if o.FS == nil {
		o.FS = vfs.Default
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Fatal == nil {
		log := o.Log
		o.Fatal = func(err error) {
			log.Error("the embedded registry's storage failed; ending the process", "error", err.Error())
			os.Exit(1)
		}
	}
	if o.MaxUploadBytes == 0 {
		o.MaxUploadBytes = DefaultMaxUploadBytes
	}
	if o.memTableBytes == 0 {
		o.memTableBytes = memTableBytes
	}
	if o.MaxUploads == 0 {
		o.MaxUploads = DefaultMaxUploads
	}
	if o.UploadIdle == 0 {
		o.UploadIdle = DefaultUploadIdle
	}
	return o, nil
}
