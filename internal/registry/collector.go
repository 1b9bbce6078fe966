package registry

import (
	"context"
	"time"
)

// Collector is what a Registry can also be if it can free the space of what is
// no longer referenced while it is in use. Registries without it free space by
// means of their own, often offline.
type Collector interface {
	// Collect removes what no manifest of any repository names: blobs, and
	// whatever the registry stores beneath them. It removes no manifest and no
	// tag: Delete those first.
	//
	// A manifest that is stored, or is being stored, never loses a blob, whatever
	// runs at the same time and whenever the process ends. A blob that was
	// pushed or mounted less than grace ago stays, because a manifest that names
	// it may follow; so does one that a client asked for, and was told that it
	// need not push it. Zero grace keeps only what is named.
	//
	// It may be called at any time, and works in small steps: writers go on. One
	// call runs at a time; another is ErrUnavailable. When it fails, or is
	// interrupted, what was done is done and another call does the rest. Damage
	// that it meets ends it with ErrCorrupt, rather than that it deletes what it
	// cannot judge. Freed says what was removed, also with an error.
	Collect(ctx context.Context, grace time.Duration) (Freed, error)
}

// Freed is what a Collector has removed.
type Freed struct {
	Blobs  int   // that no manifest names
	Chunks int   // that no blob consists of
	Files  int   // of blobs and of uploads
	Bytes  int64 // of content, in the database and in files

	// Fresh is how many blobs stay, once for each repository that has them,
	// only because of the grace.
	Fresh int
}
