package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/cluster"
	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/e2e/history"
)

// useData makes a server, which does not run, stand on another data folder.
func useData(t *testing.T, dir, data string) {
	t.Helper()
	used := filepath.Join(dir, "data")
	if err := os.RemoveAll(used); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(data, used); err != nil {
		t.Fatal(err)
	}
}

// A server whose data is lost is restored behind its address, and Flux does
// nothing: it has the same artifact as before.
func TestFluxSeesNoRestore(t *testing.T) {
	t.Parallel()
	const namespace = "restored"
	dir := t.TempDir()
	s := newServer(t, gsq.Options{Dir: dir})
	startServer(t, s)
	kube := kubernetes(t)
	put(t, s, http.StatusCreated, namespace, "web")
	put(t, s, http.StatusCreated, namespace, "db")
	runGSQ(t, s, "", "delete", "db", "-n", namespace)
	exportFlux(t, s, kube, namespace)
	await(t, 2*time.Minute, "the cluster holds what was declared", func() error {
		have, err := objects(t, kube, namespace)
		if err == nil && (len(have) != 1 || have["web"].Metadata.UID == "") {
			err = fmt.Errorf("it holds %v", have)
		}
		return err
	})
	var before fluxState
	await(t, time.Minute, "Flux is done", func() (err error) {
		before, err = readFlux(t, kube, namespace)
		if err == nil && before.ready != "True True" {
			err = fmt.Errorf("ready: %s", before.ready)
		}
		return err
	})
	var list api.ResourceList
	call(t, s, http.StatusOK, http.MethodGet, "/api/v1/namespaces/"+namespace+"/resources", nil, &list)

	runGSQ(t, s, "", "backup", "--to", "copy")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	await(t, 2*time.Minute, "Flux notices that the registry is gone", func() error {
		now, err := readFlux(t, kube, namespace)
		if err == nil && !strings.HasPrefix(now.ready, "False") {
			err = fmt.Errorf("ready: %s", now.ready)
		}
		return err
	})
	runGSQ(t, s, "", "restore", "--from", "copy", "--data", filepath.Join(dir, "new"))
	useData(t, dir, filepath.Join(dir, "new"))
	startServer(t, s)
	var after fluxState
	await(t, 2*time.Minute, "Flux reads the restored registry", func() (err error) {
		after, err = readFlux(t, kube, namespace)
		if err == nil && after.ready != "True True" {
			err = fmt.Errorf("ready: %s", after.ready)
		}
		return err
	})
	if after != before {
		t.Errorf("Flux has\n%+v\nbefore the restore it had\n%+v", after, before)
	}
	var again api.ResourceList
	call(t, s, http.StatusOK, http.MethodGet, "/api/v1/namespaces/"+namespace+"/resources", nil, &again)
	if fmt.Sprint(again) != fmt.Sprint(list) {
		t.Errorf("the API lists %+v, before %+v", again, list)
	}
	// It goes on from there.
	put(t, s, http.StatusCreated, namespace, "later")
	await(t, 2*time.Minute, "what is declared after the restore arrives", func() error {
		have, err := objects(t, kube, namespace)
		if err == nil && have["later"].Metadata.UID == "" {
			err = fmt.Errorf("the cluster holds %v", have)
		}
		return err
	})
	readHistory(t, s.Host)
}

// fluxState is what Flux would change if it had anything to do.
type fluxState struct {
	ready    string // of the source and of the Kustomization
	artifact string // of the source: revision, digest, when it was made, and its path
	applied  string // by the Kustomization
	object   string // of the cluster: its resourceVersion changes with every write
}

