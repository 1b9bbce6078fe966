package intent_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"gitops-squared.io/gsq/deploy/crd"
	"gitops-squared.io/gsq/internal/intent"
)

func newSchema(tb testing.TB) *intent.Schema {
	tb.Helper()
	s, err := intent.NewSchema(crd.PlatformResource)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestCompleteFillsInTheDefaults(t *testing.T) {
	t.Parallel()
	s := newSchema(t)
	label := strings.Repeat("a", 63)
	for _, c := range []struct {
		ref        intent.Ref
		spec, want intent.Spec
	}{
		{intent.Ref{Namespace: "default", Name: "web"}, intent.Spec{Type: "vm", Size: "small"}, intent.Spec{Type: "vm", Size: "small", Replicas: 1}},
		{intent.Ref{Namespace: "0", Name: "1"}, intent.Spec{Type: "database", Size: "medium", Replicas: 1}, intent.Spec{Type: "database", Size: "medium", Replicas: 1}},
		{intent.Ref{Namespace: label, Name: label}, intent.Spec{Type: "bucket", Size: "large", Region: strings.Repeat("ü", 253), Replicas: 10}, intent.Spec{Type: "bucket", Size: "large", Region: strings.Repeat("ü", 253), Replicas: 10}},
		{intent.Ref{Namespace: "a", Name: "a--b"}, intent.Spec{Type: "vm", Size: "small", Region: " \n\x00#: '\"", Replicas: 7}, intent.Spec{Type: "vm", Size: "small", Region: " \n\x00#: '\"", Replicas: 7}},
	} {
		got, err := s.Complete(c.ref, c.spec)
		if err != nil || got != c.want {
			t.Errorf("%s %+v: got %+v, error %v; want %+v", c.ref, c.spec, got, err, c.want)
		}
	}
}

func TestCompleteListsEveryFault(t *testing.T) {
	t.Parallel()
	s := newSchema(t)
	good := intent.Spec{Type: "vm", Size: "small", Replicas: 1}
	web := intent.Ref{Namespace: "default", Name: "web"}
	spec := func(edit func(*intent.Spec)) intent.Spec { out := good; edit(&out); return out }
	for name, c := range map[string]struct {
		ref      intent.Ref
		spec     intent.Spec
		pointers []string // of the faults, in order
		detail   string   // in the first
	}{
		"no name":              {intent.Ref{Namespace: "default"}, good, []string{"/name"}, "lower case alphanumeric"},
		"capitals":             {intent.Ref{Namespace: "default", Name: "UPPER"}, good, []string{"/name"}, "lower case alphanumeric"},
		"an underscore":        {intent.Ref{Namespace: "default", Name: "my_db"}, good, []string{"/name"}, "lower case alphanumeric"},
		"a dot":                {intent.Ref{Namespace: "default", Name: "a.b"}, good, []string{"/name"}, "must not contain dots"},
		"a slash":              {intent.Ref{Namespace: "default", Name: "a/b"}, good, []string{"/name"}, "lower case alphanumeric"},
		"a dash first":         {intent.Ref{Namespace: "default", Name: "-a"}, good, []string{"/name"}, "lower case alphanumeric"},
		"a dash last":          {intent.Ref{Namespace: "default", Name: "a-"}, good, []string{"/name"}, "lower case alphanumeric"},
		"a new line":           {intent.Ref{Namespace: "default", Name: "a\n"}, good, []string{"/name"}, "lower case alphanumeric"},
		"64 characters":        {intent.Ref{Namespace: "default", Name: strings.Repeat("a", 64)}, good, []string{"/name"}, "no more than 63"},
		"a namespace":          {intent.Ref{Namespace: "No", Name: "web"}, good, []string{""}, `namespace "No"`},
		"no namespace":         {intent.Ref{Name: "web"}, good, []string{""}, `namespace ""`},
		"no type":              {web, spec(func(s *intent.Spec) { s.Type = "" }), []string{"/spec/type"}, `supported values: "vm", "database", "bucket"`},
		"an unknown type":      {web, spec(func(s *intent.Spec) { s.Type = "VM" }), []string{"/spec/type"}, `Unsupported value: "VM"`},
		"no size":              {web, spec(func(s *intent.Spec) { s.Size = "" }), []string{"/spec/size"}, `supported values: "small", "medium", "large"`},
		"an unknown size":      {web, spec(func(s *intent.Spec) { s.Size = "huge" }), []string{"/spec/size"}, `Unsupported value: "huge"`},
		"negative replicas":    {web, spec(func(s *intent.Spec) { s.Replicas = -3 }), []string{"/spec/replicas"}, "greater than or equal to 1"},
		"too many replicas":    {web, spec(func(s *intent.Spec) { s.Replicas = 11 }), []string{"/spec/replicas"}, "less than or equal to 10"},
		"far too many":         {web, spec(func(s *intent.Spec) { s.Replicas = 1 << 40 }), []string{"", "/spec/replicas"}, "int32 in spec.replicas"},
		"a long region":        {web, spec(func(s *intent.Spec) { s.Region = strings.Repeat("ü", 254) }), []string{"/spec/region"}, "253"},
		"a region, not UTF-8":  {web, spec(func(s *intent.Spec) { s.Region = "eu\xff" }), []string{"/spec/region"}, "byte 2"},
		"a region with DEL":    {web, spec(func(s *intent.Spec) { s.Region = "\x7f" }), []string{"/spec/region"}, "YAML"},
		"a region with U+0085": {web, spec(func(s *intent.Spec) { s.Region = "a\u0085b" }), []string{"/spec/region"}, "byte 1"},
		"all of it": {intent.Ref{Namespace: "No", Name: "No"}, intent.Spec{Type: "x", Size: "y", Region: strings.Repeat("r", 254), Replicas: -1},
			[]string{"", "/name", "/spec/region", "/spec/replicas", "/spec/size", "/spec/type"}, `namespace "No"`},
		"nothing": {intent.Ref{}, intent.Spec{}, []string{"", "/name", "/spec/size", "/spec/type"}, `namespace ""`},
	} {
		got, err := s.Complete(c.ref, c.spec)
		var faults intent.Invalid
		if !errors.As(err, &faults) || got != (intent.Spec{}) {
			t.Errorf("%s: got %+v, error %v", name, got, err)
			continue
		}
		var pointers []string
		for _, f := range faults {
			pointers = append(pointers, f.Pointer)
		}
		if !slices.Equal(pointers, c.pointers) || !strings.Contains(faults[0].Detail, c.detail) {
			t.Errorf("%s: faults %q, want them at %q, the first with %q", name, faults, c.pointers, c.detail)
		}
		if !strings.Contains(err.Error(), faults[0].Detail) {
			t.Errorf("%s: the error %q leaves out a fault", name, err)
		}
	}
}

// What Complete takes is complete, and can be written and read again.
func TestCompleteIsIdempotent(t *testing.T) {
	t.Parallel()
	s := newSchema(t)
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		label := rapid.OneOf(rapid.StringMatching(`[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?`), rapid.StringN(0, 5, -1))
		ref := intent.Ref{Namespace: label.Draw(t, "namespace"), Name: label.Draw(t, "name")}
		spec := intent.Spec{
			Type:     rapid.SampledFrom([]string{"vm", "database", "bucket", "vm", "bucket", "", "x"}).Draw(t, "type"),
			Size:     rapid.SampledFrom([]string{"small", "medium", "large", "small", "", "x"}).Draw(t, "size"),
			Region:   rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "region"),
			Replicas: rapid.IntRange(-2, 12).Draw(t, "replicas"),
		}
		once, err := s.Complete(ref, spec)
		if err != nil {
			return
		}
		accepted++
		twice, err := s.Complete(ref, once)
		if err != nil || twice != once {
			t.Fatalf("%+v became %+v, then %+v, error %v", spec, once, twice, err)
		}
		if once.Replicas < 1 || once.Replicas > 10 || utf8.RuneCountInString(once.Region) > 253 || once.Region != spec.Region {
			t.Fatalf("%+v was taken, as %+v", spec, once)
		}
		r := intent.Resource{Ref: ref, Spec: once, Version: 2, Created: 1}
		yaml, err := r.Manifest()
		if err != nil {
			t.Fatalf("taken, but it cannot be written: %v", err)
		}
		if got, err := intent.Parse(yaml); err != nil || got != r {
			t.Fatalf("written as\n%s\nread as %+v, error %v; want %+v", yaml, got, err, r)
		}
	})
	if accepted == 0 {
		t.Error("no declaration was taken: the property was not tested")
	}
}

