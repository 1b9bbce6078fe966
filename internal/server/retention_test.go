package server_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/ledger"
	"gitops-squared.io/gsq/internal/registry"
)

const (
	shopRetention = "/api/v1/namespaces/shop/retention"
	shopGC        = "/api/v1/namespaces/shop/gc"
)

func decoded[T any](t *testing.T, r reply) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return v
}

func TestRetention(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("GET", shopRetention, "").problem(404, api.CodeNamespaceNotFound)
	f.do("PUT", shopRetention, `{"revisions":5}`).problem(404, api.CodeNamespaceNotFound)
	f.do("POST", shop, vm).want(201)

	if r := decoded[api.Retention](t, f.do("GET", shopRetention, "").want(200)); r.Own != nil || !r.Effective.KeepsEverything() || r.Namespace != "shop" {
		t.Errorf("before: %+v", r)
	}
	want := api.RetentionPolicy{Revisions: 5, Seconds: 60, TombstonesSeconds: 90}
	for range 2 { // repeating it is safe
		r := decoded[api.Retention](t, f.do("PUT", shopRetention, `{"revisions":5,"seconds":60,"tombstonesSeconds":90,"reason":"space"}`, "Gsq-Actor: ann").want(200))
		if r.Own == nil || *r.Own != want || r.Effective != want {
			t.Errorf("set: %+v", r)
		}
	}
	a, err := f.store.Raw().Get(context.Background(), "gitops-squared/system", artifact.Latest)
	if err != nil {
		t.Fatal(err)
	}
	rev, err := artifact.Unpack(artifact.TypeSystemConfig, artifact.TypeSystem, a)
	if err != nil || len(rev.Record.Changes) != 1 {
		t.Fatalf("%+v, %v", rev.Record, err)
	}
	if c := rev.Record.Changes[0]; c.Operation != artifact.OperationRetention || c.Name != "shop" || c.Actor != "ann" || c.Reason != "space" || c.Verified {
		t.Errorf("the record says %+v", c)
	}
	for _, body := range []string{`{"revisions":1}`, `{"seconds":60}`, `{"revisions":1000001}`, `{"revisions":-5}`, `{"revisions":2,"seconds":3153600001}`, `{"revisions":"2"}`, `{"keep":3}`} {
		f.do("PUT", shopRetention, body).problem(400, api.CodeInvalid)
	}
	if r := decoded[api.Retention](t, f.do("PUT", shopRetention, `{}`).want(200)); r.Own != nil {
		t.Errorf("taken away: %+v", r)
	}
}

func TestCollection(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", shopGC, `{}`).problem(404, api.CodeNamespaceNotFound)
	f.do("POST", shop, vm).want(201)
	f.do("GET", shopGC, "").problem(404, api.CodeNotFound)
	done := decoded[api.Collection](t, f.do("POST", shopGC, `{}`).want(200))
	if done.State != api.CollectionDone || done.EndedAt == nil || done.DryRun || done.Namespace != "shop" {
		t.Errorf("%+v", done)
	}
	f.do("GET", shopGC+"?dryRun=true", "").problem(404, api.CodeNotFound)
	f.do("POST", shopGC, `{"dryRun":true}`).want(200)
	if dry := decoded[api.Collection](t, f.do("GET", shopGC+"?dryRun=true", "").want(200)); !dry.DryRun || dry.State != api.CollectionDone {
		t.Errorf("%+v", dry)
	}
	if last := decoded[api.Collection](t, f.do("GET", shopGC, "").want(200)); last.DryRun || !last.BeganAt.Equal(done.BeganAt) {
		t.Errorf("%+v", last)
	}
}

// What the ledger says of a collection is what the API says.
func TestCollectionIsAnsweredWhole(t *testing.T) {
	t.Parallel()
	began := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	said := ledger.Collection{
		Namespace: "shop", Began: began, Policy: artifact.Retention{Revisions: 2, Seconds: 3, TombstonesSeconds: 4},
		Thinned: 5, Revisions: 6, Versions: 7, Referrers: 8, Bytes: 9, InUse: 10,
	}
	var hasDeadline bool
	f := serve(t, stub{stubRetention: stubRetention{
		collect: func(ctx context.Context, _ string, _ bool) (ledger.Collection, error) {
			_, hasDeadline = ctx.Deadline()
			return said, nil
		},
	}})
	got := decoded[api.Collection](t, f.do("POST", shopGC, `{}`).want(200))
	want := api.Collection{
		Namespace: "shop", State: api.CollectionRunning, BeganAt: began, Policy: api.RetentionPolicy{Revisions: 2, Seconds: 3, TombstonesSeconds: 4},
		Thinned: 5, Revisions: 6, Versions: 7, Referrers: 8, Bytes: 9, InUse: 10,
	}
	if got != want || !hasDeadline {
		t.Errorf("got %+v, want %+v; waits no longer than it should: %v", got, want, hasDeadline)
	}
	said.Ended, said.Freed = began.Add(time.Minute), &registry.Freed{Blobs: 3, Bytes: 4}
	if got := decoded[api.Collection](t, f.do("POST", shopGC, `{}`).want(200)); got.State != api.CollectionDone || got.Freed == nil || *got.Freed != (api.Freed{Blobs: 3, Bytes: 4}) || !got.EndedAt.Equal(said.Ended) {
		t.Errorf("%+v", got)
	}
	said.Err = &ledger.Error{Code: ledger.CodeUnsupported, Message: "why"}
	if got := decoded[api.Collection](t, f.do("POST", shopGC, `{}`).want(200)); got.State != api.CollectionFailed || *got.Problem != (api.CollectionProblem{Code: api.CodeUnsupported, Detail: "why"}) {
		t.Errorf("%+v", got)
	}
}
