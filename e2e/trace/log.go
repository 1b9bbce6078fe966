package trace

import "bytes"

// blockBytes is the size of a block of the database's log. A record that is
// longer goes on in the next one, after a header.
const blockBytes = 32 << 10

// log is a file of the database's log, as it was written and synced.
type log struct {
	data   []byte
	writes []written
	syncs  []*Call
}

// written says when the bytes before end had been written.
type written struct {
	end  int
	call *Call
}

func (l *log) add(c *Call) {
	switch {
	case c.Name == "write" && c.Result > 0:
		l.data = append(l.data, c.Strings[0][:c.Result]...)
		l.writes = append(l.writes, written{len(l.data), c})
	case isSync(c):
		l.syncs = append(l.syncs, c)
	}
}

// isSync reports whether a call makes what was written before durable. A
// sync_file_range does not.
func isSync(c *Call) bool { return (c.Name == "fsync" || c.Name == "fdatasync") && c.Result == 0 }

// find returns the calls that wrote the last byte of each place that holds
// the text, also where a header interrupts it.
func (l *log) find(text []byte) []*Call {
	joined := make([]byte, 0, len(l.data))
	var removed []int // the bytes removed before each block
	gone := 0
	for begin := 0; begin < len(l.data); begin += blockBytes {
		block := l.data[begin:min(begin+blockBytes, len(l.data))]
		if begin > 0 {
			n := min(headerBytes(block), len(block))
			block, gone = block[n:], gone+n
		}
		removed = append(removed, gone)
		joined = append(joined, block...)
	}
	var calls []*Call
	for from := 0; ; {
		at := bytes.Index(joined[from:], text)
		if at < 0 {
			return calls
		}
		end := from + at + len(text)
		from += at + 1
		place := end
		for block, n := range removed { // the one in which it ends
			header := n
			if block > 0 {
				header -= removed[block-1]
			}
			if end+n > block*blockBytes+header {
				place = end + n
			}
		}
		for _, w := range l.writes {
			if place <= w.end {
				calls = append(calls, w.call)
				break
			}
		}
	}
}

// headerBytes is the size of the header that a block begins with: checksum,
// length, kind, number of the log, and in the newer kinds how far it was synced.
func headerBytes(block []byte) int {
	const short, long, firstLongKind = 11, 19, 9
	if len(block) > 6 && block[6] >= firstLongKind {
		return long
	}
	return short
}

// synced reports whether the text was in the log, and durable, before a line,
// by a sync that began after another line.
func (l *log) synced(text []byte, after, before int) bool {
	for _, w := range l.find(text) {
		for _, s := range l.syncs {
			if w.Exit < s.Enter && after < s.Enter && s.Exit < before {
				return true
			}
		}
	}
	return false
}
