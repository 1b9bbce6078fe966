package ledger_test

import (
	"context"
	"slices"
	"testing"

	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// listing is a registry that can list its repositories.
type listing struct {
	*faulty.Store
	repos []string
}

func (l listing) Repositories(_ context.Context, last string, n int) ([]string, error) {
	i, found := slices.BinarySearch(l.repos, last)
	if found {
		i++
	}
	return l.repos[i:min(i+n, len(l.repos))], nil
}

func TestTakeOverReportsWhatLiesOutside(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		web := oldVersion{"web", 1770731425, vmSpec}
		forgotten := oldVersion{"forgotten", 1770731426, vmSpec}
		gone, goneThen := oldVersion{"gone", 1770731428, ""}, oldVersion{"gone", 1770731427, vmSpec}
		store, _ := oldRegistry(t, []oldVersion{web, forgotten, goneThen, gone}, web)
		in := prefix + "/resources/default/"
		r := listing{store, []string{"another/one", prefix + "/catalog", in + "forgotten", in + "gone", in + "web", "zoo"}}
		report, err := ledger.TakeOver(context.Background(), options(t, r), ledger.TakeOverOptions{})
		if err != nil || !slices.Equal(report.Outside, []string{in + "forgotten"}) {
			t.Errorf("TakeOver: %+v, %v", report, err)
		}
		p := start(t, store)
		if got := sizes(t, p, "default"); !equal(got, map[string]string{"web": "medium"}) {
			t.Errorf("the catalog says what is live, yet there is %v", got)
		}
	})
}
