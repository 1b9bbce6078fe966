package server

import (
	"strconv"
	"strings"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/intent"
)

// translation says where, in the caller's request, the ledger's /changes are.
type translation struct {
	one       bool // the body is the one change
	name      bool // …and its name is the parameter of the path
	query     bool // the reason is a parameter of the query
	resources int  // else: so many in /resources, the rest in /deletes
}

// translate turns the ledger's faults into those of the request.
func (t translation) translate(faults intent.Invalid) []api.Fault {
	out := make([]api.Fault, len(faults))
	for i, f := range faults {
		out[i] = t.fault(f)
	}
	return out
}

func (t translation) fault(f intent.Fault) api.Fault {
	rest, ok := strings.CutPrefix(f.Pointer, "/changes/")
	if !ok {
		switch {
		case f.Pointer == "":
			return api.Fault{Parameter: "namespace", Detail: f.Detail}
		case f.Pointer == "/reason" && t.query:
			return api.Fault{Parameter: "reason", Detail: f.Detail}
		}
		return api.Fault{Pointer: f.Pointer, Detail: f.Detail}
	}
	number, below, found := strings.Cut(rest, "/")
	if found {
		below = "/" + below
	}
	index, err := strconv.Atoi(number)
	switch {
	case err != nil:
		return api.Fault{Pointer: f.Pointer, Detail: f.Detail}
	case t.one && t.name && below == "/name":
		return api.Fault{Parameter: "name", Detail: f.Detail}
	case t.one:
		return api.Fault{Pointer: below, Detail: f.Detail}
	case index < t.resources:
		return api.Fault{Pointer: "/resources/" + number + below, Detail: f.Detail}
	}
	return api.Fault{Pointer: "/deletes/" + strconv.Itoa(index-t.resources), Detail: f.Detail}
}
