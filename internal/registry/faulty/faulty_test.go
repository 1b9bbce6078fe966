package faulty_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
	"gitops-squared.io/gsq/internal/registry/registrytest"
)

const repo = "test/repo"

// put stores an artifact and tags it, without faults.
func put(t *testing.T, s *faulty.Store, tag, text string) registry.Manifest {
	t.Helper()
	a := registrytest.Artifact(t, nil, text)
	raw := s.Raw()
	if err := raw.Put(t.Context(), registry.Push{Repository: repo, Artifact: a}); err != nil {
		t.Fatal(err)
	}
	if err := raw.Commit(t.Context(), registry.Tag{Repository: repo, Name: tag, Manifest: a.Manifest}); err != nil {
		t.Fatal(err)
	}
	return a.Manifest
}

// names reports whether the tag names the manifest, without faults.
func names(t *testing.T, s *faulty.Store, tag string, m registry.Manifest) bool {
	t.Helper()
	d, err := s.Raw().Resolve(t.Context(), repo, tag)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		t.Fatal(err)
	}
	return d.Digest == m.Digest
}

func always(f faulty.Fault) func(faulty.Op) faulty.Fault {
	return func(faulty.Op) faulty.Fault { return f }
}

func TestWriteFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault       faulty.Fault
		want        error // nil: succeeds
		settled     bool
		takes       time.Duration
		stored      bool          // when the call returns
		storedAfter time.Duration // that long after it returned
	}{
		"none":             {fault: nil, stored: true},
		"refused":          {fault: faulty.Refused, want: registry.ErrRefused, settled: true},
		"unreachable":      {fault: faulty.Unreachable, want: registry.ErrUnreachable, settled: true},
		"not stored":       {fault: faulty.NotStored, want: registry.ErrUnavailable},
		"stored but error": {fault: faulty.StoredButError, want: registry.ErrUnavailable, stored: true},
		"time-out":         {fault: faulty.Timeout, want: context.DeadlineExceeded, takes: 5 * time.Second},
		"stored late":      {fault: faulty.StoredLate{After: 7 * time.Second}, want: context.DeadlineExceeded, takes: 5 * time.Second, storedAfter: 7 * time.Second},
		"delay":            {fault: faulty.Delay{For: 2 * time.Second}, takes: 2 * time.Second, stored: true},
		"no delay":         {fault: faulty.Delay{}, stored: true},
		"long delay":       {fault: faulty.Delay{For: time.Minute}, want: registry.ErrUnavailable, takes: 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := faulty.New()
				defer s.Close()
				old := put(t, s, "latest", "old")
				m := put(t, s, "other", "new")
				s.SetFault(always(c.fault))
				start := time.Now()
				err := s.Commit(t.Context(), registry.Tag{Repository: repo, Name: "latest", Manifest: m})
				if !errors.Is(err, c.want) || (c.want != nil && registry.Settled(err) != c.settled) {
					t.Errorf("error %v, want %v, settled %v", err, c.want, c.settled)
				}
				if took := time.Since(start); took != c.takes {
					t.Errorf("took %v, want %v", took, c.takes)
				}
				if names(t, s, "latest", m) != c.stored || names(t, s, "latest", old) == c.stored {
					t.Errorf("stored is not %v", c.stored)
				}
				if c.storedAfter > 0 {
					time.Sleep(c.storedAfter - time.Nanosecond)
					if names(t, s, "latest", m) {
						t.Error("stored too early")
					}
					time.Sleep(2 * time.Nanosecond)
					synctest.Wait()
					if !names(t, s, "latest", m) {
						t.Error("never stored")
					}
				}
			})
		})
	}
}

func TestReadFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fault faulty.Fault
		want  error
	}{
		"refused":          {faulty.Refused, registry.ErrRefused},
		"unreachable":      {faulty.Unreachable, registry.ErrUnreachable},
		"not stored":       {faulty.NotStored, registry.ErrUnavailable},
		"stored but error": {faulty.StoredButError, registry.ErrUnavailable},
		"time-out":         {faulty.Timeout, registry.ErrUnavailable},
		"stored late":      {faulty.StoredLate{After: time.Second}, registry.ErrUnavailable},
		"corrupt":          {faulty.Corrupt, registry.ErrCorrupt},
		"delay":            {faulty.Delay{For: time.Second}, nil},
		"long delay":       {faulty.Delay{For: time.Minute}, registry.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := faulty.New()
				defer s.Close()
				m := put(t, s, "latest", "text")
				s.SetFault(always(c.fault))
				_, get := s.Get(t.Context(), repo, "latest")
				_, resolve := s.Resolve(t.Context(), repo, "latest")
				_, tags := s.Tags(t.Context(), repo, "", 10)
				_, referrers := s.Referrers(t.Context(), repo, m.Digest, "")
				for _, err := range []error{get, resolve, tags, referrers} {
					if !errors.Is(err, c.want) {
						t.Errorf("error %v, want %v", err, c.want)
					}
				}
			})
		})
	}
}

func TestNotFoundIsTheAnswerOfAnEmptyRepository(t *testing.T) {
	t.Parallel()
	s := faulty.New()
	m := put(t, s, "latest", "text")
	s.SetFault(always(faulty.NotFound))
	if _, err := s.Get(t.Context(), repo, "latest"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if _, err := s.Resolve(t.Context(), repo, "latest"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("Resolve: %v", err)
	}
	if tags, err := s.Tags(t.Context(), repo, "", 10); len(tags) > 0 || err != nil {
		t.Errorf("Tags: %v, %v", tags, err)
	}
	if err := s.Delete(t.Context(), repo, m.Digest); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("Delete: %v", err)
	}
	if !names(t, s, "latest", m) {
		t.Error("deleted")
	}
}

