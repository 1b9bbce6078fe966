package catalog_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/tar"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	kustypes "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
)

// unpackLikeFlux unpacks an archive with Flux's own library, with the options
// of source-controller and kustomize-controller, and returns the folder that a
// Kustomization with path ./manifests builds.
func unpackLikeFlux(t *testing.T, archive []byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := tar.Untar(bytes.NewReader(archive), dir, tar.WithMaxUntarSize(tar.UnlimitedUntarSize), tar.WithSkipSymlinks()); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, catalog.Folder)
}

// generateLikeFlux rewrites the kustomization as kustomize-controller 1.9.4
// does before each build (fluxcd/pkg/kustomize, Generator.GenerateManifest).
func generateLikeFlux(t *testing.T, dir string) {
	t.Helper()
	rewrite(t, dir, func(k *kustypes.Kustomization) {
		if len(k.Resources) == 0 {
			k.BuildMetadata = []string{"originAnnotations"}
		}
	})
}

func rewrite(t *testing.T, dir string, edit func(*kustypes.Kustomization)) {
	t.Helper()
	file := filepath.Join(dir, "kustomization.yaml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	k := kustypes.Kustomization{TypeMeta: kustypes.TypeMeta{APIVersion: kustypes.KustomizationVersion, Kind: kustypes.KustomizationKind}}
	if err := yaml.Unmarshal(data, &k); err != nil {
		t.Fatal(err)
	}
	edit(&k)
	if data, err = yaml.Marshal(k); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// kustomize builds a folder with the options of kustomize-controller 1.9.4
// (fluxcd/pkg/kustomize, Build).
func kustomize(dir string) ([]byte, error) {
	built, err := krusty.MakeKustomizer(&krusty.Options{
		LoadRestrictions: kustypes.LoadRestrictionsNone,
		PluginConfig:     kustypes.DisabledPluginConfig(),
	}).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, err
	}
	return built.AsYaml()
}

// readObjects splits a build into objects, as Flux's ssa.ReadObjects does.
func readObjects(t *testing.T, built []byte) map[string]map[string]any {
	t.Helper()
	objects := map[string]map[string]any{}
	for d := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(built), 2048); ; {
		var o unstructured.Unstructured
		err := d.Decode(&o)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := objects[o.GetName()]; twice {
			t.Errorf("%s was built twice", o.GetName())
		}
		objects[o.GetName()] = o.Object
	}
}

// declared is the object that a resource must be in the cluster.
func declared(r intent.Resource) map[string]any {
	spec := map[string]any{"type": r.Spec.Type, "size": r.Spec.Size, "replicas": int64(r.Spec.Replicas)}
	if r.Spec.Region != "" {
		spec["region"] = r.Spec.Region
	}
	return map[string]any{
		"apiVersion": "gitops-squared.io/v1alpha1", "kind": "PlatformResource",
		"metadata": map[string]any{
			"name": r.Name, "namespace": r.Namespace,
			"labels": map[string]any{"app.kubernetes.io/managed-by": "gitops-squared"},
			"annotations": map[string]any{
				"gitops-squared.io/version":    r.Version.String(),
				"gitops-squared.io/created-at": intent.FormatTime(r.Created.Time()),
			},
		},
		"spec": spec,
	}
}

// kustomize keeps global state, so all that builds with it is one test.
func TestFluxBuildsWhatWasDeclared(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 63)
	for name, c := range map[string]struct {
		namespace string
		resources []intent.Resource
	}{
		"none":               {"default", nil},
		"none, elsewhere":    {long, nil},
		"one":                {"default", numbered("default", 1)},
		"three":              {"staging", numbered("staging", 3)},
		"two hundred":        {"default", numbered("default", 200)},
		"awkward names":      {"default", named("default", append(awkwardNames(), long)...)},
		"long names":         {long, named(long, long, strings.Repeat("m", 63), "a")},
		"a namespace true":   {"true", named("true", awkwardNames()...)},
		"a namespace 1e3":    {"1e3", named("1e3", awkwardNames()...)},
		"a namespace 0":      {"0", named("0", awkwardNames()...)},
		"a namespace null":   {"null", named("null", awkwardNames()...)},
		"awkward regions":    {"default", inRegions(awkwardRegions())},
		"all of the plane 0": {"default", inRegions(everyCharacter())},
	} {
		t.Run(name, func(t *testing.T) {
			dir := unpackLikeFlux(t, pack(t, c.namespace, entriesOf(t, c.resources)))
			plain, err := kustomize(dir)
			if err != nil {
				t.Fatalf("kustomize build: %v", err)
			}
			generateLikeFlux(t, dir)
			built, err := kustomize(dir)
			if err != nil {
				t.Fatalf("kustomize build: %v", err)
			}
			if !bytes.Equal(built, plain) {
				t.Errorf("Flux's rewriting of the kustomization changes what is built")
			}
			objects := readObjects(t, built)
			if len(objects) != len(c.resources) {
				t.Errorf("%d objects, want %d", len(objects), len(c.resources))
			}
			for _, r := range c.resources {
				if got, want := objects[r.Name], declared(r); !reflect.DeepEqual(got, want) {
					t.Errorf("%s:\ngot  %#v\nwant %#v", r.Name, got, want)
				}
			}
		})
	}
	t.Run("the namespace line changes no object", func(t *testing.T) {
		dir := unpackLikeFlux(t, pack(t, "staging", numberedEntries(t, "staging", 3)))
		with, err := kustomize(dir)
		if err != nil {
			t.Fatal(err)
		}
		rewrite(t, dir, func(k *kustypes.Kustomization) { k.Namespace = "" })
		without, err := kustomize(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(with, without) {
			t.Errorf("with the line:\n%s\nwithout:\n%s", with, without)
		}
	})
	t.Run("the namespace line lets Flux 2.2 build an empty catalog", func(t *testing.T) {
		// It rewrites the kustomization like its successors, but adds nothing.
		dir := unpackLikeFlux(t, pack(t, "staging", nil))
		rewrite(t, dir, func(*kustypes.Kustomization) {})
		if built, err := kustomize(dir); err != nil || len(readObjects(t, built)) != 0 {
			t.Errorf("built %q, error %v", built, err)
		}
		rewrite(t, dir, func(k *kustypes.Kustomization) { k.Namespace = "" })
		if built, err := kustomize(dir); err == nil || !strings.Contains(err.Error(), "empty") {
			t.Errorf("without the line: built %q, error %v: if that works now, the line can go", built, err)
		}
	})
}

