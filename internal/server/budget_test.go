package server

import (
	"fmt"
	"testing"
)

func TestBudget(t *testing.T) {
	t.Parallel()
	b := newBudget(100)
	for i := range 5 {
		if !b.take("greedy", 10) {
			t.Fatalf("take %d of the first holder is refused", i)
		}
	}
	if b.take("greedy", 1) {
		t.Error("one holder has more than a half")
	}
	if !b.take("second", 25) || b.take("second", 1) {
		t.Error("the second holder does not get as much as it leaves")
	}
	if !b.take("third", 12) {
		t.Error("there is no room for a third holder")
	}
	b.give("third", 12)
	b.give("second", 25)
	for range 5 {
		b.give("greedy", 10)
	}
	if b.held != 0 || len(b.by) != 0 {
		t.Errorf("%d bytes are held, by %v, when all was given back", b.held, b.by)
	}
}

// Holders that take what they can, and give back in turn, end up with equal
// shares, wherever they started.
func TestBudgetIsShared(t *testing.T) {
	t.Parallel()
	const holders, piece = 7, 1 << 10
	b := newBudget(1 << 20)
	names := make([]string, holders)
	for i := range names {
		names[i] = fmt.Sprint("holder-", i)
		for b.take(names[i], piece) {
		}
	}
	for range 10_000 {
		for _, name := range names {
			if b.by[name] > 0 {
				b.give(name, piece)
			}
		}
		for _, name := range names {
			for b.take(name, piece) {
			}
		}
	}
	share := b.total / (holders + 1)
	for _, name := range names {
		if held := b.by[name]; held < share*8/10 || held > share*12/10 {
			t.Errorf("%s holds %d bytes, want about %d", name, held, share)
		}
	}
	if !b.take("new", share*8/10) {
		t.Error("there is no room for a new holder")
	}
}
