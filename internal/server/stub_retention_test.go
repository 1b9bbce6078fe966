package server_test

import (
	"context"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/ledger"
)

// stubRetention is the part of a stub that keeps and collects the history.
type stubRetention struct {
	retention    func(string) (ledger.Retention, error)
	setRetention func(context.Context, string, artifact.Retention, ledger.Author) error
	collect      func(context.Context, string, bool) (ledger.Collection, error)
	collection   func(string, bool) (ledger.Collection, error)
}

func (s stubRetention) Retention(namespace string) (ledger.Retention, error) {
	if s.retention == nil {
		return ledger.Retention{}, errUnsupported
	}
	return s.retention(namespace)
}

func (s stubRetention) SetRetention(ctx context.Context, namespace string, r artifact.Retention, by ledger.Author) error {
	if s.setRetention == nil {
		return errUnsupported
	}
	return s.setRetention(ctx, namespace, r, by)
}

func (s stubRetention) Collect(ctx context.Context, namespace string, dryRun bool) (ledger.Collection, error) {
	if s.collect == nil {
		return ledger.Collection{}, errUnsupported
	}
	return s.collect(ctx, namespace, dryRun)
}

func (s stubRetention) Collection(namespace string, dryRun bool) (ledger.Collection, error) {
	if s.collection == nil {
		return ledger.Collection{}, errUnsupported
	}
	return s.collection(namespace, dryRun)
}