func readFlux(t *testing.T, kube *cluster.Cluster, namespace string) (fluxState, error) {
	t.Helper()
	out, err := kube.Kubectl(t.Context(), "get", "ocirepositories,kustomizations", "-A", "-o", "json")
	if err != nil {
		return fluxState{}, err
	}
	var list struct {
		Items []struct {
			Kind string
			Spec struct {
				URL             string
				TargetNamespace string
			}
			Status struct {
				Artifact            json.RawMessage
				LastAppliedRevision string
				Conditions          []struct{ Type, Status string }
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return fluxState{}, err
	}
	var s fluxState
	ready := map[string]string{}
	for _, i := range list.Items {
		source := strings.HasSuffix(i.Spec.URL, "/catalogs/"+namespace)
		if !source && i.Spec.TargetNamespace != namespace {
			continue
		}
		for _, c := range i.Status.Conditions {
			if c.Type == "Ready" {
				ready[i.Kind] = c.Status
			}
		}
		if source {
			s.artifact = string(i.Status.Artifact)
		} else {
			s.applied = i.Status.LastAppliedRevision
		}
	}
	s.ready = ready["OCIRepository"] + " " + ready["Kustomization"]
	s.object, err = kube.Kubectl(t.Context(), "get", "platformresources", "-n", namespace, "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.metadata.uid} {.metadata.resourceVersion}{"\n"}{end}`)
	if s.artifact == "" || s.applied == "" {
		return s, fmt.Errorf("no source or Kustomization of %s with a status", namespace)
	}
	return s, err
}

// Copies that oras made restore, and oras reads what gsq made: as layouts and
// in a registry, signatures included.
func TestRestoreOfOrasCopies(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newServer(t, gsq.Options{Dir: dir})
	startServer(t, s)
	put(t, s, http.StatusCreated, "default", "web")
	put(t, s, http.StatusCreated, "team", "web")
	call(t, s, http.StatusOK, http.MethodPut, "/api/v1/resources/web", api.ResourcePut{Spec: api.Spec{Type: "vm", Size: "large"}}, nil)
	put(t, s, http.StatusCreated, "default", "gone")
	runGSQ(t, s, "", "delete", "gone")
	var want [2]api.ResourceList
	lists := func(to *[2]api.ResourceList) {
		t.Helper()
		for i, namespace := range []string{"default", "team"} {
			call(t, s, http.StatusOK, http.MethodGet, "/api/v1/namespaces/"+namespace+"/resources", nil, &to[i])
		}
	}
	lists(&want)

	d := newDistribution(t)
	runGSQ(t, s, "", "backup", "--to", "oci://"+d.Host)
	c := clients{t: t, host: d.Host, home: dir}
	const signature = "application/vnd.example.signature"
	c.run("oras", "attach", "--plain-http", "--artifact-type", signature, "--annotation", "who=ann", d.Host+"/gitops-squared/catalog:latest")
	reader := history.New(d.Host)
	t.Cleanup(reader.Close)
	for _, repo := range []string{"system", "catalog", "catalogs/team", "resources/default/web", "resources/default/gone", "resources/team/web"} {
		repo = "gitops-squared/" + repo
		tags, err := reader.Tags(t.Context(), repo)
		if err != nil {
			t.Fatal(err)
		}
		tags = slices.DeleteFunc(tags, func(tag string) bool { return strings.HasPrefix(tag, "sha256-") }) // of the referrers tag schema
		for _, tag := range tags {
			c.run("oras", "cp", "-r", "--from-plain-http", d.Host+"/"+repo+":"+tag, "--to-oci-layout", "layouts/"+repo+":"+tag)
		}
	}

	// gsq's own folder is as good: oras finds the same in both.
	runGSQ(t, s, "", "backup", "--registry", "http://"+d.Host, "--to", "folder")
	for _, from := range []string{"layouts", "folder"} {
		found := c.run("oras", "discover", "--oci-layout", "--format", "json", from+"/gitops-squared/catalog:latest")
		if !strings.Contains(string(found), signature) {
			t.Errorf("oras finds no signature in %s: %s", from, found)
		}
	}
	c.run("oras", "cp", "--from-oci-layout", "folder/gitops-squared/catalog:r2", "--to-plain-http", d.Host+"/rescue:r2")
	rescued, err := reader.Manifest(t.Context(), "rescue", "r2")
	if err != nil {
		t.Fatal(err)
	}
	if r2, err := reader.Manifest(t.Context(), "gitops-squared/catalog", "r2"); err != nil || r2.Digest != rescued.Digest {
		t.Errorf("oras took %s from the backup, r2 is %s (%v)", rescued.Digest, r2.Digest, err)
	}

	from := map[string]string{"layouts": "layouts", "registry": "oci://" + d.Host, "folder": "folder"}
	for name, place := range from {
		runGSQ(t, s, "", "restore", "--from", place, "--data", filepath.Join(dir, "data-"+name))
	}
	for name := range from {
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		useData(t, dir, filepath.Join(dir, "data-"+name))
		startServer(t, s)
		var got [2]api.ResourceList
		if lists(&got); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("restored from %s: %+v, want %+v", name, got, want)
		}
		readHistory(t, s.Host)
		found := c.run("oras", "discover", "--plain-http", "--format", "json", s.Host+"/gitops-squared/catalog:latest")
		if !strings.Contains(string(found), signature) {
			t.Errorf("restored from %s: no signature: %s", name, found)
		}
	}

	// Into an external registry, with the claim's settle time; once more does no
	// harm.
	target := newDistribution(t)
	into := []string{"restore", "--from", "folder", "--registry", "http://" + target.Host, "--prefix", "moved"}
	runGSQ(t, s, "", into...)
	moved := history.New(target.Host)
	t.Cleanup(moved.Close)
	for _, name := range []string{"system:latest", "catalog:latest", "catalog:r1", "catalogs/team:latest", "resources/default/gone:latest"} {
		repo, tag, _ := strings.Cut(name, ":")
		old, err := reader.Manifest(t.Context(), "gitops-squared/"+repo, tag)
		if err != nil {
			t.Fatal(err)
		}
		if now, err := moved.Manifest(t.Context(), "moved/"+repo, tag); err != nil || now.Digest != old.Digest {
			t.Errorf("%s is %s (%v) in the external registry, want %s", name, now.Digest, err, old.Digest)
		}
	}
	if again := runGSQ(t, s, "", into...); !strings.Contains(again, "holds this backup already") {
		t.Errorf("restored once more: %s", again)
	}
	if r, err := s.Run(t.Context(), "", "backup", "--to", "oci://"+target.Host+"/moved"); err != nil || r.Code != 1 || !strings.Contains(r.Stderr, "choose another prefix") {
		t.Errorf("a backup into a server's registry: exit code %d, %v, %s", r.Code, err, r.Stderr)
	}
}
