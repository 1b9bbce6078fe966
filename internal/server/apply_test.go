package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gitops-squared.io/gsq/api"
)

func declared(name, size string) string {
	return fmt.Sprintf(`{"name":%q,"spec":{"type":"vm","size":%q}}`, name, size)
}

func applyBody(resources ...string) string {
	return `{"resources":[` + strings.Join(resources, ",") + `]}`
}

func operations(r api.ApplyResponse) []string {
	out := []string{}
	for _, c := range r.Changes {
		out = append(out, string(c.Operation)+" "+c.Name)
	}
	return out
}

func TestApply(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := f.do("POST", shopApply, applyBody(declared("b", "small"), declared("a", "small"), declared("c", "small"))).applied()
	if got, want := operations(first), []string{"create a", "create b", "create c"}; !slices.Equal(got, want) {
		t.Errorf("changes %q, want %q", got, want)
	}
	if first.Namespace != "shop" || first.Revision.Number != 2 || first.DryRun || first.Created != 3 {
		t.Errorf("applied %+v", first)
	}
	second := f.do("POST", shopApply, `{"resources":[`+declared("a", "large")+`,`+declared("b", "small")+`],"deletes":["c"],"reason":"move"}`).applied()
	if got, want := operations(second), []string{"update a", "unchanged b", "delete c"}; !slices.Equal(got, want) {
		t.Errorf("changes %q, want %q", got, want)
	}
	if second.Revision.Number != 3 || second.Created != 0 || second.Updated != 1 || second.Deleted != 1 || second.Unchanged != 1 {
		t.Errorf("applied %+v, want one revision", second)
	}
	a, b, c := second.Changes[0], second.Changes[1], second.Changes[2]
	if a.Before.Size != "small" || a.After.Size != "large" || a.Version == "" || a.Digest != f.do("GET", shop+"/a", "").resource().Digest {
		t.Errorf("update %+v", a)
	}
	if b.Version != first.Changes[1].Version || b.Digest != first.Changes[1].Digest {
		t.Errorf("unchanged %+v, was %+v", b, first.Changes[1])
	}
	if c.After != nil || c.Before == nil || c.Version == "" || c.Digest == "" {
		t.Errorf("delete %+v", c)
	}
	again := f.do("POST", shopApply, applyBody(declared("a", "large"))).applied()
	if again.Revision != second.Revision || again.Unchanged != 1 {
		t.Errorf("applied %+v, want revision %v again", again, second.Revision)
	}
}

func TestApplyIsAllOrNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", shop, declared("a", "small")).want(201)
	f.do("POST", shopApply, `{"resources":[`+declared("b", "small")+`,{"name":"a","spec":{"type":"vm","size":"large"},"ifNoneMatch":"*"}]}`).problem(412, api.CodePreconditionFailed)
	f.do("POST", shopApply, `{"resources":[`+declared("b", "small")+`],"deletes":["none"]}`).problem(404, api.CodeNotFound)
	f.do("POST", shopApply, applyBody(declared("b", "small"), declared("c", "huge"))).problem(400, api.CodeInvalid)
	if l := f.do("GET", shop, "").list(); l.Count != 1 || l.Revision.Number != 2 {
		t.Errorf("%d resources at revision %d, want nothing changed", l.Count, l.Revision.Number)
	}
}

func TestApplyFaults(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for body, want := range map[string][]string{
		`{}`:               {"/resources"},
		`{"resources":{}}`: {"/resources"},
		`{"resources":[1,` + declared("a", "small") + `,{"name":"B"}]}`:                                               {"/resources/0", "/resources/2/name", "/resources/2/spec"},
		applyBody(declared("a", "small"), declared("b", "small"), declared("c", "small"), declared("d", "x")):         {"/resources/3/spec/size"},
		applyBody(declared("a", "small"), declared("b", "small"), declared("a", "large")):                             {"/resources/2/name"},
		`{"resources":[` + declared("a", "small") + `],"deletes":["a","b","b"]}`:                                      {"/deletes/0", "/deletes/2"},
		`{"resources":[],"deletes":[1,null]}`:                                                                         {"/deletes/0", "/deletes/1"},
		`{"resources":[],"dryRun":true}`:                                                                              {"/dryRun"},
		`{"resources":[],"reason":"` + strings.Repeat("r", 1025) + `"}`:                                               {"/reason"},
		`{"resources":[{"name":"a","spec":{"type":"vm","size":"small"},"ifNoneMatch":"x","ifMatch":null,"force":1}]}`: {"/resources/0/ifNoneMatch", "/resources/0/ifMatch", "/resources/0/force"},
	} {
		p := f.do("POST", shopApply, body).problem(400, api.CodeInvalid)
		if got := places(p); !slices.Equal(got, want) {
			t.Errorf("%s: faults at %q, want %q", body, got, want)
		}
	}
	f.wantNothing()
}

