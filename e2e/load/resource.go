package load

import (
	"fmt"
	"slices"
	"strings"

	"gitops-squared.io/gsq/api"
)

// resource is what its writer knows of it: the states in which it may be, the
// last acknowledged one and those of later attempts whose outcome is unknown.
type resource struct {
	name     string
	possible []*api.Spec // nil: absent
}

func newResource(name string) *resource {
	return &resource{name: name, possible: []*api.Spec{nil}}
}

// after takes the outcome of a write that wanted spec.
func (r *resource) after(spec *api.Spec, o outcome) {
	if o == unknownOutcome {
		if !r.mayBe(spec) {
			r.possible = append(r.possible, spec)
		}
		return
	}
	r.possible = []*api.Spec{spec}
}

func (r *resource) mayBe(spec *api.Spec) bool {
	return slices.ContainsFunc(r.possible, func(p *api.Spec) bool {
		return p == nil && spec == nil || p != nil && spec != nil && *p == *spec
	})
}

func (r *resource) certainlyAbsent() bool { return len(r.possible) == 1 && r.possible[0] == nil }

func (r *resource) certainlyPresent() bool { return !slices.Contains(r.possible, nil) }

func (r *resource) String() string {
	var states []string
	for _, p := range r.possible {
		if p == nil {
			states = append(states, "absent")
		} else {
			states = append(states, fmt.Sprintf("%+v", *p))
		}
	}
	return strings.Join(states, " or ")
}
