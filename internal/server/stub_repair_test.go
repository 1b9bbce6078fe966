package server_test

import (
	"context"

	"gitops-squared.io/gsq/internal/ledger"
)

// stubRepair is the part of a stub that repairs tags.
type stubRepair struct {
	repair func(context.Context, string, []ledger.RepairTag) ([]ledger.RepairedTag, error)
}

func (s stubRepair) Repair(ctx context.Context, namespace string, tags []ledger.RepairTag) ([]ledger.RepairedTag, error) {
	if s.repair == nil {
		return nil, errUnsupported
	}
	return s.repair(ctx, namespace, tags)
}
