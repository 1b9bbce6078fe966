package backup

import (
	"errors"
	"path/filepath"
	"testing"

	"gitops-squared.io/gsq/internal/registry/faulty"
)

// A registry that was restored from an older copy, and went another way since,
// is another history, however far it got.
func TestHistoriesThatPart(t *testing.T) {
	t.Parallel()
	const common, ours = 2, 3
	for name, theirs := range map[string]int{"behind": 2, "level": 3, "ahead": 5} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			grown := func(later int64, changes int) *faulty.Store {
				store := faulty.New()
				w := newWorld(t, store, 29)
				for range common {
					w.change("default")
				}
				w.clock += 1_000_000
				for range later {
					w.next()
				}
				for range changes {
					w.change("default")
				}
				return store
			}
			dir := filepath.Join(t.TempDir(), "copy")
			run(t, grown(0, ours), quickFolder(dir))
			before := filesOf(t, dir)
			for _, keepGoing := range []bool{false, true} {
				f := quickFolder(dir)
				_, err := Run(t.Context(), Options{Source: grown(1, theirs), Prefix: testPrefix, Target: f, Log: quiet(), KeepGoing: keepGoing})
				if !errors.Is(err, ErrOther) || errors.Is(err, ErrDamaged) {
					t.Errorf("keep going %v: %v, want ErrOther", keepGoing, err)
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
				sameFiles(t, filesOf(t, dir), before)
			}
			// The same history, further on, is taken.
			run(t, grown(0, ours+1), quickFolder(dir))
		})
	}
}
