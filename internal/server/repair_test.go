package server_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
)

const shopRepair = "/api/v1/namespaces/shop/repair"

func TestRepair(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var first, second api.Resource
	f.do("POST", shop, vm).decode(&first)
	f.do("POST", shop, strings.Replace(vm, "small", "large", 1)).decode(&second)
	repo := artifact.Layout{Prefix: "gitops-squared"}.Resource(intent.Ref{Namespace: "shop", Name: first.Name})
	resolve := func() string {
		d, err := f.store.Raw().Resolve(context.Background(), repo, "latest")
		if err != nil {
			t.Fatal(err)
		}
		return d.Digest.String()
	}
	if resolve() != second.Digest {
		t.Fatalf("latest is %s before", resolve())
	}
	a, err := f.store.Raw().Manifest(context.Background(), repo, first.Version)
	if err != nil {
		t.Fatal(err)
	}
	f.store.SetTag(repo, "latest", a.Digest)

	var answer api.RepairResponse
	body := `{"tags":[{"resource":"` + first.Name + `","tag":"latest"},{"tag":"r1"},{"tag":"r77"}]}`
	r := f.do("POST", shopRepair, body)
	if r.status != http.StatusOK {
		t.Fatalf("%d %s", r.status, r.body)
	}
	r.decode(&answer)
	if len(answer.Tags) != 3 || answer.Tags[0].Result != api.RepairDone || answer.Tags[1].Result != api.RepairRight || answer.Tags[2].Result != api.RepairRefused || answer.Tags[2].Detail == "" {
		t.Errorf("%+v", answer)
	}
	if resolve() != second.Digest {
		t.Errorf("latest is %s after, want %s", resolve(), second.Digest)
	}
	for _, x := range []struct {
		path, body string
		status     int
	}{
		{shopRepair, `{"tags":[]}`, 400},
		{shopRepair, `{}`, 400},
		{shopRepair, `{"tags":[{"tag":"latest"}]}`, 400},
		{shopRepair, `{"tags":[{"resource":"A","tag":"latest"}]}`, 400},
		{shopRepair, `{"tags":[{"tag":"r1"}],"force":true}`, 400},
		{"/api/v1/namespaces/none/repair", `{"tags":[{"tag":"r1"}]}`, 404},
	} {
		if got := f.do("POST", x.path, x.body); got.status != x.status {
			t.Errorf("%s %s: %d %s", x.path, x.body, got.status, got.body)
		}
	}
}