// A region is taken if, and only if, a manifest gives it back, whatever
// character it holds.
func TestEveryCharacterIsCarriedOrRefused(t *testing.T) {
	t.Parallel()
	s := newSchema(t)
	ref := intent.Ref{Namespace: "default", Name: "web"}
	refused := 0
	check := func(region string) {
		spec, err := s.Complete(ref, intent.Spec{Type: "vm", Size: "small", Region: region})
		r := intent.Resource{Ref: ref, Spec: intent.Spec{Type: "vm", Size: "small", Region: region, Replicas: 1}, Version: 2, Created: 1}
		yaml, failed := r.Manifest()
		if (err == nil) != (failed == nil) {
			t.Fatalf("%q: Complete says %v, Manifest %v", region, err, failed)
		}
		if err != nil {
			refused++
			return
		}
		if got, err := intent.Parse(yaml); err != nil || got != r || spec != r.Spec {
			t.Fatalf("%q: completed to %q, read back as %q, error %v", region, spec.Region, got.Spec.Region, err)
		}
	}
	for r := range rune(0x300) {
		check("a" + string(r) + "b")
	}
	for r := rune(0x2000); r < 0x2070; r++ { // spaces, separators, directions
		check("a" + string(r) + "b")
	}
	for _, r := range []rune{0xd7ff, 0xe000, 0xfdd0, 0xfeff, 0xfffd, 0xfffe, 0xffff, 0x10000, 0x1fffe, 0x1f600, 0x10ffff} {
		check(string(r))
		check("a" + string(r) + "b")
	}
	for b := range 0x80 {
		check("a" + string([]byte{byte(0x80 + b)}))
	}
	// DEL to U+009F, three characters of the end twice each, and half a
	// character of every sort.
	if want := 33 + 6 + 128; refused != want {
		t.Errorf("%d strings were refused, want %d", refused, want)
	}
}