func awkwardNames() []string {
	return []string{
		"a", "a-b", "a--b", "a---b", "true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf",
		"0", "123", "007", "0x1f", "0o17", "0b1", "1e3", "1-2", "2026-01-01", "kustomization", "kustomization-yaml", "default",
	}
}

func awkwardRegions() []string {
	regions := append(awkwardNames(), []string{
		"'", `"`, `'"'"`, `\`, `\n`, `C:\new`, "#", "a #b", "a# b", ": ", "a: b", "a:b", ":", "- a", "-", "?", "? a", "~", "!", "!!str a", "&a", "*a",
		"%TAG", "@", "`", "|", ">", "|-\n  a", "{", "{}", "[]", "[a", ",", "<<", "=", ".", "..", "...", "---", "--- a", "\n---\nkind: Secret\n", "\n...\n",
		" a", "a ", "  ", " ", "\ta", "a\t", "a\tb", "\n", "\n\n", "a\n", "\na", "a\nb", "a\n\nb\n\n", "  a\n b", "a\r\nb", "\r", "a\rb",
		"\x00", "a\x00b", "\x01\x1b", "\u00a0", "\u2028", "a\u2029b", "\u200b", "\ufffd",
		"Zürich", "東京", "🇪🇺", "e\u0301", "\U0010ffff", "\u202eabc",
		"1_000", "190:20:30", "12:30", ".5", "5.", "+1", "-1", "-0", ".inf", "-.Inf", ".NaN", "NaN", "0.0", "1e400", "0x", "1.0", "0777", "0o777", "9223372036854775808",
		"2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43", "True", "TRUE", "Null", "NULL", "Yes", "NO", "On", "OFF", "Y",
		"${region}", "$(region)", "{{ .Region }}", "$patch: delete", "<script>&amp;",
		strings.Repeat("a", 253), strings.Repeat("ü", 253), strings.Repeat("🇪", 253), strings.Repeat(" ", 253), strings.Repeat("a ", 126), strings.Repeat("\n", 253), strings.Repeat("word ", 50) + "end",
	}...)
	slices.Sort(regions)
	return slices.Compact(regions)
}

// everyCharacter returns, once each, the characters of Unicode's first plane that
// a declaration may have.
func everyCharacter() []string {
	var out []string
	for first := rune(0); first < 0x10000; first += 250 {
		var b strings.Builder
		for r := first; r < first+250 && r < 0x10000; r++ {
			control := r >= 0x7f && r < 0xa0
			surrogate := r >= 0xd800 && r <= 0xdfff
			if !control && !surrogate && r != 0xfeff && r < 0xfffe {
				b.WriteRune(r)
			}
		}
		if b.Len() > 0 {
			out = append(out, b.String())
		}
	}
	return out
}

func named(namespace string, names ...string) []intent.Resource {
	set := map[string]intent.Resource{}
	for i, name := range names {
		set[name] = intent.Resource{
			Ref:  intent.Ref{Namespace: namespace, Name: name},
			Spec: intent.Spec{Type: "vm", Size: "small", Region: name, Replicas: 1}, Version: base + intent.Version(i), Created: base,
		}
	}
	return slices.Collect(maps.Values(set))
}

func inRegions(regions []string) []intent.Resource {
	out := make([]intent.Resource, len(regions))
	for i, region := range regions {
		out[i] = intent.Resource{
			Ref:  intent.Ref{Namespace: "default", Name: fmt.Sprintf("r-%03d", i)},
			Spec: intent.Spec{Type: "bucket", Size: "large", Region: region, Replicas: 10}, Version: base, Created: base,
		}
	}
	return out
}
