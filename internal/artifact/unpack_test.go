package artifact_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
	"gitops-squared.io/gsq/internal/registry"
)

// edited returns the artifact with its manifest rewritten, as a foreign writer
// could push it.
func edited(t *testing.T, a registry.Artifact, old, new string) registry.Artifact {
	t.Helper()
	if !bytes.Contains(a.Manifest.Data, []byte(old)) {
		t.Fatalf("no %q in %s", old, a.Manifest.Data)
	}
	a.Manifest = registry.NewManifest(a.Manifest.MediaType, bytes.Replace(a.Manifest.Data, []byte(old), []byte(new), 1))
	return a
}

func TestUnpackGivesBackARevision(t *testing.T) {
	t.Parallel()
	a := goldens(t)["catalog"]
	rev, err := artifact.Unpack(artifact.TypeFluxConfig, artifact.TypeFluxContent, a)
	if err != nil {
		t.Fatal(err)
	}
	want := artifact.Revision{Record: catalogRecord(t), Layer: layerOf(t, db(), web(webVersion)), Manifest: a.Manifest}
	if !reflect.DeepEqual(rev, want) {
		t.Errorf("got %+v", rev)
	}
}

func TestUnpackRefusesOtherArtifacts(t *testing.T) {
	t.Parallel()
	all := goldens(t)
	good := all["catalog"]
	fewer, more, swapped := good, good, good
	fewer.Blobs, more.Blobs = good.Blobs[:1], append(good.Blobs[:2:2], good.Blobs[1])
	swapped.Blobs = []registry.Blob{good.Blobs[1], good.Blobs[0]}
	for name, a := range map[string]registry.Artifact{
		"nothing": {}, "a resource": all["resource"], "a claim": all["writer"], "the system catalog": all["system-catalog"],
		"one blob": fewer, "three blobs": more, "swapped blobs": swapped,
		"another annotation":   edited(t, good, `"r7"`, `"r8"`),
		"an annotation more":   edited(t, good, `"annotations":{`, `"annotations":{"a":"b",`),
		"another time":         edited(t, good, "02.000003Z", "02.000004Z"),
		"a blank":              edited(t, good, `,"config"`, `, "config"`),
		"an artifact type":     edited(t, good, `"config"`, `"artifactType":"a/b","config"`),
		"another record":       {Manifest: good.Manifest, Blobs: []registry.Blob{all["catalog-first"].Blobs[0], good.Blobs[1]}},
		"another layer":        {Manifest: good.Manifest, Blobs: []registry.Blob{good.Blobs[0], layerOf(t)}},
		"a record that is not": {Manifest: good.Manifest, Blobs: []registry.Blob{registry.NewBlob(artifact.TypeFluxConfig, []byte("{}")), good.Blobs[1]}},
	} {
		if rev, err := artifact.Unpack(artifact.TypeFluxConfig, artifact.TypeFluxContent, a); err == nil || !reflect.DeepEqual(rev, artifact.Revision{}) {
			t.Errorf("%s: got %+v, error %v", name, rev.Record, err)
		}
	}
}

func TestSystemIsReadBack(t *testing.T) {
	t.Parallel()
	want := system()
	want.Format = artifact.RecordFormat
	empty := artifact.System{Format: artifact.RecordFormat, Namespaces: map[string]artifact.SystemNamespace{}}
	for _, s := range []artifact.System{want, empty} {
		blob, err := s.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := artifact.ParseSystem(blob.Data); err != nil || !reflect.DeepEqual(got, s) {
			t.Errorf("got %+v, error %v", got, err)
		}
	}
}

func TestParseSystemTakesNothingButTheCanonicalForm(t *testing.T) {
	t.Parallel()
	one := func(namespace string) string { return `{"formatVersion":1,"namespaces":{` + namespace + `}}` }
	for name, c := range map[string]struct{ data, want string }{
		"nothing":               {"", "system catalog:"},
		"null":                  {"null", "format version 0"},
		"a newer format":        {`{"formatVersion":2,"namespaces":{}}`, "format version 2, want 1"},
		"no namespaces":         {`{"formatVersion":1}`, "namespaces are required"},
		"namespaces null":       {`{"formatVersion":1,"namespaces":null}`, "namespaces are required"},
		"an unknown field":      {`{"formatVersion":1,"namespaces":{},"extra":1}`, `unknown field "extra"`},
		"an unknown setting":    {one(`"a":{"state":"active","createdAt":"2026-08-01T12:00:00.000000Z","b":1}`), `unknown field "b"`},
		"no state":              {one(`"a":{"createdAt":"2026-08-01T12:00:00.000000Z"}`), `unknown state ""`},
		"an unknown state":      {one(`"a":{"state":"frozen","createdAt":"2026-08-01T12:00:00.000000Z"}`), `unknown state "frozen"`},
		"no time":               {one(`"a":{"state":"active"}`), "is not a time"},
		"a name that is none":   {one(`"A":{"state":"active","createdAt":"2026-08-01T12:00:00.000000Z"}`), `namespace "A"`},
		"a namespace null":      {one(`"a":null`), `unknown state ""`},
		"another order":         {one(`"b":{"state":"active","createdAt":"2026-08-01T12:00:00.000000Z"},"a":{"state":"active","createdAt":"2026-08-01T12:00:00.000000Z"}`), "not in canonical form"},
		"a namespace twice":     {one(`"a":{"state":"active","createdAt":"2026-08-01T12:00:00.000000Z"},"a":{"state":"active","createdAt":"2026-08-01T12:00:00.000000Z"}`), "not in canonical form"},
		"a new line at the end": {`{"formatVersion":1,"namespaces":{}}` + "\n", "not in canonical form"},
		"more after it":         {`{"formatVersion":1,"namespaces":{}}{}`, "not in canonical form"},
	} {
		if got, err := artifact.ParseSystem([]byte(c.data)); err == nil || !reflect.DeepEqual(got, artifact.System{}) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %+v, error %v, want one with %q", name, got, err, c.want)
		}
	}
	if _, err := (artifact.System{}).Encode(); err == nil {
		t.Error("a system catalog without namespaces was written")
	}
}

