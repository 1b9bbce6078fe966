package e2e_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/gsq"
)

// What was declared, when, by whom and why is answered from the registry, also
// by a server that has only just started; and it is what was seen at that time.
func TestThePast(t *testing.T) {
	t.Parallel()
	for _, p := range places() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			s, host := p.start(t)
			w := &witness{t: t, server: s}
			w.apply("first", `[{name: web, spec: {type: vm, size: small}}, {name: db, spec: {type: database, size: small}}]`)
			w.apply("bigger", `[{name: web, spec: {type: vm, size: large, region: eu}}]`)
			w.run("delete", "web", "--reason", "too dear")
			w.look()
			w.apply("again", `[{name: web, spec: {type: vm, size: small}}]`)
			w.run("rollback", "--to", "r3", "--yes", "--reason", "it was better")
			w.look()
			w.apply("last", `[{name: logs, spec: {type: bucket, size: small}}]`)
			w.compare()
			if p.name == "embedded" { // on the other one, a start takes 15 s
				if err := s.Kill(); err != nil {
					t.Fatal(err)
				}
				startServer(t, s)
				w.compare()
			}
			w.histories()
			w.differences()
			readHistory(t, host)
		})
	}
}

// witness looks at the namespace after each write and remembers what it saw.
type witness struct {
	t      *testing.T
	server *gsq.Server
	seen   []sight
}

type sight struct {
	list api.ResourceList
	from time.Time // since when it was so, at the latest
}

func (w *witness) run(args ...string) string {
	w.t.Helper()
	return runGSQ(w.t, w.server, "", args...)
}

func (w *witness) apply(reason, declared string) {
	w.t.Helper()
	runGSQ(w.t, w.server, declared, "apply", "-f", "-", "--reason", reason)
	w.look()
}

func (w *witness) look() {
	w.t.Helper()
	var list api.ResourceList
	w.decode(&list, "get", "-o", "json")
	w.seen = append(w.seen, sight{list, time.Now()})
}

func (w *witness) decode(into any, args ...string) {
	w.t.Helper()
	if err := json.Unmarshal([]byte(w.run(args...)), into); err != nil {
		w.t.Fatalf("gsq %v: %v", args, err)
	}
}

// compare travels to each moment at which somebody looked, by its revision and
// by its time.
func (w *witness) compare() {
	w.t.Helper()
	for _, s := range w.seen {
		for _, at := range []string{fmt.Sprintf("r%d", s.list.Revision.Number), s.from.Format(time.RFC3339Nano)} {
			var list api.ResourceList
			w.decode(&list, "get", "--at", at, "-o", "json")
			if fmt.Sprint(list) != fmt.Sprint(s.list) {
				w.t.Errorf("at %s: %+v, seen was %+v", at, list, s.list)
			}
			for _, r := range s.list.Resources {
				var one api.Resource
				w.decode(&one, "get", r.Name, "--at", at, "-o", "json")
				if one.Digest != r.Digest || one.Spec != r.Spec {
					w.t.Errorf("%s at %s: %+v, seen was %+v", r.Name, at, one, r)
				}
				var version api.StoredVersion
				w.decode(&version, "get", r.Name, "--version", r.Version, "-o", "json")
				if version.Digest != r.Digest || *version.Spec != r.Spec {
					w.t.Errorf("%s: version %s is %+v, seen was %+v", r.Name, r.Version, version, r)
				}
			}
		}
	}
}

func (w *witness) histories() {
	w.t.Helper()
	var versions api.VersionList
	w.decode(&versions, "history", "web", "-o", "json")
	var got []string
	for _, v := range versions.Versions {
		got = append(got, fmt.Sprintf("r%d %s %s", v.Revision.Number, v.Operation, v.Reason))
		if v.Actor == "" || v.ActorVerified {
			w.t.Errorf("who: %+v", v.Origin)
		}
	}
	want := []string{"r6 rollback it was better", "r5 create again", "r4 delete too dear", "r3 update bigger", "r2 create first"}
	if !slices.Equal(got, want) {
		w.t.Errorf("the history of web: %q, want %q", got, want)
	}
	var revisions api.CommitList
	w.decode(&revisions, "revisions", "-o", "json")
	for i, c := range revisions.Revisions {
		if c.Number != int64(7-i) || i > 0 && revisions.Revisions[i-1].Parent != c.Digest {
			w.t.Errorf("revision %d: %+v", 7-i, c)
		}
	}
	if n := len(revisions.Revisions); n != 7 {
		w.t.Errorf("%d revisions, want 7", n)
	}
}

func (w *witness) differences() {
	w.t.Helper()
	for args, want := range map[string][]string{
		"--from r2 --to r3": {"~ default/web updated", "+   region: eu", "-   size: small", "+   size: large"},
		"--from r3 --to r6": nil, // the rollback
		"--from r7 --to r6": {"- default/logs deleted"},
	} {
		r, err := w.server.Run(w.t.Context(), "", append([]string{"diff"}, strings.Fields(args)...)...)
		code := 3
		if want == nil {
			code = 0
		}
		if err != nil || r.Code != code {
			w.t.Errorf("gsq diff %s: exit code %d, %v\n%s", args, r.Code, err, r.Stderr)
		}
		for _, line := range want {
			if !strings.Contains(r.Stdout, line+"\n") {
				w.t.Errorf("gsq diff %s: no line %q in\n%s", args, line, r.Stdout)
			}
		}
	}
}
