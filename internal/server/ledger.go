package server

import (
	"context"

	"gitops-squared.io/gsq/internal/ledger"
)

// Ledger is what the server needs of *ledger.Ledger, whose methods' comments
// are the contract.
type Ledger interface {
	Ready() error
	Ping(ctx context.Context) error
	Apply(ctx context.Context, r ledger.Request) (ledger.Result, error)
	Get(namespace, name string) (*ledger.Entry, ledger.Revision, error)
	List(namespace string) (ledger.Snapshot, error)
	ListAt(ctx context.Context, namespace string, number int64) (ledger.Snapshot, error)
	Namespaces() ([]ledger.Namespace, error)
}
