package intent_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/internal/intent"
)

// goldens are the resources of testdata/golden.
func goldens() map[string]intent.Resource {
	return map[string]intent.Resource{
		"minimal.yaml": {
			Ref:  intent.Ref{Namespace: "default", Name: "web"},
			Spec: intent.Spec{Type: "vm", Size: "small", Replicas: 1}, Version: 1785585600000000, Created: 1785585600000000,
		},
		"full.yaml": {
			Ref:  intent.Ref{Namespace: "team-a", Name: "orders--db"},
			Spec: intent.Spec{Type: "database", Size: "large", Region: "eu-central-1", Replicas: 10}, Version: 1785585723000456, Created: 1785585600000123,
		},
		"awkward.yaml": {
			Ref:  intent.Ref{Namespace: "true", Name: "1e3"},
			Spec: intent.Spec{Type: "bucket", Size: "medium", Region: " 'a': \"b\" # c\n\ttwo\x00 Zürich 東京 🇪🇺 \\n ", Replicas: 3}, Version: 253402300799999999, Created: 1,
		},
		"long.yaml": {
			Ref:  intent.Ref{Namespace: strings.Repeat("n", 63), Name: strings.Repeat("m", 63)},
			Spec: intent.Spec{Type: "vm", Size: "small", Region: strings.Repeat("word ", 50) + "end", Replicas: 1}, Version: 1785585600000001, Created: 1785585600000000,
		},
	}
}