func TestClaim(t *testing.T) {
	t.Parallel()
	want := artifact.Claim{ID: writer(), Host: "gsq-0"}
	a, err := want.Pack()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := artifact.UnpackClaim(a); err != nil || got != want {
		t.Errorf("got %+v, error %v", got, err)
	}
	if got, ok := artifact.ClaimTime(want.ID); !ok || got != claimedAt {
		t.Errorf("its time is %s, %t", got, ok)
	}
	claim := func(json string) registry.Artifact {
		out := a
		out.Blobs = []registry.Blob{a.Blobs[0], registry.NewBlob(artifact.TypeWriterClaim, []byte(json))}
		return out
	}
	all := goldens(t)
	for name, a := range map[string]registry.Artifact{
		"nothing": {}, "a resource": all["resource"], "a catalog": all["catalog"],
		"another layer":    claim(`{"id":"w1-0123456789abcdef","host":""}`),
		"an unknown field": claim(`{"id":"` + want.ID + `","host":"gsq-0","extra":1}`),
		"no id":            claim(`{"host":"gsq-0"}`),
		"no JSON":          claim(`w1`),
		"an annotation":    edited(t, a, `"layers"`, `"annotations":{"a":"b"},"layers"`),
	} {
		if got, err := artifact.UnpackClaim(a); err == nil || got != (artifact.Claim{}) {
			t.Errorf("%s: got %+v, error %v", name, got, err)
		}
	}
	for _, id := range []string{
		"", "w", "w1", "w1-", "w0-0123456789abcdef", "w01-0123456789abcdef", "w-1-0123456789abcdef", "w1-0123456789abcde", "w1-0123456789abcdef0",
		"w1-0123456789ABCDEF", "v1-0123456789abcdef", "w1-0123456789abcdef\n", "w253402300800000000-0123456789abcdef", "w9999999999999999999-0123456789abcdef",
	} {
		if v, ok := artifact.ClaimTime(id); ok || v != 0 {
			t.Errorf("%q: time %s", id, v)
		}
		if _, err := (artifact.Claim{ID: id}).Pack(); err == nil {
			t.Errorf("%q: a claim was written", id)
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	l := artifact.Layout{Prefix: "a/b"}
	for got, want := range map[string]string{
		l.Resource(intent.Ref{Namespace: "default", Name: "web"}): "a/b/resources/default/web",
		l.Catalog("default"):                 "a/b/catalog",
		l.Catalog("staging"):                 "a/b/catalogs/staging",
		l.System():                           "a/b/system",
		l.Writer():                           "a/b/writer",
		artifact.ScopeNamespace("default"):   "namespaces/default",
		artifact.RevisionTag(0):              "r0",
		artifact.RevisionTag(1):              "r1",
		artifact.RevisionTag(1<<63 - 1):      "r9223372036854775807",
		artifact.ClaimID(1, 0):               "w1-0000000000000000",
		artifact.ClaimID(claimedAt, 1<<64-1): "w1785585500000000-ffffffffffffffff",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for tag, n := range map[string]int64{"r0": 0, "r1": 1, "r10": 10, "r9223372036854775807": 1<<63 - 1} {
		if got, err := artifact.ParseRevisionTag(tag); err != nil || got != n {
			t.Errorf("%s: got %d, error %v", tag, got, err)
		}
	}
	for _, tag := range []string{"", "r", "1", "R1", "r01", "r-1", "r-0", "r+1", "r1 ", " r1", "r1\n", "r1.0", "r1e3", "rr1", "v1", "latest", "r9223372036854775808", "r٣"} {
		if got, err := artifact.ParseRevisionTag(tag); err == nil || got != 0 {
			t.Errorf("%q: got %d, error %v", tag, got, err)
		}
	}
}
