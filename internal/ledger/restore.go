package ledger

import (
	"context"
	"errors"
	"fmt"

	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// Restore lets fill write a whole registry under the prefix, which must not be
// initialised yet: ErrInitialised otherwise, and fill is not called. It holds the
// writer claim meanwhile, which takes the settle time of 15 seconds unless
// Options.Exclusive. The claim is later than newest, the latest moment in what
// is restored.
//
// fill writes with the registry that it is given, which takes no write after the
// claim was lost. It calls check before it moves tags and between slices of
// them, and puts system's latest last: from then on the prefix is initialised.
func Restore(ctx context.Context, o Options, newest intent.Version, fill func(ctx context.Context, r registry.Registry, check func(context.Context) error) error) error {
	l, err := New(o)
	if err != nil {
		return err
	}
	l.work = ctx
	l.stamps.observe(newest)
	if _, err := l.claimFresh(ctx); err != nil {
		return err
	}
	err = fill(ctx, guarded{l.o.Registry, l.claim}, l.claim.check)
	if errors.Is(err, errSuperseded) {
		return fmt.Errorf("another ledger, init or restore has claimed %s meanwhile: %w", l.o.Prefix, err)
	}
	return err
}
