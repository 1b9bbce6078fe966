package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

const (
	webRepo  = prefix + "/resources/default/web"
	mainRepo = prefix + "/catalog"
)

func named(t *testing.T, s *faulty.Store, repo, tag string) digest.Digest {
	t.Helper()
	d, err := s.Raw().Resolve(context.Background(), repo, tag)
	if err != nil {
		return ""
	}
	return d.Digest
}

func TestRepair(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		first := apply(t, p, "default", put("web", "small"))
		apply(t, p, "default", put("db", "small"))
		second := apply(t, p, "default", put("web", "large"))
		gone := apply(t, p, "default", ledger.Change{Name: "db", Delete: true})
		v1, v2 := first.Outcomes[0], second.Outcomes[0]

		store.SetTag(webRepo, "latest", v1.Digest)
		store.RemoveTag(webRepo, v1.Version.String())
		store.RemoveTag(prefix+"/resources/default/db", "latest")
		store.RemoveTag(mainRepo, "r2")
		store.RemoveTag(mainRepo, "r3")
		store.SetTag(mainRepo, "r4", first.Revision.Digest)
		store.SetTag(webRepo, v2.Version.String(), v1.Digest)
		results, err := p.Repair(context.Background(), "default", []ledger.RepairTag{
			{Resource: "web", Tag: "latest"}, {Resource: "web", Tag: v1.Version.String()}, {Resource: "db", Tag: "latest"},
			{Tag: "r2"}, {Tag: "r3"}, {Tag: "r1"}, {Tag: "r4"}, {Tag: "r99"},
			{Resource: "web", Tag: v2.Version.String()}, {Resource: "web", Tag: "v12"}, {Resource: "none", Tag: "latest"},
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []ledger.RepairResult{
			ledger.TagRepaired, ledger.TagRepaired, ledger.TagRepaired,
			ledger.TagRepaired, ledger.TagRepaired, ledger.TagRight, ledger.TagRefused, ledger.TagRefused,
			ledger.TagRefused, ledger.TagRefused, ledger.TagRefused,
		}
		for i, r := range results {
			if r.Result != want[i] || (r.Detail == "") != (r.Result != ledger.TagRefused) {
				t.Errorf("%+v, want %s", r, want[i])
			}
		}
		for _, x := range []struct {
			repo, tag string
			want      digest.Digest
		}{
			{webRepo, "latest", v2.Digest}, {webRepo, v1.Version.String(), v1.Digest}, {prefix + "/resources/default/db", "latest", gone.Outcomes[0].Digest},
			{mainRepo, "r2", first.Revision.Digest}, {mainRepo, "r4", first.Revision.Digest}, {webRepo, v2.Version.String(), v1.Digest},
		} {
			if got := named(t, store, x.repo, x.tag); got != x.want {
				t.Errorf("%s:%s is %s, want %s", x.repo, x.tag, got, x.want)
			}
		}
	})
}

func TestRepairRefusesWhatCannotBeDerived(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		store := initialised(t)
		p := start(t, store)
		first := apply(t, p, "default", put("web", "small"))
		for _, tags := range [][]ledger.RepairTag{
			nil, make([]ledger.RepairTag, ledger.MaxRepairs+1),
			{{Tag: "latest"}}, {{Tag: "r0"}}, {{Tag: "c1"}}, {{Resource: "web", Tag: "r1"}}, {{Resource: "../web", Tag: "latest"}},
		} {
			if _, err := p.Repair(context.Background(), "default", tags); code(err) != ledger.CodeInvalid {
				t.Errorf("%.60v: %v", tags, err)
			}
		}
		if _, err := p.Repair(context.Background(), "none", []ledger.RepairTag{{Tag: "r1"}}); code(err) != ledger.CodeNamespaceNotFound {
			t.Errorf("no namespace: %v", err)
		}
		// A version whose manifest is lost is not made up.
		store.RemoveTag(webRepo, "latest")
		store.DropManifest(webRepo, first.Outcomes[0].Digest)
		r, err := p.Repair(context.Background(), "default", []ledger.RepairTag{{Resource: "web", Tag: "latest"}})
		if err != nil || r[0].Result != ledger.TagRefused || r[0].Digest != first.Outcomes[0].Digest {
			t.Errorf("%+v, %v", r, err)
		}
	})
}

// Whatever happens to the requests of a repair, also long after it was
// answered: what is committed next is not put back, and the next repair does it.
func TestRepairUnderFaults(t *testing.T) {
	t.Parallel()
	faults := map[string]faulty.Fault{
		"refused": faulty.Refused, "not stored": faulty.NotStored, "stored but error": faulty.StoredButError,
		"time-out": faulty.Timeout, "late": faulty.StoredLate{After: 10 * time.Second},
	}
	for name, fault := range faults {
		for _, tag := range []string{"latest", "r2", "version"} {
			t.Run(fmt.Sprint(name, " ", tag), func(t *testing.T) {
				t.Parallel()
				bubble(t, func(t *testing.T) {
					store := initialised(t)
					p := start(t, store)
					first := apply(t, p, "default", put("web", "small"))
					second := apply(t, p, "default", put("web", "large"))
					store.SetTag(webRepo, "latest", first.Outcomes[0].Digest)
					store.RemoveTag(webRepo, first.Outcomes[0].Version.String())
					store.RemoveTag(mainRepo, "r2")
					tags := []ledger.RepairTag{{Resource: "web", Tag: "latest"}, {Tag: "r2"}, {Resource: "web", Tag: first.Outcomes[0].Version.String()}}
					spoilt := tag
					if tag == "version" {
						spoilt = first.Outcomes[0].Version.String()
					}
					store.SetFault(func(op faulty.Op) faulty.Fault {
						if op.Kind == faulty.Commit && op.Reference == spoilt && op.Repository != prefix+"/writer" {
							return fault
						}
						return nil
					})
					if _, err := p.Repair(context.Background(), "default", tags); code(err) != ledger.CodeOutcomeUnknown && code(err) != ledger.CodeRegistryUnavailable {
						t.Fatalf("the fault did not show: %v", err)
					}
					store.SetFault(nil)
					var third ledger.Result
					for try := 0; ; try++ {
						var err error
						third, err = p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{put("web", "medium")}})
						if err == nil {
							break
						}
						if code(err) != ledger.CodeRegistryUnavailable || try > 20 {
							t.Fatal(err)
						}
						time.Sleep(time.Second)
					}
					time.Sleep(time.Minute) // what was late has landed
					if got := named(t, store, webRepo, "latest"); got != third.Outcomes[0].Digest {
						t.Errorf("latest is %s, want %s", got, third.Outcomes[0].Digest)
					}
					if got := named(t, store, mainRepo, "r3"); got != second.Revision.Digest {
						t.Errorf("r3 is %s", got)
					}
					results, err := p.Repair(context.Background(), "default", tags)
					if err != nil {
						t.Fatal(err)
					}
					for _, r := range results {
						if r.Result == ledger.TagRefused {
							t.Errorf("%+v", r)
						}
					}
					p.stop()
					inspect(t, store)
				})
			})
		}
	}
}
