package load

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/history"
	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
)

// The checker finds a lost, an altered, an invented, a misplaced and a torn
// write, and finds nothing where an unknown outcome went either way.
func TestCheckFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	one, two := &api.Spec{Type: "vm", Region: "1"}, &api.Spec{Type: "vm", Region: "2"}
	version := func(revision int64, v string, spec *api.Spec) history.Change {
		c := history.Change{Revision: revision, RecordChange: artifact.RecordChange{
			Name: "r", Operation: "update", After: &artifact.VersionRef{Version: v, Digest: digest.FromString(v)},
		}}
		if spec == nil {
			c.Operation = "delete"
		} else {
			c.Resource.Spec = intent.Spec{Type: spec.Type, Region: spec.Region}
		}
		return c
	}
	told := func(v string) map[string]made {
		return map[string]made{"r": {version: v, digest: digest.FromString(v).String()}}
	}
	type write struct {
		spec *api.Spec
		outcome
		made map[string]made
	}
	acked := func(spec *api.Spec, v string) write { return write{spec, acknowledged, told(v)} }
	lost := func(spec *api.Spec) write { return write{spec, unknownOutcome, nil} }
	for name, c := range map[string]struct {
		writes  []write
		changes []history.Change
		want    string // of the error; empty: none
	}{
		"all there":                       {[]write{acked(one, "v1"), acked(two, "v2")}, []history.Change{version(1, "v1", one), version(2, "v2", two)}, ""},
		"unknown, and happened":           {[]write{acked(one, "v1"), lost(two)}, []history.Change{version(1, "v1", one), version(2, "v2", two)}, ""},
		"unknown, and did not":            {[]write{acked(one, "v1"), lost(two)}, []history.Change{version(1, "v1", one)}, ""},
		"an unknown delete happened":      {[]write{acked(one, "v1"), lost(nil)}, []history.Change{version(1, "v1", one), version(2, "v2", nil)}, ""},
		"an acknowledged delete":          {[]write{acked(one, "v1"), lost(nil), acked(nil, "v2")}, []history.Change{version(1, "v1", one), version(2, "v2", nil)}, ""},
		"the last one is lost":            {[]write{acked(one, "v1"), acked(two, "v2")}, []history.Change{version(1, "v1", one)}, "v2"},
		"one in between is lost":          {[]write{acked(one, "v1"), acked(two, "v2")}, []history.Change{version(2, "v2", two)}, "v1"},
		"a delete is lost":                {[]write{acked(one, "v1"), acked(nil, "v2")}, []history.Change{version(1, "v1", one)}, "possible is absent"},
		"another version":                 {[]write{acked(one, "v1")}, []history.Change{version(1, "v7", one)}, "v1"},
		"another content":                 {[]write{acked(one, "v1")}, []history.Change{version(1, "v1", two)}, "v1"},
		"out of order":                    {[]write{acked(one, "v1"), acked(two, "v2")}, []history.Change{version(1, "v2", two), version(2, "v1", one)}, "not in its place"},
		"an older one came back":          {[]write{acked(one, "v1"), acked(two, "v2")}, []history.Change{version(1, "v1", one), version(2, "v2", two), version(3, "v3", one)}, "nobody asked"},
		"an unknown one landed too late":  {[]write{lost(one), acked(two, "v2")}, []history.Change{version(1, "v2", two), version(2, "v3", one)}, "nobody asked"},
		"a tombstone that nobody ordered": {[]write{acked(one, "v1")}, []history.Change{version(1, "v1", one), version(2, "v2", nil)}, "nobody asked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newResource("r")
			w := &writer{namespace: "n", resources: []*resource{r}}
			for _, x := range c.writes {
				w.record(&attempt{changes: []change{{r, x.spec}}, outcome: x.outcome, made: x.made})
			}
			n := &history.Namespace{Changes: map[string][]history.Change{"r": c.changes}, Live: map[string]intent.Resource{}}
			if last := c.changes[len(c.changes)-1]; !last.Deleted() {
				n.Live["r"] = last.Resource
			}
			err := Check(&history.History{Namespaces: map[string]*history.Namespace{"n": n}}, &Report{writers: []*writer{w}})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("Check = %v, want %q", err, c.want)
			}
		})
	}
}

// All of an apply happens, in one revision, or nothing.
func TestCheckFindsATornApply(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		revisions []int64 // in which each of two resources is; 0: in none
		torn      bool
	}{
		"whole": {[]int64{1, 1}, false}, "not at all": {[]int64{0, 0}, false},
		"half": {[]int64{1, 0}, true}, "in two parts": {[]int64{1, 2}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &writer{namespace: "n"}
			a := &attempt{apply: true, outcome: unknownOutcome}
			n := &history.Namespace{Changes: map[string][]history.Change{}, Live: map[string]intent.Resource{}}
			for i, revision := range c.revisions {
				r := newResource(string(rune('a' + i)))
				w.resources = append(w.resources, r)
				a.changes = append(a.changes, change{r, &api.Spec{Type: "vm", Region: r.name}})
				if revision > 0 {
					resource := intent.Resource{Spec: intent.Spec{Type: "vm", Region: r.name}}
					n.Live[r.name] = resource
					n.Changes[r.name] = []history.Change{{Revision: revision, Resource: resource, RecordChange: artifact.RecordChange{
						Name: r.name, Operation: "create", After: &artifact.VersionRef{Version: "v" + r.name},
					}}}
				}
			}
			w.record(a)
			err := Check(&history.History{Namespaces: map[string]*history.Namespace{"n": n}}, &Report{writers: []*writer{w}})
			if (err != nil) != c.torn {
				t.Errorf("Check = %v, torn: %t", err, c.torn)
			}
		})
	}
}

// Loads that share a namespace are checked together: what one wrote is not
// there for another alone.
func TestCheckTakesLoadsTogether(t *testing.T) {
	t.Parallel()
	n := &history.Namespace{Changes: map[string][]history.Change{}, Live: map[string]intent.Resource{}}
	h := &history.History{Namespaces: map[string]*history.Namespace{"n": n}}
	var reports []*Report
	for _, name := range []string{"a", "b"} {
		r := newResource(name)
		w := &writer{namespace: "n", resources: []*resource{r}}
		for _, version := range []string{"v1" + name, "v2" + name} {
			spec := &api.Spec{Type: "vm", Region: version}
			w.record(&attempt{changes: []change{{r, spec}}, outcome: acknowledged, made: map[string]made{
				name: {version: version, digest: digest.FromString(version).String()},
			}})
			resource := intent.Resource{Spec: intent.Spec{Type: spec.Type, Region: spec.Region}}
			n.Live[name] = resource
			n.Changes[name] = append(n.Changes[name], history.Change{Resource: resource, RecordChange: artifact.RecordChange{
				Name: name, Operation: "update", After: &artifact.VersionRef{Version: version, Digest: digest.FromString(version)},
			}})
		}
		reports = append(reports, &Report{writers: []*writer{w}})
	}
	if err := Check(h, reports...); err != nil {
		t.Errorf("both: %v", err)
	}
	if err := Check(h, reports[0]); err == nil || !strings.Contains(err.Error(), "no writer's") {
		t.Errorf("one of them: %v", err)
	}
	n.Changes["b"] = n.Changes["b"][:1]
	if err := Check(h, reports...); err == nil || !strings.Contains(err.Error(), "v2b") {
		t.Errorf("the other one's write is lost: %v", err)
	}
}
