package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

func del(name string) ledger.Change { return ledger.Change{Name: name, Delete: true} }

func TestApplyIsAllOrNothing(t *testing.T) {
	t.Parallel()
	match := func(c ledger.Change, etag string) ledger.Change { c.IfMatch = etag; return c }
	absent := func(c ledger.Change) ledger.Change { c.IfNoneMatch = true; return c }
	for name, tc := range map[string]struct {
		request ledger.Request
		code    ledger.Code       // "" means that it succeeds
		want    map[string]string // afterwards; nil means nothing changed
	}{
		"create, update, delete":            {request: ledger.Request{Changes: []ledger.Change{put("e", "small"), put("a", "large"), del("b")}}, want: map[string]string{"a": "large", "c": "small", "d": "small", "e": "small"}},
		"delete of what is not there":       {request: ledger.Request{Changes: []ledger.Change{put("e", "small"), del("x")}}, code: ledger.CodeNotFound},
		"if-match holds":                    {request: ledger.Request{Changes: []ledger.Change{match(put("a", "large"), "a")}}, want: map[string]string{"a": "large", "b": "small", "c": "small", "d": "small"}},
		"if-match of another version":       {request: ledger.Request{Changes: []ledger.Change{match(put("a", "large"), "b"), put("e", "small")}}, code: ledger.CodePreconditionFailed},
		"if-match of what is not there":     {request: ledger.Request{Changes: []ledger.Change{match(put("e", "large"), "*")}}, code: ledger.CodePreconditionFailed},
		"if-match * of what is there":       {request: ledger.Request{Changes: []ledger.Change{match(del("a"), "*")}}, want: map[string]string{"b": "small", "c": "small", "d": "small"}},
		"if-none-match of what is there":    {request: ledger.Request{Changes: []ledger.Change{absent(put("a", "large"))}}, code: ledger.CodePreconditionFailed},
		"if-none-match of what is not":      {request: ledger.Request{Changes: []ledger.Change{absent(put("e", "small"))}}, want: map[string]string{"a": "small", "b": "small", "c": "small", "d": "small", "e": "small"}},
		"if-match of an unchanged one":      {request: ledger.Request{Changes: []ledger.Change{match(put("a", "small"), "b")}}, code: ledger.CodePreconditionFailed},
		"the same name twice":               {request: ledger.Request{Changes: []ledger.Change{put("e", "small"), put("e", "small")}}, code: ledger.CodeInvalid},
		"an invalid one among others":       {request: ledger.Request{Changes: []ledger.Change{put("e", "small"), put("f", "huge")}}, code: ledger.CodeInvalid},
		"a name that is no label":           {request: ledger.Request{Changes: []ledger.Change{put("my_db", "small")}}, code: ledger.CodeInvalid},
		"too many replicas":                 {request: ledger.Request{Changes: []ledger.Change{{Name: "e", Spec: intent.Spec{Type: "vm", Size: "small", Replicas: 11}}}}, code: ledger.CodeInvalid},
		"prune a quarter":                   {request: ledger.Request{Prune: true, Changes: []ledger.Change{put("a", "small"), put("b", "small"), put("c", "small")}}, want: map[string]string{"a": "small", "b": "small", "c": "small"}},
		"prune half":                        {request: ledger.Request{Prune: true, Changes: []ledger.Change{put("a", "small"), put("b", "small")}}, want: map[string]string{"a": "small", "b": "small"}},
		"prune more than half":              {request: ledger.Request{Prune: true, Changes: []ledger.Change{put("a", "small")}}, code: ledger.CodeConfirm},
		"prune more than half, confirmed":   {request: ledger.Request{Prune: true, Confirm: true, Changes: []ledger.Change{put("a", "small")}}, want: map[string]string{"a": "small"}},
		"prune all":                         {request: ledger.Request{Prune: true}, code: ledger.CodeConfirm},
		"prune all, confirmed":              {request: ledger.Request{Prune: true, Confirm: true}, want: map[string]string{}},
		"prune more than half, others come": {request: ledger.Request{Prune: true, Changes: []ledger.Change{put("e", "small"), put("f", "small"), put("g", "small")}}, code: ledger.CodeConfirm},
		"delete all by name":                {request: ledger.Request{Changes: []ledger.Change{del("a"), del("b"), del("c"), del("d")}}, want: map[string]string{}},
		"dry run":                           {request: ledger.Request{DryRun: true, Changes: []ledger.Change{put("e", "small"), del("a")}}},
		"dry run that would empty it":       {request: ledger.Request{DryRun: true, Prune: true}},
		"nothing":                           {request: ledger.Request{}},
		"a reason too long":                 {request: ledger.Request{Reason: strings.Repeat("x", 1025), Changes: []ledger.Change{put("e", "small")}}, code: ledger.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				p := start(t, store)
				r := apply(t, p, "default", put("a", "small"), put("b", "small"), put("c", "small"), put("d", "small"))
				etags := map[string]string{"*": "*", "": ""}
				for _, o := range r.Outcomes {
					etags[o.Name] = o.Digest.String()
				}
				req := tc.request
				req.Namespace = "default"
				for i := range req.Changes {
					req.Changes[i].IfMatch = etags[req.Changes[i].IfMatch]
				}
				result, err := p.Apply(context.Background(), req)
				if code(err) != tc.code || (err != nil) != (tc.code != "") {
					t.Errorf("answer %v, want code %q", err, tc.code)
				}
				want, revision := tc.want, r.Revision.Number+1
				if want == nil {
					want, revision = map[string]string{"a": "small", "b": "small", "c": "small", "d": "small"}, r.Revision.Number
				}
				if got := sizes(t, p, "default"); !equal(got, want) {
					t.Errorf("afterwards: %v, want %v", got, want)
				}
				if s, _ := p.List("default"); s.Revision.Number != revision {
					t.Errorf("revision %d, want %d", s.Revision.Number, revision)
				}
				if err == nil && tc.want != nil && len(result.Outcomes) == 0 {
					t.Error("no outcomes")
				}
				p.stop()
				inspect(t, store)
			})
		})
	}
}

