package ledger_test

import (
	"context"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// listAtTime is what a reader of the past gets.
func listAtTime(p *process, namespace string, at time.Time) (ledger.Snapshot, error) {
	c, err := p.CommitAt(context.Background(), namespace, at)
	if err != nil {
		return ledger.Snapshot{}, err
	}
	return p.ListAt(context.Background(), namespace, c.Revision.Number)
}

// A moment among 10,000 revisions is found by bisection: two requests for each
// record, one for the content.
func TestTimeTravelIsLogarithmic(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		const n = 10_000
		h := newLongHistory(t, n, 20)
		p := start(t, h.store)
		limit := 2*bits.Len(n) + 3
		most := 0
		draw := rand.New(rand.NewPCG(1, 2))
		for i := range 200 {
			number := 2 + draw.Int64N(n-2)
			before := h.store.Count()
			s, err := listAtTime(p, "default", h.at(number))
			if err != nil || s.Revision.Number != number || s.Find("web").Spec.Region != region(h.declared(number)) {
				t.Fatalf("revision %d: %+v, %v", number, s.Revision, err)
			}
			requests := h.store.Count() - before
			if requests > limit {
				t.Errorf("revision %d took %d requests, at most %d are meant", number, requests, limit)
			}
			if i == 0 && requests < bits.Len(n) {
				t.Errorf("%d requests: they are not counted", requests)
			}
			most = max(most, requests)
		}
		t.Logf("at most %d requests of %d revisions", most, n)
		if h.store.Count(faulty.Tags) != 0 {
			t.Error("tags were listed")
		}
		testWalksAreBounded(t, h, p, n)
	})
}

// testWalksAreBounded looks for what is not there: each page ends after its
// budget, and the walk at the first revision.
func testWalksAreBounded(t *testing.T, h *longHistory, p *process, n int64) {
	t.Helper()
	var from ledger.Place
	for pages := int64(1); ; pages++ {
		before := h.store.Count()
		page, err := p.Versions(context.Background(), "default", "nobody", from, 10)
		if err != nil || len(page.Entries) > 0 {
			t.Fatalf("page %d: %+v, %v", pages, page, err)
		}
		if requests := h.store.Count() - before; requests > 2*2000 {
			t.Errorf("page %d took %d requests", pages, requests)
		}
		if from = page.Next; from == (ledger.Place{}) {
			if pages != n/2000 {
				t.Errorf("%d pages for %d revisions", pages, n)
			}
			return
		}
		if from.Number != n-2000*pages {
			t.Fatalf("page %d ends at %d", pages, from.Number)
		}
	}
}

// A page takes only so long, however slow the registry is.
func TestASlowHistoryIsReadInSmallPages(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		h := newLongHistory(t, 1000, 100)
		p := start(t, h.store)
		h.store.SetFault(func(faulty.Op) faulty.Fault { return faulty.Delay{For: time.Second} })
		began := time.Now()
		page, err := p.Commits(context.Background(), "default", ledger.Place{}, 1000)
		if err != nil || len(page.Commits) == 0 || len(page.Commits) == 1000 || page.Next.Number != 1000-int64(len(page.Commits)) {
			t.Errorf("%d commits, next %+v, %v", len(page.Commits), page.Next, err)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("it took %v", took)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := p.Commits(ctx, "default", page.Next, 1000); err == nil {
			t.Error("the caller's patience was not kept")
		}
	})
}

