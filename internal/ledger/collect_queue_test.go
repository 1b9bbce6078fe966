package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// A rollback that waits in the queue, behind a commit that takes long, when the
// version that it goes back to is about to be deleted: nobody deletes that. To
// put it again would not be enough. Its signatures would be gone, and a deletion
// that is not answered would have the rollback refused.
func TestRollbackInTheQueueDuringACollection(t *testing.T) {
	t.Parallel()
	for _, whole := range []bool{false, true} {
		for name, deletion := range map[string]faulty.Fault{"answered": nil, "not answered": faulty.StoredLate{After: 8 * time.Second}} {
			t.Run(fmt.Sprintf("of the namespace %v, deletions are %s", whole, name), func(t *testing.T) {
				t.Parallel()
				bubble(t, func(t *testing.T) { rollbackInTheQueue(t, whole, deletion) })
			})
		}
	}
}

func rollbackInTheQueue(t *testing.T, whole bool, deletion faulty.Fault) {
	const db = prefix + "/resources/default/db"
	store := initialised(t)
	p := start(t, store, keeping(artifact.Retention{Revisions: 2}))
	began := apply(t, p, "default", put("db", "small"))
	first := began.Outcomes[0]
	signature := sign(t, store, db, first.Digest)
	for _, size := range []string{"large", "medium", "large"} { // so that it is none of the newest
		apply(t, p, "default", put("db", size))
	}
	store.SetTag(catalogRepo, "audited", began.Revision.Digest) // so that it can be read when it is thinned
	grow(t, p, 20)
	time.Sleep(2 * time.Minute)

	request := ledger.Request{Namespace: "default", Changes: []ledger.Change{{Name: "db", Version: first.Version}}}
	if whole {
		request = ledger.Request{Namespace: "default", Rollback: &ledger.Target{Revision: began.Revision.Number}, Confirm: true}
	}
	answer, other := make(chan error, 1), make(chan error, 1)
	examined := once(only(faulty.GetManifest, db, first.Version.String(), faulty.Delay{For: 2 * time.Second}))
	slow := false
	store.SetFault(func(op faulty.Op) faulty.Fault {
		if f := examined(op); f != nil { // it is found out of reach, and deleted next
			slow = true
			go func() {
				_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("other", "small")}})
				other <- err
			}()
			go func() {
				time.Sleep(time.Second)
				_, err := p.Apply(context.Background(), request)
				answer <- err
			}()
			return f
		}
		switch {
		case op.Kind == faulty.Commit && slow:
			slow = false
			return faulty.Delay{For: 3 * time.Second}
		case op.Kind == faulty.Delete && op.Digest == first.Digest:
			return deletion
		}
		return nil
	})
	c, err := p.Collect(context.Background(), "default", false)
	if err != nil || c.Err != nil || c.Versions == 0 {
		t.Errorf("the collection: %+v, %v", c, err)
	}
	if err := <-answer; err != nil {
		t.Errorf("the rollback: %v", err)
	}
	if err := <-other; err != nil {
		t.Errorf("the commit before it: %v", err)
	}
	for _, op := range store.Ops() {
		if op.Kind == faulty.Delete && (op.Digest == first.Digest || op.Digest == signature) {
			t.Errorf("what it went back to was deleted: %s", describe(op))
		}
	}
	if e, _, err := p.Get("default", "db"); err != nil || e.Digest != first.Digest {
		t.Errorf("after the rollback, db is %v (%v)", e, err)
	}
	prove(t, store, "default").same(t, p, "default")
	p.stop()
}
