package server_test

import "gitops-squared.io/gsq/internal/ledger"

// stubWatch is the part of a stub that wakes watchers.
type stubWatch struct {
	watch func(namespace string) (ledger.Revision, <-chan struct{}, error)
}

func (s stubWatch) Watch(namespace string) (ledger.Revision, <-chan struct{}, error) {
	if s.watch == nil {
		return ledger.Revision{}, nil, errUnsupported
	}
	return s.watch(namespace)
}