// A moment means the last revision that is not later.
func TestMomentsBetweenRevisions(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		p := start(t, initialised(t))
		var times []time.Time // of revisions 2 and on
		for _, size := range []string{"small", "medium", "large", "small", "medium"} {
			times = append(times, apply(t, p, "team", put("a", size)).Revision.Time)
			time.Sleep(time.Minute)
		}
		first, err := p.Commit(context.Background(), "team", 1)
		if err != nil {
			t.Fatal(err)
		}
		times = append([]time.Time{first.Revision.Time}, times...)
		for i, at := range times {
			number := int64(i + 1)
			for _, c := range []struct {
				at   time.Time
				want int64 // 0: the namespace did not exist
			}{
				{at, number}, {at.Add(-time.Microsecond), number - 1}, {at.Add(-time.Nanosecond), number - 1},
				{at.Add(time.Microsecond), number}, {at.Add(time.Nanosecond), number}, {at.In(time.FixedZone("", 3600)), number},
			} {
				got, err := p.CommitAt(context.Background(), "team", c.at)
				if c.want == 0 {
					if code(err) != ledger.CodeNotFound || !strings.Contains(err.Error(), "team did not exist at") || !strings.Contains(err.Error(), first.Revision.Time.Format(time.RFC3339Nano)) {
						t.Errorf("at %v, before the first revision: %v", c.at, err)
					}
				} else if err != nil || got.Revision.Number != c.want {
					t.Errorf("at %v: revision %d, %v; want %d", c.at, got.Revision.Number, err, c.want)
				}
			}
		}
		for at, want := range map[time.Time]int64{time.Now().Add(1000 * time.Hour): 6, time.Unix(0, 0): 0, {}: 0, times[5].AddDate(8000, 0, 0): 6} {
			got, err := p.CommitAt(context.Background(), "team", at)
			if got.Revision.Number != want || (want == 0) != (code(err) == ledger.CodeNotFound) {
				t.Errorf("at %v: revision %d, %v; want %d", at, got.Revision.Number, err, want)
			}
		}
		for _, number := range []int64{-1, 0, 7} {
			if _, err := p.ListAt(context.Background(), "team", number); code(err) != ledger.CodeNotFound {
				t.Errorf("revision %d: %v", number, err)
			}
		}
		if _, err := p.CommitAt(context.Background(), "nowhere", time.Now()); code(err) != ledger.CodeNamespaceNotFound {
			t.Errorf("no namespace: %v", err)
		}
	})
}

// Pages of a history neither miss nor repeat an entry while others commit.
func TestPagesWhileOthersCommit(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		p := start(t, initialised(t))
		var want []int64 // revisions that changed a, newest first
		write := func(name string, i int) {
			r, err := p.Apply(context.Background(), ledger.Request{Namespace: "default", Changes: []ledger.Change{{Name: name, Spec: spec(region(int64(i)))}}})
			if err != nil {
				t.Fatal(err)
			}
			if name == "a" {
				want = append([]int64{r.Revision.Number}, want...)
			}
		}
		for i := range 30 {
			write(string(rune('a'+i%3)), i)
		}
		wanted := append([]int64{}, want...)
		var versions, commits []int64
		var atVersion, atCommit ledger.Place
		for i := 100; i == 100 || atVersion.Number+atCommit.Number > 0; i++ {
			if i == 100 || atVersion.Number > 0 {
				page, err := p.Versions(context.Background(), "default", "a", atVersion, 3)
				if err != nil || len(page.Entries) > 3 {
					t.Fatalf("%d versions, %v", len(page.Entries), err)
				}
				for _, e := range page.Entries {
					versions = append(versions, e.Revision.Number)
				}
				atVersion = page.Next
			}
			if i == 100 || atCommit.Number > 0 {
				page, err := p.Commits(context.Background(), "default", atCommit, 4)
				if err != nil || len(page.Commits) > 4 {
					t.Fatalf("%d commits, %v", len(page.Commits), err)
				}
				for _, c := range page.Commits {
					commits = append(commits, c.Revision.Number)
				}
				atCommit = page.Next
			}
			write("a", i)
			write("b", i)
		}
		if !sameNumbers(versions, wanted) {
			t.Errorf("versions %v, want %v", versions, wanted)
		}
		for i, number := range commits {
			if number != 31-int64(i) {
				t.Fatalf("commits %v, want 31 to 1", commits)
			}
		}
		if len(commits) != 31 {
			t.Errorf("%d commits, want 31", len(commits))
		}
	})
}