func TestManifestGivesTheGoldenBytes(t *testing.T) {
	t.Parallel()
	for name, r := range goldens() {
		want, err := os.ReadFile(filepath.Join("testdata/golden", name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Manifest()
		if err != nil || string(got) != string(want) {
			t.Errorf("%s: error %v, got\n%s\nwant\n%s", name, err, got, want)
		}
		if back, err := intent.Parse(want); err != nil || back != r {
			t.Errorf("%s: read as %+v, error %v", name, back, err)
		}
		if r.Updated() != r.Version.Time() {
			t.Errorf("%s: updated %s", name, r.Updated())
		}
	}
}

func TestManifestRefusesWhatItCannotGiveBack(t *testing.T) {
	t.Parallel()
	good := goldens()["full.yaml"]
	for name, c := range map[string]struct {
		edit func(*intent.Resource)
		want string
	}{
		"no version":           {func(r *intent.Resource) { r.Version = 0 }, "version and creation time are required"},
		"no creation":          {func(r *intent.Resource) { r.Created = 0 }, "version and creation time are required"},
		"a negative version":   {func(r *intent.Resource) { r.Version = -1 }, "version and creation time are required"},
		"a time too late":      {func(r *intent.Resource) { r.Created = 253402300800000000 }, "version and creation time are required"},
		"a region, not UTF-8":  {func(r *intent.Resource) { r.Spec.Region = "a\xc3" }, "byte 1"},
		"a name, not UTF-8":    {func(r *intent.Resource) { r.Name = "\xff" }, "byte 0"},
		"a type, not UTF-8":    {func(r *intent.Resource) { r.Spec.Type = "\xff" }, "byte 0"},
		"a size with U+0085":   {func(r *intent.Resource) { r.Spec.Size = "a\u0085" }, "byte 1"},
		"a namespace with DEL": {func(r *intent.Resource) { r.Namespace = "\x7f" }, "byte 0"},
		"a region of 64 KiB":   {func(r *intent.Resource) { r.Spec.Region = strings.Repeat("a", intent.MaxManifestBytes) }, "at most 65536 are allowed"},
	} {
		r := good
		c.edit(&r)
		if got, err := r.Manifest(); err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func TestParseTakesNothingButTheCanonicalForm(t *testing.T) {
	t.Parallel()
	canonical, err := goldens()["full.yaml"].Manifest()
	if err != nil {
		t.Fatal(err)
	}
	good := string(canonical)
	replaced := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %q in %s", old, good)
		}
		return strings.Replace(good, old, new, 1)
	}
	const other = "not in canonical form"
	for name, c := range map[string]struct{ data, want string }{
		"nothing":               {"", "annotation gitops-squared.io/version"},
		"no YAML":               {"\t{", "manifest:"},
		"not UTF-8":             {replaced("eu-central-1", "eu\xff"), "manifest:"},
		"JSON":                  {`{"apiVersion":"gitops-squared.io/v1alpha1"}`, "annotation"},
		"a list":                {"- a\n", "manifest:"},
		"two documents":         {good + "---\n" + good, "manifest"},
		"an unknown field":      {good + "status: {}\n", `unknown field "status"`},
		"an unknown spec field": {good + "  zone: a\n", `unknown field "zone"`},
		"a field twice":         {good + "kind: PlatformResource\n", `key "kind" already set`},
		"a field's other case":  {replaced("kind:", "Kind:"), other},
		"a wrong type":          {replaced("replicas: 10", "replicas: ten"), "manifest:"},
		"a fraction":            {replaced("replicas: 10", "replicas: 10.5"), "manifest:"},
		"a comment":             {"# hello\n" + good, other},
		"a blank line":          {good + "\n", other},
		"no last line's end":    {strings.TrimSuffix(good, "\n"), other},
		"other line ends":       {strings.ReplaceAll(good, "\n", "\r\n"), other},
		"other indentation":     {strings.ReplaceAll(good, "  ", "   "), other},
		"quotes":                {replaced("eu-central-1", `"eu-central-1"`), other},
		"a number's other form": {replaced("replicas: 10", "replicas: 1e1"), other},
		"an alias":              {replaced("replicas: 10", "replicas: &a 10"), other},
		"another kind":          {replaced("kind: PlatformResource", "kind: Secret"), other},
		"another API":           {replaced("v1alpha1", "v1"), other},
		"another manager":       {replaced("managed-by: gitops-squared", "managed-by: me"), other},
		"a label more":          {replaced("  labels:\n", "  labels:\n    a: b\n"), other},
		"an annotation more":    {replaced("  annotations:\n", "  annotations:\n    a: b\n"), other},
		"an empty region":       {replaced("  region: eu-central-1\n", "  region: \"\"\n"), other},
		"no version":            {replaced("    gitops-squared.io/version: v1785585723000456\n", ""), "annotation gitops-squared.io/version"},
		"a pending version":     {replaced("v1785585723000456", "pending"), "annotation gitops-squared.io/version"},
		"no creation time":      {replaced(`    gitops-squared.io/created-at: "2026-08-01T12:00:00.000123Z"`+"\n", ""), "annotation gitops-squared.io/created-at"},
		"a creation time, less": {replaced("00.000123Z", "00.000Z"), "annotation gitops-squared.io/created-at"},
		"too large":             {good + strings.Repeat("#", intent.MaxManifestBytes), "at most 65536 are allowed"},
		"a bomb of aliases":     {"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n", "manifest:"},
		"a bomb of depth":       {strings.Repeat("[", 60000), "manifest:"},
	} {
		got, err := intent.Parse([]byte(c.data))
		if err == nil || got != (intent.Resource{}) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %+v, error %v, want one with %q", name, got, err, c.want)
		}
		if c.want == other && !errors.Is(err, intent.ErrNotCanonical) {
			t.Errorf("%s: %v is not ErrNotCanonical", name, err)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	for s, v := range map[string]intent.Version{"v1": 1, "v1785585600000000": 1785585600000000, "v253402300799999999": 253402300799999999} {
		got, err := intent.ParseVersion(s)
		if err != nil || got != v || v.String() != s {
			t.Errorf("%s: got %d, error %v, written %s", s, got, err, v)
		}
		formatted := intent.FormatTime(v.Time())
		if back, err := intent.ParseTime(formatted); err != nil || intent.Version(back.UnixMicro()) != v {
			t.Errorf("%s: its time %s is read as %s, error %v", s, formatted, back, err)
		}
	}
	for _, s := range []string{
		"", "v", "1", "v0", "v01", "v-1", "v+1", "V1", "v1 ", " v1", "v1\n", "v1.0", "v1e3", "v0x1", "v1_000", "v٣", "vv1", "latest", "r1",
		"v253402300800000000", "v9223372036854775807", "v9223372036854775808", "v99999999999999999999999",
	} {
		if v, err := intent.ParseVersion(s); err == nil || v != 0 {
			t.Errorf("%q: got %d, error %v", s, v, err)
		}
	}
}

func TestTime(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("somewhere", -3*3600-1800)
	if got := intent.FormatTime(time.Date(2026, 8, 1, 8, 30, 0, 123456789, zone)); got != "2026-08-01T12:00:00.123456Z" {
		t.Errorf("got %s", got)
	}
	for _, s := range []string{
		"", "2026-08-01", "2026-08-01T12:00:00Z", "2026-08-01T12:00:00.123Z", "2026-08-01T12:00:00.1234567Z", "2026-08-01T12:00:00,123456Z",
		"2026-08-01T12:00:00.123456+00:00", "2026-08-01T12:00:00.123456z", "2026-08-01t12:00:00.123456Z", "2026-08-01 12:00:00.123456Z",
		"2026-02-30T12:00:00.123456Z", "2026-08-01T24:00:00.000000Z", "2026-08-01T12:00:60.000000Z", "2026-08-01T12:00:00.123456Z ",
		"1970-01-01T00:00:00.000000Z", "1969-12-31T23:59:59.999999Z", "0000-01-01T00:00:00.000000Z", "10000-01-01T00:00:00.000000Z",
	} {
		if got, err := intent.ParseTime(s); err == nil || !got.IsZero() {
			t.Errorf("%q: got %s, error %v", s, got, err)
		}
	}
}
