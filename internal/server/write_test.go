package server_test

import (
	"slices"
	"strings"
	"testing"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/server"
)

func TestCreateUpdateUnchanged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := f.do("POST", shop, vm).want(201)
	created := r.resource()
	if created.Namespace != "shop" || created.Revision == nil || created.Revision.Number != 2 || created.Revision.Digest == "" {
		t.Errorf("created %+v, want revision 2 of shop", created)
	}
	if got, want := r.header.Get("Location"), shop+"/web"; got != want {
		t.Errorf("Location %q, want %q", got, want)
	}
	if created.CreatedAt.IsZero() || created.CreatedAt != created.UpdatedAt {
		t.Errorf("created at %v, updated at %v", created.CreatedAt, created.UpdatedAt)
	}

	r = f.do("POST", shop, bigger).want(200)
	updated := r.resource()
	if updated.Revision.Number != 3 || updated.Version <= created.Version || updated.Unchanged || updated.CreatedAt != created.CreatedAt || !updated.UpdatedAt.After(created.UpdatedAt) {
		t.Errorf("updated %+v after %+v", updated, created)
	}
	if r.header.Get("Location") != "" {
		t.Errorf("an update has the Location %q", r.header.Get("Location"))
	}

	unchanged := f.do("POST", shop, bigger).want(200).resource()
	if !unchanged.Unchanged || unchanged.Version != updated.Version || unchanged.Digest != updated.Digest || *unchanged.Revision != *updated.Revision {
		t.Errorf("unchanged %+v after %+v, want the same version and revision", unchanged, updated)
	}
}

func TestUnnamespacedPost(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", resources, vm).want(201)
	f.do("POST", resources, bigger).want(201)
	if r := f.do("POST", resources, bigger).want(200).resource(); !r.Unchanged {
		t.Errorf("%+v, want it unchanged", r)
	}
	long, short := f.do("GET", "/api/v1/namespaces/default/resources/web", "").want(200), f.do("GET", resources+"/web", "").want(200)
	if long.body != short.body {
		t.Errorf("the namespace default has %s, the un-namespaced call %s", long.body, short.body)
	}
}

func TestPut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, base := range []string{resources, shop} {
		created := f.do("PUT", base+"/web", `{"spec":{"type":"vm","size":"small"}}`).want(201).resource()
		updated := f.do("PUT", base+"/web", `{"name":"web","spec":{"type":"vm","size":"large"}}`).want(200).resource()
		if created.Name != "web" || updated.Spec.Size != "large" || updated.Version == created.Version {
			t.Errorf("created %+v, then %+v", created, updated)
		}
		if r := f.do("PUT", base+"/web", `{"spec":{"type":"vm","size":"large","replicas":1}}`).want(200).resource(); !r.Unchanged {
			t.Errorf("%+v, want it unchanged", r)
		}
		p := f.do("PUT", base+"/web", `{"name":"db","spec":{"type":"cow","size":"large"}}`).problem(400, api.CodeInvalid)
		if got, want := places(p), []string{"/spec/type", "/name"}; !slices.Equal(got, want) {
			t.Errorf("faults at %q, want %q", got, want)
		}
	}
}

func TestETags(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for _, r := range []reply{
		f.do("POST", shop, vm).want(201), f.do("POST", shop, vm).want(200), f.do("POST", shop, bigger).want(200),
		f.do("PUT", shop+"/web", vm).want(200), f.do("GET", shop+"/web", "").want(200),
	} {
		if got, want := r.header.Get("ETag"), `"`+r.resource().Digest+`"`; got != want {
			t.Errorf("ETag %s, want %s", got, want)
		}
	}
}

func TestIfMatchOnWrites(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.do("POST", shop, vm).header.Get("ETag")
	now := f.do("POST", shop, bigger).header.Get("ETag")
	for _, c := range []struct {
		header string
		holds  bool
	}{
		{now, true}, {"*", true}, {old + ", " + now, true}, {`"x" ,` + now, true}, {old, false}, {"W/" + now, false},
		{"W/" + now + ", " + old, false}, {`"sha256:0"`, false}, {`""`, false},
	} {
		for _, request := range [][2]string{{"POST " + shop, bigger}, {"PUT " + shop + "/web", bigger}} {
			method, path, _ := strings.Cut(request[0], " ")
			r := f.do(method, path, request[1], "If-Match: "+c.header)
			if c.holds {
				r.want(200)
			} else {
				r.problem(412, api.CodePreconditionFailed)
			}
		}
		if !c.holds {
			f.do("DELETE", shop+"/web", "", "If-Match: "+c.header).problem(412, api.CodePreconditionFailed)
		}
	}
	f.do("POST", shop, bigger, "If-Match: "+old, "If-Match: "+now).want(200)
	f.do("POST", shop, strings.Replace(vm, "web", "other", 1), "If-Match: *").problem(412, api.CodePreconditionFailed)
	f.do("POST", "/api/v1/namespaces/none/resources", vm, "If-Match: *").problem(412, api.CodePreconditionFailed)
	f.do("DELETE", shop+"/other", "", "If-Match: *").problem(412, api.CodePreconditionFailed)
	if got := f.do("GET", shop+"/web", "").header.Get("ETag"); got != now {
		t.Errorf("the resource changed from %s to %s", now, got)
	}
	f.do("DELETE", shop+"/web", "", "If-Match: "+now).want(200)
}

