package manifest

import (
	"cmp"
	"fmt"
	"slices"
)

// Group is the declarations of one namespace, in the order of the input.
type Group struct {
	Namespace    string
	Declarations []Declaration
}

// Split puts declarations into groups, one a namespace, sorted by it.
// Declarations that do not say get the given namespace. With only, none may
// say another one. A name that is declared twice in a namespace is a fault.
// The error is Invalid.
func Split(all []Declaration, namespace string, only bool) ([]Group, error) {
	var faults Invalid
	var groups []Group
	index := map[string]int{}
	first := map[[2]string]Source{}
	for _, d := range all {
		if d.Namespace == "" {
			d.Namespace = namespace
		} else if only && d.Namespace != namespace {
			faults = append(faults, Fault{Source: d.At("/namespace"), Detail: fmt.Sprintf(
				"%s belongs to namespace %q, but --namespace says %q; make them agree", d.Name, d.Namespace, namespace)})
			continue
		}
		key := [2]string{d.Namespace, d.Name}
		if at, twice := first[key]; twice {
			faults = append(faults, Fault{Source: d.At("/name"), Detail: fmt.Sprintf(
				"%s/%s is declared twice (first in %s)", d.Namespace, d.Name, at)})
			continue
		}
		first[key] = d.At("/name")
		i, ok := index[d.Namespace]
		if !ok {
			i = len(groups)
			index[d.Namespace] = i
			groups = append(groups, Group{Namespace: d.Namespace})
		}
		groups[i].Declarations = append(groups[i].Declarations, d)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	slices.SortFunc(groups, func(a, b Group) int { return cmp.Compare(a.Namespace, b.Namespace) })
	return groups, nil
}
