package embedded

import (
	"fmt"
	"sync"
	"testing"
)

// No key that was marked is missing, however many there are; few others count as
// marked; the memory is bounded.
func TestMarks(t *testing.T) {
	t.Parallel()
	const number = 40_000
	m := newMarks(number)
	var group sync.WaitGroup
	for part := range 4 {
		group.Go(func() {
			for i := part; i < number; i += 4 {
				m.add(fmt.Append(nil, "marked ", i))
			}
		})
	}
	group.Wait()
	wrong := 0
	for i := range number {
		if !m.has(fmt.Append(nil, "marked ", i)) {
			t.Fatalf("%d was lost", i)
		}
		if m.has(fmt.Append(nil, "other ", i)) {
			wrong++
		}
	}
	if wrong > 5 { // at most one in 170,000 is expected
		t.Errorf("%d others of %d count as marked", wrong, number)
	}
	for expected, want := range map[int64]int{0: 64 << 10, 1 << 20: 4 << 20, 1 << 40: 64 << 20} {
		if got := 8 * len(newMarks(expected).words); got != want {
			t.Errorf("for %d keys: %d bytes, want %d", expected, got, want)
		}
	}
}
