package load

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/gsq"
)

// attempt is one write and what its caller was told.
type attempt struct {
	apply   bool     // one call for all changes
	changes []change // one, unless apply

	outcome outcome
	made    map[string]made // by resource; what the answer said, if acknowledged
}

// change is what an attempt wants of one resource.
type change struct {
	resource *resource
	spec     *api.Spec // nil: delete it
}

type outcome int

const (
	acknowledged outcome = iota
	missingOutcome
	unknownOutcome
)

// made is the version that a write was told.
type made struct {
	version, digest string
	unchanged       bool // it was there already
}

// deletesOne says whether it is a delete of one resource, the one write that
// may be answered "not found".
func (a *attempt) deletesOne() bool { return !a.apply && a.changes[0].spec == nil }

// repeatable says whether repeating it answers the same whether or not it
// happened. An apply that deletes would be refused if it did.
func (a *attempt) repeatable() bool {
	return !a.apply || !slices.ContainsFunc(a.changes, func(c change) bool { return c.spec == nil })
}

func (a *attempt) request(namespace string) (method, path string, body []byte) {
	base := "/api/v1/namespaces/" + namespace
	if !a.apply {
		path := base + "/resources/" + a.changes[0].resource.name
		if a.deletesOne() {
			return http.MethodDelete, path, nil
		}
		return http.MethodPut, path, encode(api.ResourcePut{Spec: *a.changes[0].spec})
	}
	wanted := api.ApplyRequest{Resources: []api.ApplyResource{}, Reason: "load"}
	for _, c := range a.changes {
		if c.spec == nil {
			wanted.Deletes = append(wanted.Deletes, c.resource.name)
		} else {
			wanted.Resources = append(wanted.Resources, api.ApplyResource{Name: c.resource.name, Spec: *c.spec})
		}
	}
	return http.MethodPost, base + "/apply", encode(wanted)
}

func encode(body any) []byte {
	data, err := json.Marshal(body)
	if err != nil {
		panic("load: a request of strings and numbers must encode: " + err.Error())
	}
	return data
}

// read takes what a 2xx says.
func (a *attempt) read(answered gsq.Answer) error {
	a.outcome, a.made = acknowledged, map[string]made{}
	if a.apply {
		var told api.ApplyResponse
		if err := answered.Decode(&told); err != nil {
			return err
		}
		for _, c := range told.Changes {
			a.made[c.Name] = made{c.Version, c.Digest, c.Operation == api.Unchanged}
		}
	} else if a.deletesOne() {
		var told api.ResourceDeleted
		if err := answered.Decode(&told); err != nil {
			return err
		}
		a.made[told.Name] = made{told.Version, told.Digest, false}
	} else {
		var told api.Resource
		if err := answered.Decode(&told); err != nil {
			return err
		}
		a.made[told.Name] = made{told.Version, told.Digest, told.Unchanged}
	}
	for _, c := range a.changes {
		if m, ok := a.made[c.resource.name]; !ok || m.version == "" || m.digest == "" {
			return fmt.Errorf("the answer says nothing of %s: %s", c.resource.name, answered.Body)
		}
	}
	return nil
}

// plausible checks an answer against the states that were possible before it.
func (a *attempt) plausible() error {
	for _, c := range a.changes {
		r := c.resource
		switch {
		case a.outcome == missingOutcome && !r.mayBe(nil):
			return fmt.Errorf("%s was answered to be missing; it was %s", r.name, r)
		case a.outcome == acknowledged && c.spec == nil && r.certainlyAbsent():
			return fmt.Errorf("%s was deleted, but it was not there", r.name)
		case a.outcome == acknowledged && a.made[r.name].unchanged && !r.mayBe(c.spec):
			return fmt.Errorf("%s was answered to be %+v already; it was %s", r.name, *c.spec, r)
		}
	}
	return nil
}
