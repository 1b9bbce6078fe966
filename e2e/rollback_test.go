package e2e_test

import (
	"fmt"
	"net/http"
	"testing"

	"gitops-squared.io/gsq/api"
)

// On both kinds of registry: what was is there again, under the very digests
// that it had, as every OCI client sees it, and the server's next start agrees.
func TestRollback(t *testing.T) {
	t.Parallel()
	for _, p := range places() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			s, host := p.start(t)
			const space = "/api/v1/namespaces/default"
			apply := func(resources ...api.ApplyResource) {
				call(t, s, http.StatusOK, http.MethodPost, space+"/apply?prune=true&confirm=true", api.ApplyRequest{Resources: resources}, nil)
			}
			vm := func(name, size string) api.ApplyResource {
				return api.ApplyResource{Name: name, Spec: api.Spec{Type: "vm", Size: size}}
			}
			apply(vm("web", "small"), vm("old", "small"))
			apply(vm("web", "large"), vm("new", "small"))
			var back api.RollbackResponse
			call(t, s, http.StatusOK, http.MethodPost, space+"/rollback", api.NamespaceRollback{To: "r2", Confirm: true}, &back)
			if back.RolledBack != 3 || back.Revision.Number != 4 {
				t.Fatalf("%+v", back)
			}
			var versions api.VersionList
			call(t, s, http.StatusOK, http.MethodGet, space+"/resources/web/versions", nil, &versions)
			call(t, s, http.StatusOK, http.MethodPost, space+"/resources/web/rollback", api.ResourceRollback{To: versions.Versions[1].Version}, &back)
			if back.Changes[0].After.Size != "large" {
				t.Errorf("%+v", back.Changes)
			}
			call(t, s, http.StatusOK, http.MethodPost, space+"/rollback", api.NamespaceRollback{To: "r4"}, nil)
			if err := s.Kill(); err != nil {
				t.Fatal(err)
			}
			startServer(t, s)
			var list api.ResourceList
			call(t, s, http.StatusOK, http.MethodGet, space+"/resources", nil, &list)
			if list.Revision.Number != 6 || list.Count != 2 {
				t.Errorf("after a restart: %+v", list)
			}
			revisions := readHistory(t, host).Namespaces["default"].Revisions
			for _, same := range [][2]int{{2, 4}, {2, 6}} {
				then, now := revisions[same[0]-1], revisions[same[1]-1]
				if then.Layer.Digest != now.Layer.Digest {
					t.Errorf("%s: the layer of revision %d is %s, that of revision %d was %s", p.name, same[1], now.Layer.Digest, same[0], then.Layer.Digest)
				}
			}
			if got := fmt.Sprint(list.Resources[1].Spec.Size, list.Resources[1].Version); got != fmt.Sprint("small", versions.Versions[0].Version) {
				t.Errorf("web is %s, want %s", got, versions.Versions[0].Version)
			}
		})
	}
}