func sameNumbers(a, b []int64) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// What is not the history that was committed is not shown as if it were.
func TestDamagedHistories(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		h := newLongHistory(t, 20, 1)
		ctx, repo := context.Background(), h.layout.Catalog("default")
		whole := start(t, h.store)
		page, err := whole.Commits(ctx, "default", ledger.Place{}, 5)
		if err != nil {
			t.Fatal(err)
		}
		for name, from := range map[string]ledger.Place{
			"another digest": {Number: 15, Digest: h.thin[15].Manifest.Digest}, "no digest": {Number: 15}, "too high": {Number: 21, Digest: page.Next.Digest}, "negative": {Number: -1},
		} {
			if _, err := whole.Commits(ctx, "default", from, 5); code(err) != ledger.CodeRevisionExpired {
				t.Errorf("%s: %v", name, err)
			}
		}
		whole.stop()

		p := start(t, h.store)
		h.store.SetTag(repo, "r10", h.thin[10].Manifest.Digest) // names r11
		if _, err := p.Commits(ctx, "default", ledger.Place{}, 1000); code(err) != ledger.CodeCorrupt {
			t.Errorf("a tag that was moved: %v", err)
		}
		h.store.RemoveTag(repo, "r10")
		if _, err := p.Versions(ctx, "default", "web", ledger.Place{}, 1000); code(err) != ledger.CodeCorrupt {
			t.Errorf("a tag that is gone: %v", err)
		}
		if _, err := p.ListAt(ctx, "default", 10); code(err) != ledger.CodeCorrupt {
			t.Errorf("the content of a revision without its tag: %v", err)
		}
		h.store.SetTag(repo, "r10", h.thin[9].Manifest.Digest)
		if page, err := p.Commits(ctx, "default", ledger.Place{}, 1000); err != nil || len(page.Commits) != 20 || page.Next != (ledger.Place{}) {
			t.Errorf("put right: %d commits, %v", len(page.Commits), err)
		}

		// A version is what its commit says, or nothing.
		resources := h.layout.Resource(webRef())
		h.store.SetTag(resources, h.versions[5].String(), h.artifacts[6].Manifest.Digest)
		if v, err := p.Version(ctx, "default", "web", h.versions[5]); err != nil || v.Entry.Spec.Region != region(5) {
			t.Errorf("a version whose tag was moved: %+v, %v", v, err)
		}
		h.store.ReplaceBlob(resources, h.artifacts[6].Blobs[1].Digest, []byte("x"))
		if _, err := p.Version(ctx, "default", "web", h.versions[6]); code(err) != ledger.CodeCorrupt {
			t.Errorf("a version whose content was changed: %v", err)
		}
		h.store.DropManifest(resources, h.artifacts[7].Manifest.Digest)
		if v, err := p.Version(ctx, "default", "web", h.versions[7]); err != nil || v.Entry.Spec.Region != region(7) || v.Entry.Digest != h.artifacts[7].Manifest.Digest {
			t.Errorf("a version whose artifact is gone, not its catalog: %+v, %v", v, err)
		}
		h.store.SetFault(func(op faulty.Op) faulty.Fault {
			if op.Repository == resources {
				return faulty.Unreachable
			}
			return nil
		})
		if _, err := p.Version(ctx, "default", "web", h.versions[8]); code(err) != ledger.CodeRegistryUnavailable {
			t.Errorf("while the registry is away: %v", err)
		}
	})
}

