package e2e_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/gsq"
	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/embedded"
	"gitops-squared.io/gsq/internal/registry/remote"
)

// checked is what gsq fsck -o json prints.
type checked struct {
	Complete bool `json:"complete"`
	Findings []struct {
		Code      string `json:"code"`
		Namespace string `json:"namespace"`
		Revision  int64  `json:"revision"`
		Resource  string `json:"resource"`
	} `json:"findings"`
	Repairs []struct {
		Resource string `json:"resource"`
		Tag      string `json:"tag"`
		Result   string `json:"result"`
	} `json:"repairs"`
}

// runFsck runs gsq fsck, which must end with the exit code, and returns the
// codes that it found, sorted.
func runFsck(t *testing.T, s *gsq.Server, code int, args ...string) (checked, []string) {
	t.Helper()
	r, err := s.Run(t.Context(), "", append([]string{"fsck", "-o", "json"}, args...)...)
	if err != nil || r.Code != code {
		t.Fatalf("gsq fsck %v: exit code %d, want %d; %v\n%s%s", args, r.Code, code, err, r.Stdout, r.Stderr)
	}
	var c checked
	if err := json.Unmarshal([]byte(r.Stdout), &c); err != nil {
		t.Fatalf("gsq fsck %v: %v\n%s", args, err, r.Stdout)
	}
	if !c.Complete {
		t.Fatalf("gsq fsck %v: not complete\n%s", args, r.Stdout)
	}
	var codes []string
	for _, f := range c.Findings {
		codes = append(codes, strings.TrimSpace(f.Code+" "+f.Resource))
	}
	slices.Sort(codes)
	return c, codes
}

// fsckPlace is a registry with a history that can be tampered with.
type fsckPlace struct {
	server *gsq.Server
	tamper func(t *testing.T, spoil func(r registry.Registry)) // while no server runs
	direct []string                                            // flags that name the registry itself; nil if only a server reads it
}

func fsckPlaces() map[string]func(t *testing.T) fsckPlace {
	return map[string]func(t *testing.T) fsckPlace{
		"embedded": func(t *testing.T) fsckPlace {
			dir := t.TempDir()
			s := newServer(t, gsq.Options{Dir: dir})
			startServer(t, s)
			return fsckPlace{server: s, tamper: func(t *testing.T, spoil func(registry.Registry)) {
				if err := s.Stop(); err != nil {
					t.Fatal(err)
				}
				store, err := embedded.Open(embedded.Options{Folder: filepath.Join(dir, "data", "registry"), Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
				if err != nil {
					t.Fatal(err)
				}
				spoil(store)
				if err := store.Close(); err != nil {
					t.Fatal(err)
				}
				startServer(t, s)
			}}
		},
		"distribution": func(t *testing.T) fsckPlace {
			d := newDistribution(t)
			s := newServer(t, gsq.Options{Registry: d.Host})
			runGSQ(t, s, "", "init")
			startServer(t, s)
			client, err := remote.New(remote.Options{Address: remote.Address{Host: d.Host, Plain: true}})
			if err != nil {
				t.Fatal(err)
			}
			return fsckPlace{server: s, direct: []string{"--registry", "http://" + d.Host}, tamper: func(t *testing.T, spoil func(registry.Registry)) {
				spoil(client)
			}}
		},
	}
}

// What was tampered with in a real registry is found by the real program, and
// what can be derived is repaired.
func TestFsck(t *testing.T) {
	t.Parallel()
	for name, start := range fsckPlaces() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testFsck(t, start(t))
		})
	}
}