func TestEveryFaultIsListed(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		p := start(t, initialised(t))
		_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{
			{Name: "My_db", Spec: intent.Spec{Type: "car", Replicas: -3}},
			put("fine", "small"),
			put("bad", "huge"),
		}})
		var faults intent.Invalid
		if !errors.As(err, &faults) {
			t.Fatalf("%v", err)
		}
		got := map[string]bool{}
		for _, f := range faults {
			got[f.Pointer] = true
		}
		for _, want := range []string{"/changes/0/name", "/changes/0/spec/type", "/changes/0/spec/size", "/changes/0/spec/replicas", "/changes/2/spec/size"} {
			if !got[want] {
				t.Errorf("no fault at %s; got %v", want, faults)
			}
		}
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store, func(o *ledger.Options) { o.MaxResources = 3 })
		apply(t, p, "default", put("a", "small"), put("b", "small"), put("c", "small"))
		_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("d", "small")}})
		if code(err) != ledger.CodeLimit {
			t.Errorf("a fourth resource: %v", err)
		}
		apply(t, p, "default", put("a", "large"))
		apply(t, p, "default", put("d", "small"), del("a"))
		apply(t, p, "team", put("a", "small"))
		p.stop()

		p = start(t, store, func(o *ledger.Options) { o.MaxCatalogBytes = 1200 })
		_, err = p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("e", "small")}})
		if code(err) != ledger.CodeLimit {
			t.Errorf("more bytes than allowed: %v", err)
		}
		apply(t, p, "default", del("b"))
	})
}

// What waits in a namespace is committed together, and each resource's
// requests keep their order.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.Commit {
				return faulty.Delay{For: 100 * time.Millisecond}
			}
			return nil
		})
		const writers, writes = 64, 10
		done := make(chan error, writers)
		for w := range writers {
			go func() {
				for i := range writes {
					spec := intent.Spec{Type: "vm", Size: "small", Replicas: 1 + i}
					_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{{Name: fmt.Sprintf("w%02d", w), Spec: spec}}})
					if err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
		}
		for range writers {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		s, _ := p.List("default")
		if len(s.Entries) != writers {
			t.Errorf("%d resources", len(s.Entries))
		}
		for _, e := range s.Entries {
			if e.Spec.Replicas != writes {
				t.Errorf("%s: %d replicas, want %d", e.Name, e.Spec.Replicas, writes)
			}
		}
		if n := s.Revision.Number; n > 3*writes {
			t.Errorf("%d revisions for %d writes", n, writers*writes)
		}
		p.stop()
		inspect(t, store)
	})
}

