package ledger_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// The crash table: every registry request of a commit, with everything that
// can happen to it, and then what a user or a supervisor does. Whatever
// happens, no acknowledged write is ever absent, a write that was refused
// never appears, no half-written revision is visible, and the next write
// succeeds.

type crashFault struct {
	name  string
	first faulty.Fault // of the request
	again faulty.Fault // of its first repetition
	late  bool         // the outcome is unknown for a while
}

var crashFaults = []crashFault{
	{name: "none"},
	{name: "refused", first: faulty.Refused},
	{name: "unreachable", first: faulty.Unreachable},
	{name: "not stored", first: faulty.NotStored},
	{name: "stored", first: faulty.StoredButError, late: true},
	{name: "time-out", first: faulty.Timeout, late: true},
	{name: "late by 3 s", first: faulty.StoredLate{After: 3 * time.Second}, late: true},
	{name: "late by 10 s", first: faulty.StoredLate{After: 10 * time.Second}, late: true},
	{name: "late, then refused", first: faulty.StoredLate{After: 3 * time.Second}, again: faulty.Refused, late: true},
}

// crashScenario is one request on a registry where it commits in a known way.
type crashScenario struct {
	name    string
	before  []ledger.Change // the default namespace's second write
	request ledger.Request
	// want is the content of the request's namespace after it, without it.
	with, without map[string]string // name to size
}

var crashScenarios = []crashScenario{
	{
		name: "several changes",
		request: ledger.Request{Namespace: "default", Changes: []ledger.Change{
			put("keep", "large"), put("new", "small"), {Name: "gone", Delete: true},
		}},
		with:    map[string]string{"keep": "large", "new": "small"},
		without: map[string]string{"keep": "small", "gone": "small"},
	},
	{
		name:    "first write of a namespace",
		request: ledger.Request{Namespace: "team", Changes: []ledger.Change{put("new", "small")}},
		with:    map[string]string{"new": "small"},
		without: map[string]string{},
	},
	{
		name:    "rollback",
		before:  []ledger.Change{put("keep", "large"), put("new", "small"), {Name: "gone", Delete: true}},
		request: ledger.Request{Namespace: "default", Rollback: &ledger.Target{Revision: 2}},
		with:    map[string]string{"keep": "small", "gone": "small"},
		without: map[string]string{"keep": "large", "new": "small"},
	},
}

// begin makes what is there before the scenario's request.
func (sc crashScenario) begin(t *testing.T, p *process) {
	t.Helper()
	apply(t, p, "default", put("keep", "small"), put("gone", "small"))
	if sc.before != nil {
		apply(t, p, "default", sc.before...)
	}
}

func TestCrashTable(t *testing.T) {
	t.Parallel()
	for _, sc := range crashScenarios {
		requests := crashRequests(t, sc)
		if len(requests) < 10 {
			t.Fatalf("%s: a commit of only %d requests is not the protocol", sc.name, len(requests))
		}
		for k := range requests {
			for _, fault := range crashFaults {
				for _, then := range []string{"retry", "restart", "kill", "busy"} {
					if !differs(requests[k], k == 0, fault, then) {
						continue
					}
					name := fmt.Sprintf("%s/%02d %s/%s/%s", sc.name, k, describe(requests[k]), fault.name, then)
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						bubble(t, func(t *testing.T) { crash(t, sc, k, fault, then) })
					})
				}
			}
		}
	}
}

// differs reports whether a case is not the same as another one of the table.
func differs(request faulty.Op, first bool, fault crashFault, then string) bool {
	read := request.Kind == faulty.Get || request.Kind == faulty.Resolve
	switch {
	case fault.first == nil:
		return then == "kill" || then != "busy" && first // nothing happens, whatever the request
	case read && fault.first != faulty.Timeout && fault.late:
		return false // a read stores nothing
	case then == "busy":
		_, late := fault.first.(faulty.StoredLate) // a tag can move back
		return late && (request.Kind == faulty.Commit || request.Kind == faulty.PutTag)
	}
	return true
}

func describe(op faulty.Op) string {
	repo := strings.TrimPrefix(op.Repository, prefix+"/")
	ref := op.Reference
	if strings.HasPrefix(ref, "sha256:") {
		ref = "digest"
	} else if strings.HasPrefix(ref, "v") {
		ref = "version"
	}
	return strings.ReplaceAll(fmt.Sprintf("%s %s %s", op.Kind, repo, ref), "/", ".")
}

// crashRequests returns the requests that the scenario's commit sends.
func crashRequests(t *testing.T, sc crashScenario) []faulty.Op {
	var ops []faulty.Op
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		sc.begin(t, p)
		before := len(store.Ops())
		if _, err := p.Apply(context.Background(), sc.request); err != nil {
			t.Fatal(err)
		}
		ops = store.Ops()[before:]
		p.stop()
	})
	return ops
}

