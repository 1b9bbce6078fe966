package artifact_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
)

func TestRecordsAreReadBack(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]artifact.Record{"a commit": catalogRecord(t), "a first one": firstRecord(), "a take-over": takeOverRecord(t), "the system's": systemRecord()} {
		data, err := r.Encode()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := artifact.ParseRecord(data)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%s: got %+v, error %v", name, got, err)
		}
		if stamp, err := got.Stamp(); err != nil || stamp != revisionAt {
			t.Errorf("%s: stamp %s, error %v", name, stamp, err)
		}
	}
}

func checkpointed(n int64, d digest.Digest) func(*artifact.Record) {
	return func(r *artifact.Record) { r.Checkpoint = &artifact.CheckpointRef{Number: n, Digest: d} }
}

func TestEncodeRefusesAnIncompleteRecord(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		edit func(*artifact.Record)
		want string
	}{
		"another format":        {func(r *artifact.Record) { r.Format = 2 }, "are required"},
		"no scope":              {func(r *artifact.Record) { r.Scope = "" }, "are required"},
		"no number":             {func(r *artifact.Record) { r.Number = 0 }, "are required"},
		"no writer":             {func(r *artifact.Record) { r.Writer = "" }, "are required"},
		"no changes, not none":  {func(r *artifact.Record) { r.Changes = nil }, "are required"},
		"no parent":             {func(r *artifact.Record) { r.Parent = "" }, "only the first revision has no parent"},
		"no digest as parent":   {func(r *artifact.Record) { r.Parent = "sha256:1" }, "parent"},
		"no time":               {func(r *artifact.Record) { r.Time = "" }, "is not a time"},
		"a time without UTC":    {func(r *artifact.Record) { r.Time = "2026-08-01T12:00:00.000000+01:00" }, "is not a time"},
		"a checkpoint of 0":     {checkpointed(0, digest.FromString("c")), "before its parent"},
		"of its parent":         {checkpointed(6, digest.FromString("c")), "before its parent"},
		"of no digest":          {checkpointed(5, "sha256:1"), "checkpoint: invalid checksum digest length"},
		"no operation":          {func(r *artifact.Record) { r.Changes[0].Operation = "" }, "change 0: operation and name are required"},
		"no name":               {func(r *artifact.Record) { r.Changes[0].Name = "" }, "change 0: operation and name are required"},
		"a name twice":          {func(r *artifact.Record) { r.Changes[1].Name = "db" }, "change 1: names must increase"},
		"another order":         {func(r *artifact.Record) { r.Changes[0], r.Changes[1] = r.Changes[1], r.Changes[0] }, "change 1: names must increase"},
		"no digest before":      {func(r *artifact.Record) { r.Changes[1].Before.Digest = "" }, "change of old"},
		"no digest after":       {func(r *artifact.Record) { r.Changes[1].After.Digest = "latest" }, "change of old"},
		"an actor, not UTF-8":   {func(r *artifact.Record) { r.Changes[0].Actor = "\xff" }, "must be UTF-8"},
		"a reason, not UTF-8":   {func(r *artifact.Record) { r.Changes[0].Reason = "a\xc3" }, "must be UTF-8"},
		"a name, not UTF-8":     {func(r *artifact.Record) { r.Changes[0].Name = "\xff" }, "must be UTF-8"},
		"a writer, not UTF-8":   {func(r *artifact.Record) { r.Writer = "\xff" }, "must be UTF-8"},
		"a scope, not UTF-8":    {func(r *artifact.Record) { r.Scope = "\xff" }, "must be UTF-8"},
		"a version, not UTF-8":  {func(r *artifact.Record) { r.Changes[2].Before.Version = "\xff" }, "must be UTF-8"},
		"more than is allowed":  {func(r *artifact.Record) { r.Changes[0].Reason = strings.Repeat("x", artifact.MaxRecordBytes) }, "at most 33554432 are allowed"},
		"a negative number":     {func(r *artifact.Record) { r.Number = -1 }, "are required"},
		"nobody, verified":      {func(r *artifact.Record) { r.Changes[2].Verified = true }, "its actor is verified, but not there"},
		"a digest of no length": {func(r *artifact.Record) { r.Parent = digest.Digest("sha256:") }, "parent"},
	} {
		r := catalogRecord(t)
		c.edit(&r)
		if data, err := r.Encode(); err == nil || data != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
		if _, err := artifact.Pack(artifact.TypeFluxConfig, r, layerOf(t)); err == nil {
			t.Errorf("%s: a revision was made of it", name)
		}
	}
}

func TestParseRecordTakesNothingButTheCanonicalForm(t *testing.T) {
	t.Parallel()
	canonical, err := catalogRecord(t).Encode()
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
		"nothing":             {"", "commit record:"},
		"null":                {"null", "format version 0"},
		"a list":              {"[]", "commit record:"},
		"a newer format":      {replaced(`"formatVersion":1`, `"formatVersion":2`), "format version 2, want 1"},
		"no format":           {replaced(`"formatVersion":1,`, ``), "format version 0, want 1"},
		"an unknown field":    {replaced(`"checkpoint":null`, `"checkpoint":null,"extra":1`), `unknown field "extra"`},
		"an empty checkpoint": {replaced(`"checkpoint":null`, `"checkpoint":{}`), "before its parent"},
		"a fuller checkpoint": {replaced(`"checkpoint":null`, `"checkpoint":{"last":1}`), `unknown field "last"`},
		"no checkpoint":       {replaced(`,"checkpoint":null`, ``), other},
		"a field twice":       {replaced(`"number":7`, `"number":6,"number":7`), other},
		"another case":        {replaced(`"scope"`, `"Scope"`), other},
		"another order":       {replaced(`"scope":"namespaces/default","number":7`, `"number":7,"scope":"namespaces/default"`), other},
		"a space":             {replaced(`,"number"`, `, "number"`), other},
		"a new line":          {good + "\n", "commit record"},
		"more after it":       {good + "{}", "commit record"},
		"no escapes":          {replaced(`\u0026`, `&`), other},
		"an empty actor":      {replaced(`"actor":"Ada"`, `"actor":""`), other},
		"an actor, not UTF-8": {replaced(`"Ada"`, "\"\xff\""), other},
		"not verified":        {replaced(`"actor":"Ada"`, `"actor":"Ada","verified":false`), other},
		"changes null":        {`{"formatVersion":1,"scope":"s","number":1,"time":"2026-08-01T12:02:02.000003Z","writer":"w","changes":null,"checkpoint":null}`, "are required"},
		"a number's fraction": {replaced(`"number":7`, `"number":7.5`), "commit record:"},
		"too large":           {good + strings.Repeat(" ", artifact.MaxRecordBytes), "at most 33554432 are allowed"},
	} {
		got, err := artifact.ParseRecord([]byte(c.data))
		if err == nil || !reflect.DeepEqual(got, artifact.Record{}) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %+v, error %v, want one with %q", name, got, err, c.want)
		}
		if c.want == other && !errors.Is(err, intent.ErrNotCanonical) {
			t.Errorf("%s: %v is not ErrNotCanonical", name, err)
		}
	}
}
