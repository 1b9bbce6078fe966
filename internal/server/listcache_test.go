package server

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/ledger"
)

// snapshotOf has n resources of 300 bytes.
func snapshotOf(revision string, n int) ledger.Snapshot {
	s := ledger.Snapshot{Revision: ledger.Revision{Number: 1, Digest: digest.FromString(revision)}}
	e := entryOf(revision, "eu", 1, 1, 1)
	for range n {
		s.Entries = append(s.Entries, e)
	}
	return s
}

func newListCache() *listCache { return &listCache{lists: map[string]*encodedList{}} }

func TestWholeListsAreEncodedOnceARevision(t *testing.T) {
	t.Parallel()
	c := newListCache()
	first, second := snapshotOf("first", 10), snapshotOf("second", 10)
	var got [16]*encodedList
	var readers sync.WaitGroup
	for i := range got {
		readers.Go(func() { got[i] = c.acquire("shop", first) })
	}
	readers.Wait()
	for _, l := range got {
		if l != got[0] || string(l.body) != string(wholeList(first).encoded()) {
			t.Fatalf("a reader got %p, another %p", l, got[0])
		}
		defer c.release(l)
	}
	other := c.acquire("depot", first)
	defer c.release(other)
	next := c.acquire("shop", second)
	defer c.release(next)
	if other == got[0] || next == got[0] || !strings.Contains(string(next.body), second.Revision.Digest.String()) {
		t.Error("another namespace or a later revision got the same list")
	}
}

func TestCachedListsAreBounded(t *testing.T) {
	t.Parallel()
	c := newListCache()
	for i := range 100 { // each a twentieth of the bound: the others make room
		l := c.acquire(fmt.Sprint("ns-", i), snapshotOf("a", cachedListBytes/20/300))
		if l == nil {
			t.Fatalf("there is no room for list %d", i)
		}
		c.release(l)
	}
	if c.held > cachedListBytes || len(c.lists) > 20 || len(c.lists) < 15 {
		t.Fatalf("%d lists with %d bytes are held, the bound is %d", len(c.lists), c.held, cachedListBytes)
	}
	if l := c.acquire("large", snapshotOf("a", cachedListBytes/300+1)); l != nil {
		t.Error("a list larger than the bound is held")
	}

	// Slow readers keep lists of revisions that are past.
	c = newListCache()
	var slow []*encodedList
	for i := range 100 {
		if l := c.acquire("shop", snapshotOf(fmt.Sprint(i), cachedListBytes/10/300)); l != nil {
			slow = append(slow, l)
		}
	}
	if len(slow) != 10 || c.held > cachedListBytes {
		t.Fatalf("slow readers hold %d lists with %d bytes, want ten", len(slow), c.held)
	}
	for _, l := range slow {
		c.release(l)
	}
	l := c.acquire("shop", snapshotOf("new", cachedListBytes/10/300))
	if l == nil {
		t.Fatal("there is no room when the slow readers have left")
	}
	c.release(l)
	c.remove("shop")
	if c.held != 0 {
		t.Errorf("%d bytes are held by nobody", c.held)
	}
}