func crash(t *testing.T, sc crashScenario, k int, fault crashFault, then string) {
	store := initialised(t)
	p := start(t, store)
	sc.begin(t, p)

	at := len(store.Ops()) + 1 + k
	var mu sync.Mutex
	var hit, repeated bool
	var request faulty.Op
	store.SetFault(func(op faulty.Op) faulty.Fault {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case op.N == at:
			hit, request = true, op
			if then == "kill" {
				p.line.cut.Store(true) // this request is the process's last
			}
			return fault.first
		case hit && !repeated && op.Kind == request.Kind && op.Repository == request.Repository && op.Reference == request.Reference:
			repeated = true
			return fault.again
		}
		return nil
	})
	began := time.Now()
	_, err := p.Apply(context.Background(), sc.request)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the answer took %v", took)
	}
	if fault.again != nil {
		time.Sleep(3 * time.Second) // the ledger repeats by itself
		store.SetFault(nil)
	}
	acknowledged := err == nil
	refused := false
	switch c := code(err); {
	case acknowledged, c == ledger.CodeOutcomeUnknown:
	case c == ledger.CodeRegistryUnavailable:
		refused = true
	default:
		t.Fatalf("unexpected answer: %v", err)
	}

	switch then {
	case "restart":
		p.stop()
		p = start(t, store)
	case "kill":
		p.kill()
		p = start(t, store)
	}
	if then == "busy" {
		keepWriting(t, p, store)
	}
	// Whatever is late lands, and is noticed.
	time.Sleep(2 * time.Minute)
	store.Flush()
	inspect(t, store)

	size := sizes(t, p, sc.request.Namespace)
	delete(size, "busy")
	switch {
	case acknowledged && !equal(size, sc.with):
		t.Errorf("acknowledged, but the namespace holds %v", size)
	case refused && then != "kill" && !equal(size, sc.without):
		// A killed process's last request may have been stored.
		t.Errorf("refused (%v), but the namespace holds %v", err, size)
	case !equal(size, sc.with) && !equal(size, sc.without):
		t.Errorf("half-written: the namespace holds %v", size)
	}
	if !acknowledged {
		// As it says: repeating is safe, whether it was made or not. Deleting
		// what is gone is "not found", so the repetition declares only.
		again := sc.request
		again.Prune, again.Confirm = sc.request.Rollback == nil, true
		again.Changes = nil
		for _, c := range sc.request.Changes {
			if !c.Delete {
				again.Changes = append(again.Changes, c)
			}
		}
		if _, err := p.Apply(context.Background(), again); err != nil {
			t.Fatalf("repeating: %v", err)
		}
		if size := sizes(t, p, sc.request.Namespace); !equal(size, sc.with) {
			t.Errorf("after repeating, the namespace holds %v", size)
		}
	}
	apply(t, p, "default", put("next", "small"))
	apply(t, p, sc.request.Namespace, put("next-too", "small"))
	p.stop()
	store.Flush()
	live := inspect(t, store)
	for name := range sc.with {
		if live[sc.request.Namespace][name] == "" {
			t.Errorf("%s is not in the registry", name)
		}
	}
}

// keepWriting writes for at least 20 seconds and watches that latest, as Flux sees it,
// never goes back behind what was acknowledged.
func keepWriting(t *testing.T, p *process, store *faulty.Store) {
	t.Helper()
	var acknowledged int64
	for i := range 40 {
		// Looked at before a write, which would put it right.
		a, err := store.Raw().Get(context.Background(), prefix+"/catalog", artifact.Latest)
		if err != nil {
			t.Fatal(err)
		}
		rev, err := artifact.Unpack(artifact.TypeFluxConfig, artifact.TypeFluxContent, a)
		if err != nil {
			t.Fatal(err)
		}
		if rev.Record.Number < acknowledged {
			t.Fatalf("latest is revision %d again after %d was acknowledged", rev.Record.Number, acknowledged)
		}
		r, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{
			{Name: "busy", Spec: intent.Spec{Type: "bucket", Size: "small", Replicas: 1 + i%10}},
		}})
		if err == nil {
			acknowledged = r.Revision.Number
		}
		time.Sleep(500 * time.Millisecond)
	}
	if acknowledged == 0 {
		t.Error("no write succeeded")
	}
	if _, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{{Name: "busy", Delete: true}}}); err != nil {
		t.Errorf("deleting the last of them: %v", err)
	}
}

// sizes returns what a namespace holds, name to size; nothing if there is no
// such namespace.
func sizes(t *testing.T, p *process, namespace string) map[string]string {
	t.Helper()
	got := map[string]string{}
	s, err := p.List(namespace)
	if code(err) == ledger.CodeNamespaceNotFound {
		return got
	}
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	for _, e := range s.Entries {
		got[e.Name] = e.Spec.Size
	}
	return got
}

func equal(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}
