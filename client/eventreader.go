package client

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"time"
)

// event is one of a stream of server-sent events (WHATWG HTML, section
// "Interpreting an event stream").
type event struct {
	kind string // "message" when the stream names none; empty without data
	id   string // the last one that the stream named
	data []byte // nil: the stream only said where it is
}

// eventReader reads a stream of server-sent events.
type eventReader struct {
	lines *bufio.Scanner
	seen  func() // called with each line
	id    string
	retry time.Duration // what the server asked for last; 0 if it did not
}

func newEventReader(r io.Reader, seen func()) *eventReader {
	e := &eventReader{lines: bufio.NewScanner(r), seen: seen}
	e.lines.Buffer(nil, maxAnswerBytes)
	split := lineSplitter{first: true}
	e.lines.Split(split.split)
	return e
}

// next returns the next event that has data, or an id at least. io.EOF is the stream's end, also
// in the middle of an event.
func (e *eventReader) next() (event, error) {
	var kind string
	var data []byte
	some, named := false, false
	for e.lines.Scan() {
		e.seen()
		line := e.lines.Bytes()
		if len(line) == 0 {
			switch {
			case some && kind == "":
				kind = "message"
			case !some:
				kind = ""
			}
			if !some && !named {
				continue
			}
			return event{kind: kind, id: e.id, data: data}, nil
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "event":
			kind = string(value)
		case "data":
			if some {
				data = append(data, '\n')
			}
			data, some = append(data, value...), true
			if len(data) > maxAnswerBytes {
				return event{}, bufio.ErrTooLong
			}
		case "id":
			if !bytes.ContainsRune(value, 0) {
				e.id, named = string(value), true
			}
		case "retry":
			if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				e.retry = time.Duration(ms) * time.Millisecond
			}
		}
	}
	if err := e.lines.Err(); err != nil {
		return event{}, err
	}
	return event{}, io.EOF
}

// lineSplitter splits lines that end with CR LF, LF or CR. A line is given as
// soon as its CR is there.
type lineSplitter struct {
	first bool // nothing was read yet: a byte order mark may come
	feed  bool // the last line ended with CR, and an LF belongs to it
}

func (s *lineSplitter) split(data []byte, atEOF bool) (advance int, line []byte, err error) {
	start := 0
	if s.feed && len(data) > 0 {
		if data[0] == '\n' {
			start = 1
		}
		s.feed = false
	}
	if mark := []byte("\ufeff"); s.first {
		if len(data) < len(mark) && bytes.HasPrefix(mark, data) && !atEOF {
			return 0, nil, nil
		}
		s.first = false
		if bytes.HasPrefix(data, mark) {
			start = len(mark)
		}
	}
	end := bytes.IndexAny(data[start:], "\r\n")
	if end < 0 {
		return start, nil, nil // what has no end is no line, also at the stream's end
	}
	end += start
	s.feed = data[end] == '\r'
	return end + 1, data[start:end], nil
}
