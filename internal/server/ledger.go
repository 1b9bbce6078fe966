package server

import (
	"context"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
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
	Commit(ctx context.Context, namespace string, number int64) (ledger.Commit, error)
	CommitAt(ctx context.Context, namespace string, at time.Time) (ledger.Commit, error)
	Commits(ctx context.Context, namespace string, from ledger.Place, limit int) (ledger.CommitPage, error)
	Version(ctx context.Context, namespace, name string, version intent.Version) (ledger.Stored, error)
	Versions(ctx context.Context, namespace, name string, from ledger.Place, limit int) (ledger.HistoryPage, error)
	Watch(namespace string) (ledger.Revision, <-chan struct{}, error)
	Namespaces() ([]ledger.Namespace, error)
	Repair(ctx context.Context, namespace string, tags []ledger.RepairTag) ([]ledger.RepairedTag, error)
	Retention(namespace string) (ledger.Retention, error)
	SetRetention(ctx context.Context, namespace string, r artifact.Retention, by ledger.Author) error
	Collect(ctx context.Context, namespace string, dryRun bool) (ledger.Collection, error)
	Collection(namespace string, dryRun bool) (ledger.Collection, error)
}
