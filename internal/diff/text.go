package diff

import (
	"bytes"

	"github.com/rogpeppe/go-internal/diff"
)

// Text is one side of a comparison of text.
type Text struct {
	Name string // stands in the header; one line
	Data []byte // empty where there is nothing
}

// Unified returns the difference of two texts in the unified format, with
// three lines of context; empty if they are the same.
func Unified(from, to Text) string {
	out := diff.Diff(from.Name, from.Data, to.Name, to.Data)
	if len(out) == 0 {
		return ""
	}
	_, out, _ = bytes.Cut(out, []byte("\n")) // the line "diff …" is for folders
	return string(out)
}