func TestQueueIsBoundedAndNamespacesAreApart(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store, func(o *ledger.Options) { o.QueueLength = 10 })
		apply(t, p, "team", put("a", "small"))
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Repository == catalogRepo {
				return faulty.Timeout
			}
			return nil
		})
		codes := make(chan ledger.Code, 30)
		for i := range 30 {
			go func() {
				began := time.Now()
				_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put(fmt.Sprintf("r%d", i), "small")}})
				if time.Since(began) > 5*time.Second {
					t.Errorf("an answer after %v", time.Since(began))
				}
				codes <- code(err)
			}()
		}
		apply(t, p, "team", put("b", "small"))
		count := map[ledger.Code]int{}
		for range 30 {
			count[<-codes]++
		}
		if count[ledger.CodeQueueFull] != 20 || count[ledger.CodeRegistryUnavailable] != 10 {
			t.Errorf("answers: %v", count)
		}
		store.SetFault(nil)
		time.Sleep(time.Minute)
		apply(t, p, "default", put("r0", "small"))
		if got := sizes(t, p, "default"); len(got) != 1 {
			t.Errorf("withdrawn requests were committed: %v", got)
		}
		p.stop()
		inspect(t, store)
	})
}

// Stopping commits what was accepted, or answers it.
func TestDrain(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]faulty.Fault{"slow": faulty.Delay{For: time.Second}, "down": faulty.Timeout} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				p := start(t, store)
				store.SetFault(func(op faulty.Op) faulty.Fault {
					if op.Kind == faulty.Commit {
						return fault
					}
					return nil
				})
				answers := make(chan error, 5)
				for i := range 5 {
					go func() {
						_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put(fmt.Sprintf("r%d", i), "small")}})
						answers <- err
					}()
				}
				time.Sleep(100 * time.Millisecond)
				began := time.Now()
				p.stop()
				if took := time.Since(began); took > 12*time.Second {
					t.Errorf("stopping took %v", took)
				}
				acknowledged := 0
				for range 5 {
					switch err := <-answers; {
					case err == nil:
						acknowledged++
					case name == "slow" || (code(err) != ledger.CodeOutcomeUnknown && code(err) != ledger.CodeRegistryUnavailable):
						t.Errorf("answer: %v", err)
					}
				}
				if _, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("late", "small")}}); code(err) != ledger.CodeNotReady {
					t.Errorf("a write after the stop: %v", err)
				}
				store.SetFault(nil)
				p = start(t, store)
				if got := sizes(t, p, "default"); len(got) < acknowledged {
					t.Errorf("%d were acknowledged, %d are there", acknowledged, len(got))
				}
				p.stop()
				inspect(t, store)
			})
		})
	}
}

func TestVersionsIncreaseWhateverTheClockDoes(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		var last intent.Version
		for i, jump := range []time.Duration{0, time.Hour, -time.Hour, -24 * time.Hour, 0} {
			p := start(t, store, func(o *ledger.Options) { o.Now = func() time.Time { return time.Now().Add(jump) } })
			for j := range 3 {
				r := apply(t, p, "default", ledger.Change{Name: "a", Spec: intent.Spec{Type: "vm", Size: "small", Replicas: 1 + (i*3+j)%10}})
				if v := r.Outcomes[0].Version; v <= last {
					t.Errorf("version %v after %v", v, last)
				} else {
					last = v
				}
			}
			p.kill()
		}
		inspect(t, store)
	})
}

// A commit that is larger than what the registry takes within a caller's
// patience goes on as long as the registry does, and no longer.
func TestLargeCommitOnASlowRegistry(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		store.SetFault(func(op faulty.Op) faulty.Fault {
			switch op.Kind {
			case faulty.PutManifest:
				return faulty.Delay{For: 100 * time.Millisecond}
			case faulty.PutTag:
				return faulty.Delay{For: 20 * time.Millisecond}
			}
			return nil
		})
		var changes []ledger.Change
		for i := range 900 {
			changes = append(changes, put(fmt.Sprintf("r%d", i), "small"))
		}
		began := time.Now()
		apply(t, p, "default", changes...)
		if took := time.Since(began); took < 5*time.Second {
			t.Errorf("it took only %v: the registry is not slow", took)
		}
		var n atomic.Int32
		store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Kind == faulty.PutManifest {
				if n.Add(1) > 100 {
					return faulty.Timeout
				}
			}
			return nil
		})
		for i := range changes {
			changes[i].Spec.Size = "large"
		}
		began = time.Now()
		_, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: changes})
		if took := time.Since(began); code(err) != ledger.CodeRegistryUnavailable || took > 5*time.Second {
			t.Errorf("on a registry that stops half-way: %v after %v", err, took)
		}
		store.SetFault(nil)
		p.stop()
		inspect(t, store)
	})
}
