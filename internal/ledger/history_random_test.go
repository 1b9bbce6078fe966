package ledger_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// chronicle writes at random and remembers everything itself: what the
// namespace held after each revision, and what became of each resource.
type chronicle struct {
	t        *testing.T
	store    *faulty.Store
	p        *process
	rand     *rand.Rand
	content  []map[string]string // by revision: the region of each resource; 0 and 1 are empty
	times    []time.Time         // by revision
	past     map[string][]lived  // by resource, oldest first
	versions map[intent.Version]lived
}

// lived is one entry of a resource's history.
type lived struct {
	name      string
	revision  int64
	operation ledger.Operation
	version   intent.Version
	digest    digest.Digest
	region    string // empty: it was deleted
	reason    string
}

// TestHistoryIsWhatHappened: for random times and revisions, lists, histories
// and versions are those that were written down when it happened.
func TestHistoryIsWhatHappened(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				store := initialised(t)
				c := &chronicle{
					t: t, store: store, p: start(t, store), rand: rand.New(rand.NewPCG(seed, 7)),
					content: []map[string]string{{}, {}}, past: map[string][]lived{}, versions: map[intent.Version]lived{},
				}
				first, err := c.p.Commit(context.Background(), "default", 1)
				if err != nil {
					t.Fatal(err)
				}
				c.times = []time.Time{{}, first.Revision.Time}
				for range 60 {
					c.act()
				}
				c.restart()
				c.check()
			})
		})
	}
}

func (c *chronicle) restart() {
	if c.rand.IntN(2) == 0 {
		c.p.stop()
	} else {
		c.p.kill()
	}
	c.p = start(c.t, c.store)
}

func (c *chronicle) name() string { return string(rune('a' + c.rand.IntN(6))) }

func (c *chronicle) now() map[string]string { return c.content[len(c.content)-1] }

// act does one thing.
func (c *chronicle) act() {
	time.Sleep(time.Duration(c.rand.Int64N(int64(time.Minute))))
	if c.rand.IntN(12) == 0 {
		c.restart()
	}
	next := maps.Clone(c.now())
	r := ledger.Request{Namespace: "default", Confirm: true, Reason: fmt.Sprintf("reason %d", c.rand.IntN(1000))}
	switch c.rand.IntN(8) {
	case 0: // back to a revision
		to := 1 + c.rand.Int64N(int64(len(c.content)-1))
		next = maps.Clone(c.content[to])
		r.Rollback = &ledger.Target{Revision: to}
	case 1: // back to a moment
		to := 1 + c.rand.Int64N(int64(len(c.content)-1))
		next = maps.Clone(c.content[to])
		r.Rollback = &ledger.Target{Time: c.times[to]}
	case 2: // a version of a resource again
		name := c.name()
		past := c.past[name]
		if len(past) == 0 {
			return
		}
		to := past[c.rand.IntN(len(past))]
		if to.region == "" {
			return
		}
		next[name] = to.region
		r.Changes = []ledger.Change{{Name: name, Version: to.version}}
	case 3: // everything that is not declared goes
		name := c.name()
		next = map[string]string{name: region(c.rand.Int64N(4))}
		r.Prune = true
		r.Changes = []ledger.Change{{Name: name, Spec: spec(next[name])}}
	default:
		for range 1 + c.rand.IntN(3) {
			name := c.name()
			if slices.ContainsFunc(r.Changes, func(c ledger.Change) bool { return c.Name == name }) {
				continue
			}
			if _, there := next[name]; there && c.rand.IntN(3) == 0 {
				delete(next, name)
				r.Changes = append(r.Changes, ledger.Change{Name: name, Delete: true})
				continue
			}
			next[name] = region(c.rand.Int64N(4))
			r.Changes = append(r.Changes, ledger.Change{Name: name, Spec: spec(next[name])})
		}
	}
	result, err := c.p.Apply(context.Background(), r)
	if err != nil {
		c.t.Fatalf("%+v: %v", r, err)
	}
	c.note(result, next, r.Reason)
}