func TestApplyPreconditions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := f.do("POST", shop, declared("a", "small")).want(201).resource()
	with := func(condition, value string) string {
		return fmt.Sprintf(`{"resources":[{"name":"a","spec":{"type":"vm","size":"large"},%q:%q}]}`, condition, value)
	}
	f.do("POST", shopApply, with("ifMatch", "sha256:"+strings.Repeat("0", 64))).problem(412, api.CodePreconditionFailed)
	f.do("POST", shopApply, with("ifNoneMatch", "*")).problem(412, api.CodePreconditionFailed)
	f.do("POST", shopApply, with("ifMatch", a.Digest)).want(200)
	f.do("POST", shopApply, with("ifMatch", "*")).want(200)
	p := f.do("POST", shopApply, `{"resources":[{"name":"a","spec":{"type":"vm","size":"small"},"ifNoneMatch":"*"},{"name":"b","spec":{"type":"vm","size":"small"},"ifMatch":"*"}]}`).problem(412, api.CodePreconditionFailed)
	if len(p.Errors) != 2 {
		t.Errorf("faults %v, want both", p.Errors)
	}
}

func TestDryRun(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	diff := f.do("POST", shopApply+"?dryRun=true", applyBody(declared("a", "small"))).applied()
	if got, want := operations(diff), []string{"create a"}; !slices.Equal(got, want) || !diff.DryRun || diff.Created != 1 || diff.Revision.Number != 0 {
		t.Errorf("dry run %+v, want %q", diff, want)
	}
	if diff.Changes[0].Version != "" || diff.Changes[0].Digest != "" {
		t.Errorf("a dry run answers the version %+v", diff.Changes[0])
	}
	f.wantNothing()
	f.do("POST", shopApply+"?dryRun=false", applyBody(declared("a", "small"), declared("b", "small"))).want(200)
	before := f.do("GET", shop, "").list()
	diff = f.do("POST", shopApply+"?dryRun=true&prune=true", applyBody(declared("a", "large"))).applied()
	if got, want := operations(diff), []string{"update a", "delete b"}; !slices.Equal(got, want) || diff.Revision != before.Revision {
		t.Errorf("dry run %+v, want %q at revision %v", diff, want, before.Revision)
	}
	// Nothing is deleted by a dry run, so it needs no confirmation.
	f.do("POST", shopApply+"?dryRun=true&prune=true", applyBody()).want(200)
	if after := f.do("GET", shop, "").list(); after.Revision != before.Revision {
		t.Errorf("revision %v after dry runs, was %v", after.Revision, before.Revision)
	}
}

func TestPruneBehindTheDeletionGuard(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", shopApply, applyBody(declared("a", "small"), declared("b", "small"), declared("c", "small"), declared("d", "small"))).want(200)
	if got, want := operations(f.do("POST", shopApply+"?prune=true", applyBody(declared("a", "small"), declared("b", "small"))).applied()),
		[]string{"unchanged a", "unchanged b", "delete c", "delete d"}; !slices.Equal(got, want) {
		t.Errorf("half of it: %q, want %q", got, want)
	}
	f.do("POST", shop, declared("c", "small")).want(201)
	p := f.do("POST", shopApply+"?prune=true", applyBody(declared("a", "small"))).problem(409, api.CodeConfirm)
	if !strings.Contains(p.Detail, "2 of 3") || !strings.Contains(p.Detail, "confirm=true") {
		t.Errorf("more than half of it: %q does not say what, and what to do", p.Detail)
	}
	f.do("POST", shopApply+"?prune=true&confirm=false", applyBody()).problem(409, api.CodeConfirm)
	if got := f.do("GET", shop, "").list().Count; got != 3 {
		t.Errorf("%d resources are left, want 3", got)
	}
	f.do("POST", shopApply+"?prune=true&confirm=true", applyBody(declared("a", "small"))).want(200)
	f.do("POST", shopApply+"?prune=true", applyBody()).problem(409, api.CodeConfirm)
	f.do("POST", shopApply+"?prune=true&confirm=true", applyBody()).want(200)
	if got := f.do("GET", shop, "").list().Count; got != 0 {
		t.Errorf("%d resources are left, want none", got)
	}
}

func TestApplyOfAThousand(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.fill(1000)
	f.do("POST", shop, vm).problem(409, api.CodeLimit)
	if l := f.do("GET", shop, "").list(); l.Count != 1000 || l.Revision.Number != 2 {
		t.Errorf("count %d at revision %d", l.Count, l.Revision.Number)
	}
}
