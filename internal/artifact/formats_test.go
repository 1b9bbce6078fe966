package artifact_test

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"sigs.k8s.io/yaml"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/catalog"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// formats returns what has to stand in docs/formats.md, and why.
func formats(t *testing.T) map[string]string {
	t.Helper()
	want := map[string]string{}
	for name, a := range goldens(t) {
		want["`internal/artifact/testdata/golden/"+name+"/`"] = "golden files"
		var m ocispec.Manifest
		if err := json.Unmarshal(a.Manifest.Data, &m); err != nil {
			t.Fatal(err)
		}
		for _, mediaType := range []string{m.MediaType, m.ArtifactType, m.Config.MediaType, m.Layers[0].MediaType} {
			if mediaType != "" {
				want["`"+mediaType+"`"] = "media type of " + name
			}
		}
		for _, annotations := range []map[string]string{m.Annotations, m.Layers[0].Annotations, m.Config.Annotations} {
			for key := range annotations {
				want["`"+key+"`"] = "annotation of " + name
			}
		}
	}
	for _, record := range []any{artifact.Record{}, artifact.RecordChange{}, artifact.VersionRef{}, artifact.System{}, artifact.SystemNamespace{}, artifact.Claim{}} {
		for _, f := range reflect.VisibleFields(reflect.TypeOf(record)) {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			want["`"+name+"`"] = fmt.Sprintf("field of %T", record)
		}
	}
	var stone map[string]any
	if err := yaml.Unmarshal(tombstone(t).Blobs[1].Data, &stone); err != nil {
		t.Fatal(err)
	}
	for key := range stone {
		want[key+": "] = "field of a tombstone"
	}
	for _, s := range []string{intent.APIVersion, intent.Kind, intent.LabelManagedBy, intent.AnnotationVersion, intent.AnnotationCreated} {
		want[s] = "of the resource manifest"
	}
	for bytes, what := range map[int]string{
		intent.MaxManifestBytes: "a resource's manifest", artifact.MaxRecordBytes: "a commit record", catalog.MaxBytes: "a catalog's layer, uncompressed",
	} {
		want["| "+what+" | "+size(bytes)+" |"] = "bound"
	}
	want["| any blob, any manifest | "+size(registry.MaxBlobBytes)+", "+size(registry.MaxManifestBytes)+" |"] = "bound"
	for _, kind := range []string{"Operation", "State"} {
		for _, value := range ledgerConstants(t, kind) {
			want["`"+value+"`"] = kind + " of the ledger"
		}
	}
	l := artifact.Layout{Prefix: "<prefix>"}
	for _, repo := range []string{l.Resource(intent.Ref{Namespace: "<namespace>", Name: "<name>"}), l.Catalog("default"), l.Catalog("<namespace>"), l.System(), l.Writer()} {
		want["`"+repo+"`"] = "repository"
	}
	want["`"+artifact.ScopeSystem+"`"] = "scope"
	want["`"+artifact.ScopeNamespace("<namespace>")+"`"] = "scope"
	return want
}

func size(bytes int) string {
	if bytes < 1<<20 {
		return strconv.Itoa(bytes>>10) + " KiB"
	}
	return strconv.Itoa(bytes>>20) + " MiB"
}

// ledgerConstants returns the values of the ledger's constants of a type: the
// words that it writes into records. The ledger stands above this package, so
// its source is read.
func ledgerConstants(t *testing.T, kind string) []string {
	t.Helper()
	files, err := filepath.Glob("../ledger/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if name, ok := spec.Type.(*ast.Ident); !ok || name.Name != kind {
				return true
			}
			for _, v := range spec.Values {
				if literal, ok := v.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					value, err := strconv.Unquote(literal.Value)
					if err != nil {
						t.Fatal(err)
					}
					values = append(values, value)
				}
			}
			return true
		})
	}
	if len(values) < 3 {
		t.Fatalf("%d constants of type %s found in the ledger: %q", len(values), kind, values)
	}
	return values
}

func TestFormatsAreDocumented(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	want := formats(t)
	if len(want) < 50 {
		t.Fatalf("only %d things to look for", len(want))
	}
	for s, what := range want {
		if !strings.Contains(string(data), s) {
			t.Errorf("docs/formats.md does not mention %s (%s)", s, what)
		}
	}
}

// Every media type that has a name here is used by some golden artifact, so
// that none escapes the test above.
func TestEveryMediaTypeHasAGoldenFile(t *testing.T) {
	t.Parallel()
	parsed, err := parser.ParseFile(token.NewFileSet(), "names.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var manifests strings.Builder
	for _, a := range goldens(t) {
		manifests.Write(a.Manifest.Data)
	}
	found := 0
	ast.Inspect(parsed, func(n ast.Node) bool {
		literal, ok := n.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING || !strings.HasPrefix(literal.Value, `"application/`) && !strings.HasPrefix(literal.Value, `"io.gitops-squared.`) {
			return true
		}
		found++
		if !strings.Contains(manifests.String(), literal.Value) {
			t.Errorf("%s is in no golden manifest", literal.Value)
		}
		return true
	})
	if found < 12 {
		t.Errorf("only %d media types and annotations found", found)
	}
}

// The examples of the page are those of the golden files.
func TestExamplesAreGolden(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/formats.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"testdata/golden/tombstone/layer.yaml", "../intent/testdata/golden/full.yaml"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(page), "```yaml\n"+string(data)+"```") {
			t.Errorf("%s does not stand in docs/formats.md", file)
		}
	}
	files, err := catalog.Files(goldens(t)["catalog"].Blobs[1].Data)
	if err != nil {
		t.Fatal(err)
	}
	if kustomization := files[len(files)-1]; !strings.Contains(string(page), "```yaml\n"+string(kustomization.Data)+"```") {
		t.Errorf("%s does not stand in docs/formats.md:\n%s", kustomization.Name, kustomization.Data)
	}
}