// The history of thinned revisions goes on through checkpoints; their content
// is gone, and every answer says so.
func TestHistoryThroughCheckpoints(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		h := newLongHistory(t, 40, 1)
		h.thinTo(12) // r41
		h.thinTo(25) // r42
		p := start(t, h.store)
		ctx := context.Background()
		page, err := p.Commits(ctx, "default", ledger.Place{}, 1000)
		if err != nil || len(page.Commits) != 42 || page.Next != (ledger.Place{}) {
			t.Fatalf("%d commits, %v", len(page.Commits), err)
		}
		for i, c := range page.Commits {
			if want := h.thin[41-i]; c.Revision.Number != int64(42-i) || c.Revision.Digest != want.Manifest.Digest || len(c.Changes) != len(want.Record.Changes) {
				t.Errorf("commit %d: %+v", 42-i, c)
			}
		}
		versions, err := p.Versions(ctx, "default", "web", ledger.Place{}, 1000)
		if err != nil || len(versions.Entries) != 39 || versions.Entries[38].Operation != ledger.Created || !versions.Entries[0].Current || versions.Entries[1].Current {
			t.Errorf("%d versions, %v", len(versions.Entries), err)
		}
		for _, number := range []int64{2, 12, 13, 25, 26, 40} {
			if c, err := p.CommitAt(ctx, "default", h.at(number).Add(time.Millisecond)); err != nil || c.Revision.Number != number {
				t.Errorf("at revision %d: %d, %v", number, c.Revision.Number, err)
			}
			_, err := p.ListAt(ctx, "default", number)
			if thinned := number <= 25; thinned != (code(err) == ledger.CodeRevisionExpired) || thinned && !strings.Contains(err.Error(), "the oldest revision that is kept is 26") {
				t.Errorf("the content of revision %d: %v", number, err)
			}
			v, err := p.Version(ctx, "default", "web", h.versions[number])
			switch {
			case number <= 25:
				if code(err) != ledger.CodeRevisionExpired || !strings.Contains(err.Error(), "is kept is 26") {
					t.Errorf("version of revision %d: %v", number, err)
				}
			case err != nil || v.Entry.Spec.Region != region(number) || v.Reason != region(number) || v.Actor != "Ada" || v.Revision.Number != number || v.Current != (number == 40):
				t.Errorf("version of revision %d: %+v, %v", number, v, err)
			}
		}
		if _, err := p.Version(ctx, "default", "web", h.versions[30]+5); code(err) != ledger.CodeNotFound {
			t.Errorf("a version that nobody made: %v", err)
		}
	})
}

// A version whose own revision is thinned, and whose artifact is gone, is still
// read from the oldest catalog that is kept, if it stood there.
func TestAVersionOfAThinnedRevisionInAKeptCatalog(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		h := newLongHistory(t, 15, 8) // web's version is of r10
		h.thinTo(12)
		h.put(h.layout.Resource(webRef()), h.artifacts[10], artifact.Latest, h.versions[10].String())
		p := start(t, h.store)
		apply(t, p, "default", put("web", "large"))
		h.store.DropManifest(h.layout.Resource(webRef()), h.artifacts[10].Manifest.Digest)
		v, err := p.Version(context.Background(), "default", "web", h.versions[10])
		if err != nil || v.Entry.Digest != h.artifacts[10].Manifest.Digest || v.Current || v.Revision.Number != 10 {
			t.Errorf("%+v, %v", v, err)
		}
	})
}

// Readers of thinned records unpack a checkpoint once, however many they are.
func TestACheckpointIsReadOnce(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		h := newLongHistory(t, 300, 10)
		h.thinTo(290)
		p := start(t, h.store)
		before := h.store.Count(faulty.Get)
		if page, err := p.Commits(context.Background(), "default", ledger.Place{}, 1000); err != nil || len(page.Commits) != 301 {
			t.Fatalf("%d commits, %v", len(page.Commits), err)
		}
		if reads := h.store.Count(faulty.Get) - before; reads != 1 {
			t.Errorf("artifacts were read %d times, the checkpoint is one", reads)
		}
	})
}

