package embedded

import (
	"hash/maphash"
	"math/bits"
	"sync/atomic"
)

// marks are the keys that a collection must not delete, as a Bloom filter: in
// bounded memory, and wrong only in that now and then a key counts as marked
// that is not. Such a key is deleted by a later collection, whose seed is
// another. Safe for concurrent use.
type marks struct {
	seed  maphash.Seed
	words []atomic.Uint64 // a power of two of them
}

const (
	markProbes = 8
	markBits   = 32 // for each key that is expected: at most one in 170,000 is wrong

	minMarkWords = 8 << 10 // 64 KiB
	maxMarkWords = 8 << 20 // 64 MiB, for 16 million keys
)

func newMarks(expected int64) *marks {
	words := minMarkWords
	for int64(words) < expected*markBits/64 && words < maxMarkWords {
		words *= 2
	}
	return &marks{seed: maphash.MakeSeed(), words: make([]atomic.Uint64, words)}
}

func (m *marks) add(key []byte) {
	at, step := m.hash(key)
	for range markProbes {
		word, bit := m.place(at)
		if word.Load()&bit == 0 { // most are there already, and reading is cheaper
			word.Or(bit)
		}
		at += step
	}
}

func (m *marks) has(key []byte) bool {
	at, step := m.hash(key)
	for range markProbes {
		if word, bit := m.place(at); word.Load()&bit == 0 {
			return false
		}
		at += step
	}
	return true
}

func (m *marks) hash(key []byte) (at, step uint64) {
	h := maphash.Bytes(m.seed, key)
	return h, bits.RotateLeft64(h, 32) | 1
}

func (m *marks) place(at uint64) (word *atomic.Uint64, bit uint64) {
	return &m.words[at>>6&uint64(len(m.words)-1)], 1 << (at & 63)
}
