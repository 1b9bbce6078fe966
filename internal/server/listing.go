package server

import (
	"bytes"
	"io"
	"strconv"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/ledger"
)

// pieceBytes is about how much of a list is encoded before it is written, so
// that an answer on its way holds no more memory than this.
const pieceBytes = 16 << 10

// listing is an api.ResourceList that is encoded while it is written.
type listing struct {
	entries  []*ledger.Entry // those of this page
	count    int
	revision api.Revision
	next     string // the parameter continue of the next page; empty on the last one
}

// write encodes the list in pieces. TestEncoding holds it to what
// encoding/json writes.
func (l *listing) write(w io.Writer) error {
	b := append(make([]byte, 0, min(pieceBytes, len(l.entries)*resourceBytes)+resourceBytes), `{"resources":[`...)
	for i, e := range l.entries {
		if i > 0 {
			b = append(b, ',')
		}
		r := answerEntry(e)
		b = appendResource(b, &r)
		if len(b) >= pieceBytes {
			if _, err := w.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	b = strconv.AppendInt(append(b, `],"count":`...), int64(l.count), 10)
	b = appendRevision(append(b, `,"revision":`...), l.revision)
	if l.next != "" {
		b = appendText(append(b, `,"continue":`...), l.next)
	}
	_, err := w.Write(append(b, "}\n"...))
	return err
}

// wholeList is the listing of all that a snapshot holds.
func wholeList(s ledger.Snapshot) *listing {
	return &listing{entries: s.Entries, count: len(s.Entries), revision: answerRevision(s.Revision)}
}

// encoded returns what write writes.
func (l *listing) encoded() []byte {
	var b bytes.Buffer
	_ = l.write(&b) // a buffer takes everything
	return bytes.Clone(b.Bytes())
}
