package main

import (
	"fmt"
	"slices"
	"strings"
)

// otherVariables are the variables that begin with GSQ_ and are no settings of
// the server: those of the client, and those of this repository's tests and
// tools.
func otherVariables() []string {
	return []string{"GSQ_CONFIG", "GSQ_SERVER", "GSQ_NAMESPACE", "GSQ_ACTOR", "GSQ_TOKEN", "GSQ_BINARY", "GSQ_TOOLS_CACHE"}
}

// unknownVariables finds variables that look like settings and are none: a
// misspelled one must not silently leave the default in force. An empty one
// counts as none.
func unknownVariables(environ []string) []error {
	known := otherVariables()
	for _, s := range serverSettings("") {
		known = append(known, s.variable())
	}
	var faults []error
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "GSQ_") && value != "" && !slices.Contains(known, name) {
			faults = append(faults, fmt.Errorf("unknown environment variable %s%s", name, meant(name, known)))
		}
	}
	return faults
}

// meant suggests the known name that is nearest, if any is near.
func meant(name string, known []string) string {
	best, least := "", len(name)/2
	for _, k := range known {
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; is %s meant?", best)
}

// distance is how many characters have to be inserted, deleted or replaced to
// make b of a (Levenshtein). Long names are cut, as only near ones matter.
func distance(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