func testFsck(t *testing.T, p fsckPlace) {
	s, ctx := p.server, t.Context()
	declare := func(name, size string) api.Resource {
		var r api.Resource
		call(t, s, http.StatusOK, http.MethodPut, "/api/v1/namespaces/shop/resources/"+name, map[string]any{"spec": map[string]any{"type": "vm", "size": size}}, &r)
		return r
	}
	call(t, s, http.StatusCreated, http.MethodPut, "/api/v1/namespaces/shop/resources/web", map[string]any{"spec": map[string]any{"type": "vm", "size": "small"}}, nil) // r2
	old := declare("web", "medium")                                                                                                                                     // r3
	call(t, s, http.StatusCreated, http.MethodPut, "/api/v1/namespaces/shop/resources/db", map[string]any{"spec": map[string]any{"type": "vm", "size": "small"}}, nil)
	present := declare("db", "large") // r5
	var gone api.ResourceDeleted
	call(t, s, http.StatusOK, http.MethodDelete, "/api/v1/namespaces/shop/resources/db", nil, &gone) // r6
	newest := declare("web", "large")                                                                // r7
	for range 2 {                                                                                    // so that nothing below is the head's
		call(t, s, http.StatusCreated, http.MethodPut, "/api/v1/namespaces/shop/resources/other", map[string]any{"spec": map[string]any{"type": "vm", "size": "small"}}, nil)
		call(t, s, http.StatusOK, http.MethodDelete, "/api/v1/namespaces/shop/resources/other", nil, nil)
	}
	if _, codes := runFsck(t, s, 0, p.direct...); len(codes) > 0 {
		t.Fatalf("a history that nobody touched: %v", codes)
	}

	layout := artifact.Layout{Prefix: defaultPrefix}
	web, db := layout.Resource(intent.Ref{Namespace: "shop", Name: "web"}), layout.Resource(intent.Ref{Namespace: "shop", Name: "db"})
	p.tamper(t, func(r registry.Registry) {
		must := func(err error) {
			if err != nil {
				t.Fatal(err)
			}
		}
		read := func(repo, reference string) registry.Artifact {
			a, err := r.Get(ctx, repo, reference)
			must(err)
			return a
		}
		tag := func(repo, name string, a registry.Artifact) {
			must(r.Commit(ctx, registry.Tag{Repository: repo, Name: name, Manifest: a.Manifest}))
		}
		// A resource's latest is put back.
		tag(web, artifact.Latest, read(web, old.Version))
		// A version loses its tag.
		lost := read(db, present.Version)
		must(r.Delete(ctx, db, lost.Manifest.Digest))
		must(r.Put(ctx, registry.Push{Repository: db, Artifact: lost}))
		// A tombstone is lost altogether, and with it the resource's latest.
		must(r.Delete(ctx, db, read(db, gone.Version).Manifest.Digest))
		// Somebody adds a version, and a tag of their own.
		tag(web, "v1795000000000000", read(web, newest.Version))
		tag(layout.Catalog("shop"), "stable", read(layout.Catalog("shop"), "r4"))
		// The history loses a revision, and another one's tag is moved.
		must(r.Delete(ctx, layout.Catalog("shop"), read(layout.Catalog("shop"), "r2").Manifest.Digest))
		tag(layout.Catalog("shop"), "r5", read(layout.Catalog("shop"), "r4"))
	})
	want := []string{
		"resource-latest-missing db", "resource-latest-wrong web", "revision-missing", "revision-tag-moved",
		"unknown-tag", "version-missing db", "version-tag-missing db",
	}
	if _, codes := runFsck(t, s, 4, p.direct...); !slices.Equal(codes, want) {
		t.Errorf("found %q, want %q", codes, want)
	}

	// Through the server. Without a tombstone, db's latest cannot be put.
	through := append(slices.Clone(p.direct), "--repair")
	if p.direct != nil {
		through = append(through, "--server", s.URL)
	}
	c, _ := runFsck(t, s, 4, through...)
	results := map[string]string{}
	for _, r := range c.Repairs {
		results[r.Resource+" "+r.Tag] = r.Result
	}
	if len(results) != 3 || results["web latest"] != "repaired" || results["db "+present.Version] != "repaired" || results["db latest"] != "refused" {
		t.Errorf("repairs: %v", results)
	}
	want = []string{"resource-latest-missing db", "revision-missing", "revision-tag-moved", "unknown-tag", "version-missing db"}
	if _, codes := runFsck(t, s, 4, p.direct...); !slices.Equal(codes, want) {
		t.Errorf("after the repair: found %q, want %q", codes, want)
	}
	declare("web", "small")
	if p.direct == nil {
		return
	}
	// Who repairs by itself takes the claim.
	p.tamper(t, func(r registry.Registry) {
		a, err := r.Get(ctx, web, old.Version)
		if err == nil {
			err = r.Commit(ctx, registry.Tag{Repository: web, Name: artifact.Latest, Manifest: a.Manifest})
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if r, err := s.Run(ctx, "no\n", append([]string{"fsck", "--repair"}, p.direct...)...); err != nil || r.Code != 1 || !strings.Contains(r.Stderr, "[y/N]") {
		t.Errorf("without a word: %d %v %s", r.Code, err, r.Stderr)
	}
	runFsck(t, s, 4, append(slices.Clone(p.direct), "--repair", "--yes")...)
	if _, codes := runFsck(t, s, 4, p.direct...); !slices.Equal(codes, want) {
		t.Errorf("after the second repair: found %q, want %q", codes, want)
	}
	a, err := s.Do(ctx, http.MethodPut, "/api/v1/namespaces/shop/resources/web", map[string]any{"spec": map[string]any{"type": "vm", "size": "small"}})
	if err != nil {
		t.Fatal(err)
	}
	if a.Status != http.StatusServiceUnavailable || !strings.Contains(string(a.Body), "superseded") {
		t.Errorf("a write after the repair: %d %s", a.Status, a.Body)
	}
}

// A check of everything, again and again, while many write: nothing is wrong.
func TestFsckWhileOthersWrite(t *testing.T) {
	t.Parallel()
	s := newServer(t, gsq.Options{})
	startServer(t, s)
	done := make(chan struct{})
	ended := make(chan error, 4)
	for i := range 4 {
		go func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					ended <- nil
					return
				case <-time.After(5 * time.Millisecond):
				}
				body := map[string]any{"spec": map[string]any{"type": "vm", "size": []string{"small", "medium", "large"}[n%3]}}
				name := []string{"a", "b", "c"}[(n/3+i)%3]
				if _, err := s.Do(t.Context(), http.MethodPut, "/api/v1/namespaces/"+[]string{"one", "two"}[n%2]+"/resources/"+name, body); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	for range 4 {
		if _, codes := runFsck(t, s, 0); len(codes) > 0 {
			t.Errorf("found %v", codes)
		}
	}
	close(done)
	for range 4 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}
