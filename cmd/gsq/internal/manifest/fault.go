package manifest

import (
	"fmt"
	"strings"
)

// Source is where a declaration, or a fault of one, was read.
type Source struct {
	File     string // as it was named; "-" means standard input
	Document int    // from 1; empty documents count
	Line     int    // from 1; 0 when it is not known
}

// String names the place: file:line, and the document if it is not the first.
func (s Source) String() string {
	var b strings.Builder
	if s.File == Stdin {
		b.WriteString("standard input")
	} else {
		b.WriteString(s.File)
	}
	if s.Line > 0 {
		fmt.Fprintf(&b, ":%d", s.Line)
	}
	if s.Document > 1 {
		fmt.Fprintf(&b, " (document %d)", s.Document)
	}
	return b.String()
}

// Fault is one thing wrong in the input.
type Fault struct {
	Source
	Field  string // the path of the field, such as spec.replicas; may be empty
	Detail string // what is wrong and what to do
}

func (f Fault) String() string {
	if f.Field == "" {
		return fmt.Sprintf("%s: %s", f.Source, f.Detail)
	}
	return fmt.Sprintf("%s: %s: %s", f.Source, f.Field, f.Detail)
}

// maxFaults bounds what one run reports: enough to mend, not enough to flood.
const maxFaults = 50

// Invalid is the error of input that cannot be used. It lists every fault, up
// to 50 of them, one a line.
type Invalid []Fault

func (e Invalid) Error() string {
	lines := make([]string, 0, maxFaults+1)
	for i, f := range e {
		if i == maxFaults {
			lines = append(lines, fmt.Sprintf("and %d more", len(e)-maxFaults))
			break
		}
		lines = append(lines, f.String())
	}
	return strings.Join(lines, "\n")
}