// Where there are many checkpoints, a reader finds the right one by their small
// configs, once, and unpacks no other.
func TestManyCheckpoints(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		h := newLongHistory(t, 100, 10)
		for n := int64(5); n <= 90; n += 5 {
			h.thinTo(n)
		}
		p := start(t, h.store)
		requests := func(at int64) (artifacts, all int) {
			artifacts, all = h.store.Count(faulty.Get), h.store.Count()
			if c, err := p.CommitAt(context.Background(), "default", h.at(at)); err != nil || c.Revision.Number != at {
				t.Errorf("at revision %d: %d, %v", at, c.Revision.Number, err)
			}
			return h.store.Count(faulty.Get) - artifacts, h.store.Count() - all
		}
		if artifacts, all := requests(2); artifacts > 6 || all > 2*18+12 {
			t.Errorf("the first time, %d artifacts in %d requests", artifacts, all)
		}
		if artifacts, all := requests(3); artifacts > 0 || all > 0 {
			t.Errorf("a neighbour took %d artifacts in %d requests", artifacts, all)
		}
		if _, all := requests(48); all > 6 {
			t.Errorf("another time, %d requests", all)
		}
		p.stop()

		p = start(t, h.store)
		h.store.DropManifest(h.layout.Catalog("default"), h.thin[len(h.thin)-1].Record.Checkpoint.Digest)
		if _, err := p.Commit(context.Background(), "default", 3); code(err) != ledger.CodeCorrupt {
			t.Errorf("a checkpoint that is gone: %v", err)
		}
	})
}

// After a take-over the history begins with it; what is older is the old
// server's.
func TestHistoryOfATakeOver(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		ctx := context.Background()
		web, broken := oldVersion{"web", 1770731425, vmSpec}, oldVersion{"broken", 1770731500, strings.Replace(vmSpec, "2", "-3", 1)}
		store, _ := oldRegistry(t, []oldVersion{web, broken}, web, broken)
		if _, err := ledger.TakeOver(ctx, options(t, store), ledger.TakeOverOptions{Choices: map[string]ledger.Choice{"broken": ledger.Drop}, Confirm: true}); err != nil {
			t.Fatal(err)
		}
		p := start(t, store)
		apply(t, p, "default", put("web", "large"))
		page, err := p.Versions(ctx, "default", "web", ledger.Place{}, 10)
		if err != nil || len(page.Entries) != 2 || page.Next != (ledger.Place{}) || page.Entries[1].Operation != ledger.TakenOver || page.Entries[1].Deleted {
			t.Fatalf("web: %+v, %v", page, err)
		}
		taken, err := intent.ParseVersion(page.Entries[1].Version.Version)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := p.Version(ctx, "default", "web", taken); err != nil || v.Entry.Spec.Size != "medium" || v.Operation != ledger.TakenOver {
			t.Errorf("the version of the take-over: %+v, %v", v, err)
		}
		if _, err := p.Version(ctx, "default", "web", intent.Version(web.seconds)); code(err) != ledger.CodeNotFound || !strings.Contains(err.Error(), "since the registry was taken over") {
			t.Errorf("an older version: %v", err)
		}
		page, err = p.Versions(ctx, "default", "broken", ledger.Place{}, 10)
		if err != nil || len(page.Entries) != 1 || page.Entries[0].Operation != ledger.Dropped || page.Entries[0].Version.Version != "" || !page.Entries[0].Deleted {
			t.Errorf("broken: %+v, %v", page, err)
		}
		commits, err := p.Commits(ctx, "default", ledger.Place{}, 10)
		if err != nil || len(commits.Commits) != 2 || commits.Commits[1].Parent == "" || commits.Next != (ledger.Place{}) {
			t.Errorf("%+v, %v", commits, err)
		}
		if _, err := p.ListAt(ctx, "default", 0); code(err) != ledger.CodeNotFound {
			t.Errorf("r0: %v", err)
		}
	})
}