func TestStaleAnswersThePreviousValue(t *testing.T) {
	t.Parallel()
	s := faulty.New()
	first := put(t, s, "latest", "first")
	s.SetFault(always(faulty.Stale))
	if _, err := s.Get(t.Context(), repo, "latest"); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("Get of a tag that has just been made: %v", err)
	}
	put(t, s, "latest", "second")
	if d, err := s.Resolve(t.Context(), repo, "latest"); err != nil || d.Digest != first.Digest {
		t.Errorf("Resolve: %v, %v", d.Digest, err)
	}
	if a, err := s.Get(t.Context(), repo, "latest"); err != nil || a.Manifest.Digest != first.Digest {
		t.Errorf("Get: %v, %v", a.Manifest.Digest, err)
	}
}

func TestFaultOfOneRequestOfAPut(t *testing.T) {
	t.Parallel()
	s := faulty.New()
	a, b := registrytest.Artifact(t, nil, "a"), registrytest.Artifact(t, nil, "b")
	s.SetFault(func(op faulty.Op) faulty.Fault {
		if op.N == 6 {
			return faulty.NotStored
		}
		return nil
	})
	err := s.Put(t.Context(), registry.Push{Repository: repo, Artifact: a}, registry.Push{Repository: repo, Artifact: b})
	if !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("Put: %v", err)
	}
	var kinds []faulty.Kind
	for _, op := range s.Ops() {
		kinds = append(kinds, op.Kind)
	}
	if s.Count(faulty.PutBlob) != 4 || s.Count(faulty.PutManifest) != 2 || s.Count() != 6 || kinds[2] != faulty.PutManifest {
		t.Errorf("requests: %v", kinds)
	}
	if _, err := s.Raw().Get(t.Context(), repo, a.Manifest.Digest.String()); err != nil {
		t.Errorf("the first artifact: %v", err)
	}
	if _, err := s.Raw().Get(t.Context(), repo, b.Manifest.Digest.String()); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("the second artifact: %v", err)
	}
}

func TestLateTagReplacesANewerOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := faulty.New()
		defer s.Close()
		old, newer := put(t, s, "a", "old"), put(t, s, "b", "newer")
		s.SetFault(always(faulty.StoredLate{After: 3 * time.Second}))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Commit(ctx, registry.Tag{Repository: repo, Name: "latest", Manifest: old}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Commit: %v", err)
		}
		s.SetFault(nil)
		if err := s.Commit(t.Context(), registry.Tag{Repository: repo, Name: "latest", Manifest: newer}); err != nil {
			t.Errorf("Commit: %v", err)
		}
		time.Sleep(4 * time.Second)
		if !names(t, s, "latest", old) || s.Pending() != 0 {
			t.Error("the late write did not take effect")
		}
	})
}

func TestFlushAndClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := faulty.New()
		a, b := put(t, s, "a", "a"), put(t, s, "b", "b")
		s.SetFault(func(op faulty.Op) faulty.Fault {
			return faulty.StoredLate{After: map[int]time.Duration{1: time.Hour, 2: time.Minute, 3: time.Second}[op.N]}
		})
		for _, m := range []registry.Manifest{a, b} {
			_ = s.Commit(t.Context(), registry.Tag{Repository: repo, Name: "latest", Manifest: m})
		}
		if s.Pending() != 2 {
			t.Fatalf("%d writes are pending", s.Pending())
		}
		s.Flush()
		if !names(t, s, "latest", a) || s.Pending() != 0 {
			t.Error("the write that was due last is not the last")
		}
		_ = s.Commit(t.Context(), registry.Tag{Repository: repo, Name: "latest", Manifest: b})
		s.Close()
		s.Close()
		time.Sleep(time.Hour)
		if !names(t, s, "latest", a) {
			t.Error("a write took effect after Close")
		}
		start := time.Now()
		if err := s.Commit(context.Background(), registry.Tag{Repository: repo, Name: "latest", Manifest: b}); !errors.Is(err, registry.ErrUnavailable) {
			t.Errorf("Commit after Close: %v", err)
		}
		if time.Since(start) != 0 || s.Pending() != 0 {
			t.Error("a request waited after Close")
		}
	})
}

func TestTampering(t *testing.T) {
	t.Parallel()
	s := faulty.New()
	m := put(t, s, "latest", "text")
	layer := registry.NewBlob("text/plain", []byte("text"))
	get := func() error { _, err := s.Get(t.Context(), repo, "latest"); return err }

	s.ReplaceBlob(repo, layer.Digest, []byte("other"))
	if err := get(); !errors.Is(err, registry.ErrCorrupt) {
		t.Errorf("a replaced blob: %v", err)
	}
	s.DropBlob(repo, layer.Digest)
	if err := get(); !errors.Is(err, registry.ErrCorrupt) {
		t.Errorf("a dropped blob: %v", err)
	}
	s.ReplaceBlob(repo, layer.Digest, layer.Data)
	if err := get(); err != nil {
		t.Errorf("a restored blob: %v", err)
	}
	s.RemoveTag(repo, "latest")
	if err := get(); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("a removed tag: %v", err)
	}
	s.SetTag(repo, "latest", m.Digest)
	if err := get(); err != nil {
		t.Errorf("a restored tag: %v", err)
	}
	s.DropManifest(repo, m.Digest)
	if err := get(); !errors.Is(err, registry.ErrNotFound) {
		t.Errorf("a dropped manifest: %v", err)
	}
	if s.Raw().Count() != 0 || s.Count() != s.Count(faulty.Get) {
		t.Error("tampering counts as a request")
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	registrytest.Run(t, func(*testing.T) registry.Registry { return faulty.New() })
}