func TestIfNoneMatchOnWrites(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", shop, vm, "If-None-Match: *").want(201)
	f.do("POST", shop, vm, "If-None-Match: *").problem(412, api.CodePreconditionFailed)
	f.do("PUT", shop+"/web", bigger, "If-None-Match: *").problem(412, api.CodePreconditionFailed)
	if got := f.do("GET", shop+"/web", "").want(200).resource().Spec.Size; got != "small" {
		t.Errorf("size %s, want it untouched", got)
	}
	f.do("PUT", shop+"/db", `{"spec":{"type":"database","size":"small"}}`, "If-None-Match: *").want(201)
}

func TestPreconditionsThatAreNotSupported(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.do("POST", resources, vm).want(201)
	for _, c := range []struct{ method, path, body, header, want string }{
		{"POST", resources, bigger, `If-None-Match: "x"`, "@If-None-Match"},
		{"POST", resources, bigger, "If-Match: sha256:abc", "@If-Match"},
		{"POST", resources, bigger, `If-Match: "abc`, "@If-Match"},
		{"POST", resources, bigger, `If-Match: "a" "b"`, "@If-Match"},
		{"POST", resources, bigger, `If-Match: *, "b"`, "@If-Match"},
		{"POST", resources, bigger, `If-Match: ,`, "@If-Match"},
		{"DELETE", resources + "/web", "", "If-None-Match: *", "@If-None-Match"},
		{"POST", "/api/v1/namespaces/default/apply", `{"resources":[]}`, "If-Match: *", "@If-Match"},
		{"POST", "/api/v1/namespaces/default/apply", `{"resources":[]}`, "If-None-Match: *", "@If-None-Match"},
	} {
		p := f.do(c.method, c.path, c.body, c.header).problem(400, api.CodeInvalid)
		if got := places(p); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s %s %s: faults at %q, want %q", c.method, c.path, c.header, got, c.want)
		}
	}
	if got := f.do("GET", resources+"/web", "").want(200).resource().Spec.Size; got != "small" {
		t.Errorf("size %s, want it untouched", got)
	}
}

func TestConditionsOnReads(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old := f.do("POST", shop, vm).header.Get("ETag")
	now := f.do("POST", shop, bigger).header.Get("ETag")
	for header, status := range map[string]int{
		"If-None-Match: " + now: 304, "If-None-Match: W/" + now: 304, "If-None-Match: *": 304, "If-None-Match: " + old + "," + now: 304,
		"If-None-Match: " + old: 200, "If-Match: " + now: 200, "If-Match: *": 200, "If-Match: " + old: 412, "If-Match: W/" + now: 412,
	} {
		r := f.do("GET", shop+"/web", "", header).want(status)
		if status != 412 && r.header.Get("ETag") != now {
			t.Errorf("%s: ETag %s, want %s", header, r.header.Get("ETag"), now)
		}
		if status == 304 && r.body != "" {
			t.Errorf("%s: 304 with the body %s", header, r.body)
		}
	}
	f.do("GET", shop+"/none", "", "If-None-Match: *").problem(404, api.CodeNotFound)
}

func TestDelete(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	created := f.do("POST", shop, vm).want(201).resource()
	var deleted api.ResourceDeleted
	f.do("DELETE", shop+"/web", "").want(200).decode(&deleted)
	if !deleted.Deleted || deleted.Name != "web" || deleted.Namespace != "shop" || deleted.Version <= created.Version ||
		deleted.Digest == created.Digest || deleted.Repository != created.Repository || deleted.Revision.Number != 3 {
		t.Errorf("deleted %+v after %+v", deleted, created)
	}
	f.do("GET", shop+"/web", "").problem(404, api.CodeNotFound)
	f.do("DELETE", shop+"/web", "").problem(404, api.CodeNotFound)
	again := f.do("POST", shop, vm).want(201).resource()
	if again.Version <= deleted.Version || !again.CreatedAt.After(created.CreatedAt) {
		t.Errorf("created again %+v", again)
	}
}

func TestNamespaces(t *testing.T) {
	t.Parallel()
	f := newFixture(t, func(o *server.Options) { o.RegistryInsecure = true })
	f.do("GET", shop, "").problem(404, api.CodeNamespaceNotFound)
	f.do("GET", shop+"/web", "").problem(404, api.CodeNamespaceNotFound)
	f.do("POST", shop, vm).want(201)
	f.do("POST", resources, bigger).want(201)
	if got := f.do("GET", shop+"/web", "").want(200).resource().Spec.Size; got != "small" {
		t.Errorf("the namespace shop has the default namespace's resource: %s", got)
	}
	var list api.NamespaceList
	f.do("GET", "/api/v1/namespaces", "").want(200).decode(&list)
	if list.Count != 2 || len(list.Namespaces) != 2 {
		t.Fatalf("namespaces %+v, want two", list)
	}
	for i, want := range []api.Namespace{
		{Name: "default", Catalog: api.Catalog{Repository: "gitops-squared/catalog"}},
		{Name: "shop", Catalog: api.Catalog{Repository: "gitops-squared/catalogs/shop"}},
	} {
		got := list.Namespaces[i]
		want.State, want.Resources, want.CreatedAt, want.Revision = api.NamespaceActive, 1, got.CreatedAt, got.Revision
		want.Catalog.Registry, want.Catalog.Insecure = "registry.example:5000", true
		if got != want || got.CreatedAt.IsZero() || got.Revision.Number != 2 || got.Revision.Digest == "" {
			t.Errorf("namespace %+v, want %+v", got, want)
		}
	}
}