func TestSpecIsTheSchemas(t *testing.T) {
	t.Parallel()
	schema := newSchema(t).Spec()
	kinds := map[reflect.Kind]string{reflect.String: "string", reflect.Int: "integer"}
	fields := map[string]string{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[intent.Spec]()) {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields[name] = kinds[f.Type.Kind()]
		if required := slices.Contains(schema.Required, name); required == (options == "omitempty") {
			t.Errorf("%s: required in the schema: %t, in the struct: %q", name, required, options)
		}
	}
	properties := map[string]string{}
	for name, p := range schema.Properties {
		properties[name] = p.Type
	}
	if !maps.Equal(fields, properties) {
		t.Errorf("the struct has %v, the schema %v", fields, properties)
	}
	if schema.AdditionalProperties != nil || schema.XPreserveUnknownFields != nil {
		t.Error("the schema takes properties that the struct does not have")
	}
	if got := string(schema.Properties["replicas"].Default.Raw); got != "1" {
		t.Errorf("the default of replicas is %s, want 1", got)
	}
	// Zero replicas mean the default, so zero itself must not be allowed.
	if least := schema.Properties["replicas"].Minimum; least == nil || *least < 1 {
		t.Error("zero replicas are allowed")
	}
}

func TestNewSchemaRefusesADefinitionThatItCannotUse(t *testing.T) {
	t.Parallel()
	definition := string(crd.PlatformResource)
	for name, c := range map[string]struct{ definition, want string }{
		"nothing":          {"", "want one version with a schema"},
		"no YAML":          {"{", "custom resource definition:"},
		"an unknown field": {definition + "\nextra: 1\n", `unknown field "extra"`},
		"no schema":        {definition[:strings.Index(definition, "      schema:")], "want one version with a schema"},
		"no spec":          {strings.NewReplacer("            spec:", "            intent:", "required: [spec]", "required: [intent]").Replace(definition), "no spec in its schema"},
	} {
		if c.definition == definition {
			t.Fatalf("%s: the definition was not changed", name)
		}
		s, err := intent.NewSchema([]byte(c.definition))
		if err == nil || s != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
}

func TestValidateNamespace(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"default", "a", "0", "a--b", strings.Repeat("a", 63)} {
		if err := intent.ValidateNamespace(name); err != nil || !intent.IsLabel(name) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "A", "a.b", "a/b", "-a", "a-", "a_b", "a\n", "ä", strings.Repeat("a", 64)} {
		var faults intent.Invalid
		if err := intent.ValidateNamespace(name); !errors.As(err, &faults) || len(faults) == 0 || intent.IsLabel(name) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
