package ledger_test

import (
	"context"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// Whoever watches is woken at the commit point, also by what was adopted, and
// can read the record then: before its revision tag is there.
func TestWatchersAreWokenAtTheCommitPoint(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		before := apply(t, p, "default", put("a", "small")).Revision
		now, next, err := p.Watch("default")
		if err != nil || now != before {
			t.Fatalf("%+v, %v", now, err)
		}
		if _, same, _ := p.Watch("default"); same != next {
			t.Error("two who wait have a channel each")
		}
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.PutTag && op.Reference == "r3" {
				return faulty.Delay{For: 2 * time.Second}
			}
			return nil
		})
		answered := make(chan error, 1)
		go func() {
			_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("b", "small")}})
			answered <- err
		}()
		<-next
		if _, err := store.Raw().Resolve(context.Background(), catalogRepo, "r3"); err == nil {
			t.Fatal("the tag is there already")
		}
		if c, err := p.Commit(context.Background(), "default", 3); err != nil || c.Parent != before.Digest || c.Changes[0].Name != "b" {
			t.Errorf("%+v, %v", c, err)
		}
		now, next, _ = p.Watch("default")
		if now.Number != 3 {
			t.Errorf("revision %d", now.Number)
		}
		if err := <-answered; err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		select {
		case <-next:
			t.Error("woken without a revision")
		default:
		}
		if _, _, err := p.Watch("nowhere"); code(err) != ledger.CodeNamespaceNotFound {
			t.Errorf("%v", err)
		}
	})
}

// The head's record does not need its tag, also when it was not written by this
// process.
func TestTheHeadsRecordIsReadWithoutItsTag(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		head := apply(t, p, "default", put("a", "small")).Revision
		p.stop()
		p = start(t, store)
		store.RemoveTag(catalogRepo, "r2")
		if c, err := p.Commit(context.Background(), "default", 2); err != nil || c.Revision != head {
			t.Errorf("%+v, %v", c.Revision, err)
		}
	})
}

func TestAnAdoptedRevisionWakesWatchers(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		earlier := writer(t, store)
		head := apply(t, p, "default", put("a", "small")).Revision
		p.stop()
		p = start(t, store)
		_, next, err := p.Watch("default")
		if err != nil {
			t.Fatal(err)
		}
		forge(t, store, 3, head.Digest, earlier, "2100-01-01T00:00:00.000000Z")
		<-next // at the next look, within a minute
		if now, _, _ := p.Watch("default"); now.Number != 3 {
			t.Errorf("revision %d", now.Number)
		}
	})
}
