// Package ledger is the only code that writes resources and catalogs. It
// queues and batches changes, commits each batch as one revision of its
// namespace's catalog, and never builds on a state that it could not read.
// docs/architecture.md describes the commit protocol, docs/formats.md the bytes.
package ledger

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// Options of a ledger. Registry, Prefix and Schema are required.
type Options struct {
	Registry registry.Registry
	Prefix   string // of all repositories, without a slash at the end
	Schema   *intent.Schema

	// Exclusive says that nobody else can write the prefix (the embedded
	// registry behind its lock), so that no writer claim is needed.
	Exclusive bool

	// Fresh says that a missing system catalog means an empty registry rather
	// than an unreadable one (a data folder without its marker): Run then
	// initialises it.
	Fresh bool

	MaxResources    int // a catalog; default 1,000
	MaxCatalogBytes int // unpacked manifests of a catalog; default 16 MiB
	QueueLength     int // waiting requests a namespace; default 1,024

	Now func() time.Time // the wall clock for versions; default time.Now
	Log *slog.Logger     // default slog.Default()
}

// Ledger is safe for concurrent use.
type Ledger struct{}

// New returns a ledger that is not ready until Run has loaded it.
func New(o Options) (*Ledger, error) { return nil, errors.New("to come") }

// Run claims the prefix, loads the state from the registry, repeating until it
// succeeds, and then keeps watch until ctx ends. Then it drains: what was
// accepted is committed or answered, within 12 seconds. It returns nil after
// a drain, and an error only for what no repetition can mend.
func (l *Ledger) Run(ctx context.Context) error { return nil }

// Ready returns nil once the ledger is loaded and may write, else an *Error
// that says what is missing.
func (l *Ledger) Ready() error { return nil }

// Apply performs a request. It returns when the outcome is durable, or known
// not to happen, or (CodeOutcomeUnknown) after five seconds.
func (l *Ledger) Apply(ctx context.Context, r Request) (Result, error) { return Result{}, nil }

// Get returns one resource and the revision that it was read from.
func (l *Ledger) Get(namespace, name string) (*Entry, Revision, error) { return nil, Revision{}, nil }

// List returns a namespace's present content, from memory.
func (l *Ledger) List(namespace string) (Snapshot, error) { return Snapshot{}, nil }

// ListAt returns a namespace's content at an earlier revision.
// CodeRevisionExpired if the registry does not have it any more.
func (l *Ledger) ListAt(ctx context.Context, namespace string, number int64) (Snapshot, error) {
	return Snapshot{}, nil
}

// Namespaces returns all namespaces by name, deleted ones included.
func (l *Ledger) Namespaces() ([]Namespace, error) { return nil, nil }
