package server

import (
	"strconv"
	"strings"
)

// pointer is where a value stands in a body. It is written as a JSON pointer
// (RFC 6901) only when there is a fault to report. The nil pointer is the
// whole body.
type pointer struct {
	above *pointer
	item  bool   // of an array
	index int    // of an item
	name  string // of a member of an object
}

// String cuts names that are absurdly long, so that a hostile body cannot make
// an answer much larger than itself.
func (p *pointer) String() string {
	if p == nil {
		return ""
	}
	token := strconv.Itoa(p.index)
	if !p.item {
		// Cheaper than a strings.Replacer, which is made anew for each use.
		token = strings.ReplaceAll(strings.ReplaceAll(excerpt(p.name), "~", "~0"), "/", "~1")
	}
	return p.above.String() + "/" + token
}
