package server_test

import (
	"context"
	"errors"

	"gitops-squared.io/gsq/internal/ledger"
)

// stub is a ledger for faults that a real one does not show on demand. A nil
// function answers that it is not supported.
type stub struct {
	ready      func() error
	ping       func(context.Context) error
	apply      func(context.Context, ledger.Request) (ledger.Result, error)
	get        func(namespace, name string) (*ledger.Entry, ledger.Revision, error)
	list       func(namespace string) (ledger.Snapshot, error)
	listAt     func(context.Context, string, int64) (ledger.Snapshot, error)
	namespaces func() ([]ledger.Namespace, error)
	stubHistory
	stubWatch
	stubRetention
	stubRepair
}

var errUnsupported = errors.New("the stub does not support this")

func (s stub) Ready() error {
	if s.ready == nil {
		return errUnsupported
	}
	return s.ready()
}

func (s stub) Ping(ctx context.Context) error {
	if s.ping == nil {
		return errUnsupported
	}
	return s.ping(ctx)
}

func (s stub) Apply(ctx context.Context, r ledger.Request) (ledger.Result, error) {
	if s.apply == nil {
		return ledger.Result{}, errUnsupported
	}
	return s.apply(ctx, r)
}

func (s stub) Get(namespace, name string) (*ledger.Entry, ledger.Revision, error) {
	if s.get == nil {
		return nil, ledger.Revision{}, errUnsupported
	}
	return s.get(namespace, name)
}

func (s stub) List(namespace string) (ledger.Snapshot, error) {
	if s.list == nil {
		return ledger.Snapshot{}, errUnsupported
	}
	return s.list(namespace)
}

func (s stub) ListAt(ctx context.Context, namespace string, number int64) (ledger.Snapshot, error) {
	if s.listAt == nil {
		return ledger.Snapshot{}, errUnsupported
	}
	return s.listAt(ctx, namespace, number)
}

func (s stub) Namespaces() ([]ledger.Namespace, error) {
	if s.namespaces == nil {
		return nil, errUnsupported
	}
	return s.namespaces()
}

// failing answers everything with one error.
func failing(err error) stub {
	return stub{
		ready:      func() error { return err },
		ping:       func(context.Context) error { return err },
		apply:      func(context.Context, ledger.Request) (ledger.Result, error) { return ledger.Result{}, err },
		get:        func(string, string) (*ledger.Entry, ledger.Revision, error) { return nil, ledger.Revision{}, err },
		list:       func(string) (ledger.Snapshot, error) { return ledger.Snapshot{}, err },
		namespaces: func() ([]ledger.Namespace, error) { return nil, err },
	}
}
