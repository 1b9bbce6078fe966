package ledger_test

import (
	"context"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// A registry whose reads are a moment behind shows at latest what was there
// before, and does not show that one's tag yet. Nobody else wrote it: the write
// is refused for the moment, and the namespace is not.
func TestAStaleAnswerIsNoForeignWriter(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		apply(t, p, "default", put("a", "small"))
		apply(t, p, "default", put("b", "small"))
		changed := time.Now()
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if (op.Kind == faulty.Get || op.Kind == faulty.Resolve) && op.Repository == catalogRepo && time.Since(changed) < time.Second {
				return faulty.Stale
			}
			return nil
		})
		_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("c", "small")}})
		if code(err) != ledger.CodeRegistryUnavailable {
			t.Errorf("a write while reads are stale: %v", err)
		}
		if all, err := p.Namespaces(); err != nil || all[0].Problem != "" {
			t.Errorf("the namespace: %+v, %v", all, err)
		}
		time.Sleep(time.Second)
		apply(t, p, "default", put("c", "small"))
		p.stop()
		inspect(t, store)
	})
}
