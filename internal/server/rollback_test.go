package server_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"gitops-squared.io/gsq/api"
)

const shopSpace = "/api/v1/namespaces/shop"

func (r reply) rolledBack() api.RollbackResponse {
	r.t.Helper()
	var v api.RollbackResponse
	r.want(200).decode(&v)
	return v
}

func TestRollbackOfANamespace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", shop, vm).want(201)                                                        // revision 2
	f.do("POST", shop, bigger).want(200)                                                    // 3
	f.do("POST", shop, `{"name":"db","spec":{"type":"database","size":"small"}}`).want(201) // 4
	back := `{"to":"r2","reason":"it broke","confirm":true}`
	dry := f.do("POST", shopSpace+"/rollback", `{"to":"r2","dryRun":true}`).rolledBack()
	if !dry.DryRun || dry.Revision.Number != 4 || dry.RolledBack != 2 || dry.Changes[0].Version != "" || dry.Changes[1].Version == "" {
		t.Errorf("dry run: %+v", dry)
	}
	done := f.do("POST", shopSpace+"/rollback", back, "Gsq-Actor: Ada").rolledBack()
	if done.DryRun || done.Revision.Number != 5 || done.RolledBack != 2 || done.Unchanged != 0 {
		t.Fatalf("rollback: %+v", done)
	}
	db, web := done.Changes[0], done.Changes[1]
	if db.Name != "db" || db.Operation != api.RolledBack || !db.Deleted || db.Version == "" || db.Digest == "" || db.Before == nil || db.After != nil {
		t.Errorf("db: %+v", db)
	}
	if web.Deleted || web.Before.Size != "large" || web.After.Size != "small" {
		t.Errorf("web: %+v", web)
	}
	if got := f.do("GET", shop+"/web", "").want(200).resource(); got.Digest != web.Digest || got.Version != web.Version || got.Spec.Size != "small" {
		t.Errorf("web is %+v", got)
	}
	var commit api.Commit
	f.do("GET", shopSpace+"/revisions/latest", "").want(200).decode(&commit)
	if len(commit.Changes) != 2 || commit.Changes[1].Operation != api.RolledBack || !slices.Equal(commit.Actors, []string{"Ada"}) || !slices.Equal(commit.Reasons, []string{"it broke"}) {
		t.Errorf("the history says %+v", commit)
	}
	if again := f.do("POST", shopSpace+"/rollback", back).rolledBack(); again.Revision.Number != 5 || again.RolledBack != 0 || again.Unchanged != 1 {
		t.Errorf("again: %+v", again)
	}
	at := fmt.Sprintf(`{"to":%q}`, commit.Time.Format("2006-01-02T15:04:05.999999999Z07:00"))
	if now := f.do("POST", shopSpace+"/rollback", at).rolledBack(); now.Revision.Number != 5 || now.RolledBack != 0 {
		t.Errorf("to a time: %+v", now)
	}
}

func TestRollbackOfAResource(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	first := f.do("POST", shop, vm).want(201).resource()
	second := f.do("POST", shop, bigger).want(200).resource()
	path := shop + "/web/rollback"
	to := fmt.Sprintf(`{"to":%q,"reason":"smaller"}`, first.Version)
	f.do("POST", path, to, `If-Match: "`+first.Digest+`"`).problem(412, api.CodePreconditionFailed)
	r := f.do("POST", path, to, `If-Match: "`+second.Digest+`"`).rolledBack()
	if len(r.Changes) != 1 || r.Changes[0].Digest != first.Digest || r.RolledBack != 1 {
		t.Errorf("%+v", r)
	}
	if got := f.do("GET", shop+"/web", "", "If-None-Match: "+`"`+first.Digest+`"`); got.status != 304 {
		t.Errorf("its ETag is not that of the version: %s", got.body)
	}
	var gone api.ResourceDeleted
	f.do("DELETE", shop+"/web", "").want(200).decode(&gone)
	p := f.do("POST", path, fmt.Sprintf(`{"to":%q}`, gone.Version)).problem(400, api.CodeInvalid)
	if !slices.Equal(places(p), []string{"/to"}) || !strings.Contains(p.Errors[0].Detail, "delete it") {
		t.Errorf("to a tombstone: %+v", p)
	}
	if r := f.do("POST", path, to).rolledBack(); r.Changes[0].Before != nil || r.Changes[0].Digest != first.Digest {
		t.Errorf("what was deleted: %+v", r)
	}
}

func TestRollbackIsRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", shop, vm).want(201)
	for _, c := range []struct {
		path, body string
		status     int
		code       api.Code
		place      string
	}{
		{"/rollback", `{}`, 400, api.CodeInvalid, "/to"},
		{"/rollback", `{"to":"r0"}`, 400, api.CodeInvalid, "/to"},
		{"/rollback", `{"to":"yesterday"}`, 400, api.CodeInvalid, "/to"},
		{"/rollback", `{"to":"r1","prune":true}`, 400, api.CodeInvalid, "/prune"},
		{"/rollback", `{"to":"r3"}`, 404, api.CodeNotFound, ""},
		{"/rollback", `{"to":"2001-01-01T00:00:00Z"}`, 404, api.CodeNotFound, ""},
		{"/rollback", `{"to":"r1"}`, 409, api.CodeConfirm, ""},
		{"/resources/web/rollback", `{"to":"r1"}`, 400, api.CodeInvalid, "/to"},
		{"/resources/web/rollback", `{"to":"v9999999999999999999"}`, 400, api.CodeInvalid, "/to"},
		{"/resources/web/rollback", `{"to":"v999999999999999999"}`, 400, api.CodeInvalid, "/to"},
		{"/resources/web/rollback", `{"to":"v1"}`, 404, api.CodeNotFound, ""},
		{"/resources/web/rollback", `{"to":"v1","confirm":true}`, 400, api.CodeInvalid, "/confirm"},
		{"/resources/db/rollback", `{"to":"v1"}`, 404, api.CodeNotFound, ""},
	} {
		p := f.do("POST", shopSpace+c.path, c.body).problem(c.status, c.code)
		if got := strings.Join(places(p), " "); got != c.place {
			t.Errorf("%s %s: faults at %q, want %q", c.path, c.body, got, c.place)
		}
	}
	f.do("POST", "/api/v1/namespaces/nowhere/rollback", `{"to":"r1"}`).problem(404, api.CodeNamespaceNotFound)
	if n := f.do("GET", shop, "").list().Revision.Number; n != 2 {
		t.Errorf("what was refused made revision %d", n)
	}
}