// note writes down what happened.
func (c *chronicle) note(r ledger.Result, next map[string]string, reason string) {
	last := int64(len(c.content) - 1)
	if r.Revision.Number == last {
		if !maps.Equal(c.now(), next) {
			c.t.Fatalf("nothing was committed, but %v should be %v", c.now(), next)
		}
		return
	}
	if r.Revision.Number != last+1 {
		c.t.Fatalf("revision %d after %d", r.Revision.Number, last)
	}
	c.content, c.times = append(c.content, next), append(c.times, r.Revision.Time)
	for _, o := range r.Outcomes {
		if o.Operation == ledger.Unchanged {
			continue
		}
		l := lived{o.Name, r.Revision.Number, o.Operation, o.Version, o.Digest, next[o.Name], reason}
		c.past[o.Name] = append(c.past[o.Name], l)
		if _, known := c.versions[o.Version]; !known {
			c.versions[o.Version] = l
		}
	}
}

func (c *chronicle) check() {
	head := int64(len(c.content) - 1)
	for number := int64(1); number <= head; number++ {
		s, err := c.p.ListAt(context.Background(), "default", number)
		c.same(number, s, err)
	}
	for range 100 {
		began := c.times[1].Add(-time.Minute)
		at := began.Add(time.Duration(c.rand.Int64N(int64(time.Since(began)))))
		want := int64(0)
		for n := int64(1); n <= head && !c.times[n].After(at); n++ {
			want = n
		}
		s, err := listAtTime(c.p, "default", at)
		if want == 0 {
			if code(err) != ledger.CodeNotFound {
				c.t.Errorf("at %v: %v", at, err)
			}
			continue
		}
		c.same(want, s, err)
	}
	for name, past := range c.past {
		c.checkVersions(name, past)
	}
	for version, made := range c.versions {
		v, err := c.p.Version(context.Background(), "default", made.name, version)
		if err != nil || v.Operation != made.operation || v.Reason != made.reason || v.Revision.Number != made.revision || v.HistoryEntry.Version.Digest != made.digest || v.Deleted != (made.region == "") || (v.Entry == nil) != v.Deleted {
			c.t.Errorf("%s: %+v, %v; want %+v", version, v, err, made)
		} else if v.Entry != nil && (v.Entry.Spec.Region != spec(made.region).Region || v.Entry.Digest != made.digest || v.Entry.Version != version) {
			c.t.Errorf("%s: %+v, want %+v", version, v.Entry, made)
		}
	}
}

// same compares a list with what was written down.
func (c *chronicle) same(number int64, s ledger.Snapshot, err error) {
	c.t.Helper()
	if err != nil || s.Revision.Number != number || !s.Revision.Time.Equal(c.times[number]) {
		c.t.Errorf("revision %d: %+v, %v", number, s.Revision, err)
		return
	}
	got := map[string]string{}
	for _, e := range s.Entries {
		got[e.Name] = e.Spec.Region
	}
	want := map[string]string{}
	for name, r := range c.content[number] {
		want[name] = spec(r).Region
	}
	if !maps.Equal(got, want) {
		c.t.Errorf("revision %d holds %v, want %v", number, got, want)
	}
}

// checkVersions reads a resource's history in pages of a random length.
func (c *chronicle) checkVersions(name string, past []lived) {
	var got []ledger.HistoryEntry
	limit := 1 + c.rand.IntN(5)
	for at := (ledger.Place{}); ; {
		page, err := c.p.Versions(context.Background(), "default", name, at, limit)
		if err != nil {
			c.t.Errorf("%s: %v", name, err)
			return
		}
		got = append(got, page.Entries...)
		if at = page.Next; at == (ledger.Place{}) {
			break
		}
	}
	slices.Reverse(got)
	if len(got) != len(past) {
		c.t.Errorf("%s has %d entries, want %d", name, len(got), len(past))
		return
	}
	_, live := c.now()[name]
	now := past[len(past)-1].digest
	for i, want := range past {
		e := got[i]
		if e.Operation != want.operation || e.Version.Version != want.version.String() || e.Version.Digest != want.digest || e.Revision.Number != want.revision ||
			e.Deleted != (want.region == "") || e.Reason != want.reason || e.Current != (live && want.digest == now) {
			c.t.Errorf("%s: entry %d is %+v, want %+v", name, i, e, want)
		}
	}
}
