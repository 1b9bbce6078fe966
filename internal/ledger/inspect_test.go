package ledger_test

import (
	"context"
	"errors"
	"testing"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
	"gitops-squared.io/gsq/internal/registry/faulty"
)

// inspect reads everything that the system catalog names straight from the
// registry, trusting no ledger, and checks that it hangs together: gapless
// revision tags, the hash chain, increasing times, layers against records,
// artifacts and their tags. It returns each namespace's live manifests.
func inspect(t testing.TB, store *faulty.Store) map[string]map[string]string {
	t.Helper()
	raw, layout := store.Raw(), artifact.Layout{Prefix: prefix}
	sys := chain(t, raw, layout.System(), artifact.TypeSystemConfig, artifact.TypeSystem)
	content, err := artifact.ParseSystem(sys[len(sys)-1].Layer.Data)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]string{}
	for ns, s := range content.Namespaces {
		if s.State != "active" {
			continue
		}
		all[ns] = inspectNamespace(t, raw, layout, ns)
	}
	return all
}

func chain(t testing.TB, raw registry.Registry, repo, configType, layerType string) []artifact.Revision {
	t.Helper()
	ctx := context.Background()
	var revs []artifact.Revision
	for n := int64(1); ; n++ {
		a, err := raw.Get(ctx, repo, artifact.RevisionTag(n))
		if errors.Is(err, registry.ErrNotFound) {
			break
		}
		if err != nil {
			t.Fatalf("%s: r%d: %v", repo, n, err)
		}
		rev, err := artifact.Unpack(configType, layerType, a)
		if err != nil {
			t.Fatalf("%s: r%d: %v", repo, n, err)
		}
		if rev.Record.Number != n {
			t.Errorf("%s: r%d holds revision %d", repo, n, rev.Record.Number)
		}
		if n > 1 {
			parent := revs[n-2]
			if rev.Record.Parent != parent.Manifest.Digest {
				t.Errorf("%s: the parent of r%d is not r%d", repo, n, n-1)
			}
			if rev.Record.Time <= parent.Record.Time {
				t.Errorf("%s: r%d is not later than r%d", repo, n, n-1)
			}
		}
		revs = append(revs, rev)
	}
	if len(revs) == 0 {
		t.Fatalf("%s has no revision", repo)
	}
	d, err := raw.Resolve(ctx, repo, artifact.Latest)
	if err != nil || d.Digest != revs[len(revs)-1].Manifest.Digest {
		t.Errorf("%s: latest is %s (%v), the last revision is %d (%s)", repo, d.Digest, err, len(revs), revs[len(revs)-1].Manifest.Digest)
	}
	return revs
}

func inspectNamespace(t testing.TB, raw registry.Registry, layout artifact.Layout, ns string) map[string]string {
	t.Helper()
	ctx := context.Background()
	live, newest := map[string]string{}, map[string]artifact.VersionRef{}
	for _, rev := range chain(t, raw, layout.Catalog(ns), artifact.TypeFluxConfig, artifact.TypeFluxContent) {
		n := rev.Record.Number
		entries, err := catalog.Unpack(ns, rev.Layer.Data)
		if err != nil {
			t.Fatalf("%s: r%d: %v", ns, n, err)
		}
		content := map[string]string{}
		for _, e := range entries {
			content[e.Name] = string(e.YAML)
		}
		// The changes lead from the parent's content to this one, exactly.
		for _, c := range rev.Record.Changes {
			if before := newest[c.Name]; c.Before != nil && *c.Before != before {
				t.Errorf("%s: r%d: %s was %+v before, not %+v", ns, n, c.Name, before, *c.Before)
			}
			_, lives := content[c.Name]
			if gone := c.Operation == "delete"; lives == gone && c.Operation != "rollback" {
				t.Errorf("%s: r%d: the %s of %s leaves it there: %v", ns, n, c.Operation, c.Name, lives)
			}
			if lives {
				live[c.Name] = content[c.Name]
			} else {
				delete(live, c.Name)
			}
			newest[c.Name] = *c.After
			repo := layout.Resource(intent.Ref{Namespace: ns, Name: c.Name})
			a, err := raw.Get(ctx, repo, c.After.Version)
			if err != nil || a.Manifest.Digest != c.After.Digest {
				t.Errorf("%s: %s: %s (%v), want %s", repo, c.After.Version, a.Manifest.Digest, err, c.After.Digest)
			} else if lives && string(a.Blobs[1].Data) != content[c.Name] {
				t.Errorf("%s: r%d: %s differs from its artifact", ns, n, c.Name)
			}
		}
		if len(live) != len(content) {
			t.Errorf("%s: r%d holds %d resources, its changes lead to %d", ns, n, len(content), len(live))
		}
		for name, yaml := range live {
			if content[name] != yaml {
				t.Errorf("%s: r%d: %s is not what the changes lead to", ns, n, name)
			}
		}
	}
	for name, v := range newest {
		repo := layout.Resource(intent.Ref{Namespace: ns, Name: name})
		if d, err := raw.Resolve(ctx, repo, artifact.Latest); err != nil || d.Digest != v.Digest {
			t.Errorf("%s: latest is %s (%v), want %s", repo, d.Digest, err, v.Digest)
		}
	}
	return live
}
