//go:build !linux

package backup

import "os"

// flush makes a file durable, because nothing makes all of them so at once.
func flush(f *os.File) error { return f.Sync() }

// syncAll makes the folder durable that was opened.
func syncAll(f *os.File) error { return f.Sync() }
