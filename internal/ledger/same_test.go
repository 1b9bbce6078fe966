package ledger_test

import (
	"context"
	"testing"

	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// A request that would change nothing is answered so only by the ledger that
// holds the prefix: another one may have changed what it is compared with.
func TestNothingChangesOnlyForTheHolder(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		first := start(t, store)
		small := ledger.Request{Namespace: "default", Changes: []ledger.Change{put("a", "small")}}
		apply(t, first, "default", small.Changes...)
		if r := apply(t, first, "default", small.Changes...); r.Outcomes[0].Operation != ledger.Unchanged {
			t.Fatalf("%+v", r)
		}
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Repository == prefix+"/writer" {
				return faulty.Refused
			}
			return nil
		})
		if _, err := first.Apply(context.Background(), small); code(err) != ledger.CodeRegistryUnavailable {
			t.Errorf("while the claim cannot be read: %v", err)
		}
		store.SetFault(nil)

		second := launch(t, store)
		awaitReady(t, second)
		apply(t, second, "default", put("a", "large"))
		if r, err := first.Apply(context.Background(), small); code(err) != ledger.CodeSuperseded {
			t.Errorf("it is large by now, but: %+v, %v", r, err)
		}
		second.stop()
		first.stop()
	})
}
