package server_test

import (
	"context"
	"time"

	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
)

// stubHistory is the part of a stub that answers from the history.
type stubHistory struct {
	commit   func(context.Context, string, int64) (ledger.Commit, error)
	commitAt func(context.Context, string, time.Time) (ledger.Commit, error)
	commits  func(context.Context, string, ledger.Place, int) (ledger.CommitPage, error)
	version  func(context.Context, string, string, intent.Version) (ledger.Stored, error)
	versions func(context.Context, string, string, ledger.Place, int) (ledger.HistoryPage, error)
}

func (s stubHistory) Commit(ctx context.Context, namespace string, number int64) (ledger.Commit, error) {
	if s.commit == nil {
		return ledger.Commit{}, errUnsupported
	}
	return s.commit(ctx, namespace, number)
}

func (s stubHistory) CommitAt(ctx context.Context, namespace string, at time.Time) (ledger.Commit, error) {
	if s.commitAt == nil {
		return ledger.Commit{}, errUnsupported
	}
	return s.commitAt(ctx, namespace, at)
}

func (s stubHistory) Commits(ctx context.Context, namespace string, from ledger.Place, limit int) (ledger.CommitPage, error) {
	if s.commits == nil {
		return ledger.CommitPage{}, errUnsupported
	}
	return s.commits(ctx, namespace, from, limit)
}

func (s stubHistory) Version(ctx context.Context, namespace, name string, v intent.Version) (ledger.Stored, error) {
	if s.version == nil {
		return ledger.Stored{}, errUnsupported
	}
	return s.version(ctx, namespace, name, v)
}

func (s stubHistory) Versions(ctx context.Context, namespace, name string, from ledger.Place, limit int) (ledger.HistoryPage, error) {
	if s.versions == nil {
		return ledger.HistoryPage{}, errUnsupported
	}
	return s.versions(ctx, namespace, name, from, limit)
}
