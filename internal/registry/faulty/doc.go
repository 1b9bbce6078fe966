// Package faulty is a registry in memory with faults on demand, for tests. It
// behaves as a remote registry seen over a network: every method is made of
// single requests, and each of them can be refused, lost, answered late, or
// take effect long after its time-out.
//
// It uses nothing but mutexes, channels and timers, so that it works inside a
// testing/synctest bubble. It starts no goroutine except those of timers that
// Close stops.
package faulty
