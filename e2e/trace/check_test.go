package trace

import (
	"fmt"
	"strings"
	"testing"
)

// lines of a trace: two writes, one of them of a large blob.
const (
	request = `7 read(5<TCP:[127.0.0.1:80->127.0.0.1:999]>, "PUT /a HTTP/1.1\r\nHost: b\r\n\r\n{}", 4096) = 30`
	upload  = `8 write(9</s/uploads/X>, "large", 5) = 5`
	synced  = `8 fsync(9</s/uploads/X>) = 0`
	renamed = `8 renameat(AT_FDCWD</s>, "/s/uploads/X", AT_FDCWD</s>, "/s/blobs/sha256/f00") = 0`
	folder  = `8 fsync(6</s/blobs/sha256>) = 0`
	logged  = `8 write(4</s/db/000002.log>, "\1\0key\177\"\n1value", 14) = 14`
	begun   = `6 fdatasync(4</s/db/000002.log> <unfinished ...>`
	ended   = `6 <... fdatasync resumed>)              = 0`
	other   = `9 write(4</s/db/000002.log>, "other", 5) = 5`
	answer1 = `7 write(5<TCP:[127.0.0.1:80->127.0.0.1:999]>, "HTTP/1.1 201 Created\r\n\r\n", 24) = 24`
	range1  = `8 sync_file_range(4</s/db/000002.log>, 0, 0, 0) = 0`
	failed  = `8 fdatasync(4</s/db/000002.log>) = -1 EIO (Input/output error)`
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		lines []string
		want  string // of the fault; empty means none
	}{
		"durable": {[]string{request, upload, synced, renamed, folder, logged, begun, ended, answer1}, ""},
		"the next request awaited": {[]string{request, `5 read(5<TCP:[127.0.0.1:80->127.0.0.1:999]>,  <unfinished ...>`,
			upload, synced, renamed, folder, logged, begun, ended, answer1, `5 <... read resumed>"P", 1) = 1`}, ""},
		"answered while the sync runs":    {[]string{request, upload, synced, renamed, folder, logged, begun, answer1, ended}, "was not synced before"},
		"never synced":                    {[]string{request, upload, synced, renamed, folder, logged, answer1}, "was not synced before"},
		"a sync that began before":        {[]string{request, upload, synced, renamed, folder, begun, logged, ended, answer1}, "was not synced before"},
		"a sync before the request":       {[]string{upload, synced, renamed, folder, logged, begun, ended, request, answer1}, "was not synced before"},
		"a sync that failed":              {[]string{request, upload, synced, renamed, folder, logged, failed, answer1}, "was not synced before"},
		"a range only":                    {[]string{request, upload, synced, renamed, folder, logged, range1, answer1}, "was not synced before"},
		"something else synced":           {[]string{request, upload, synced, renamed, folder, other, begun, ended, answer1}, "was not synced before"},
		"the file synced too late":        {[]string{request, upload, renamed, synced, folder, logged, begun, ended, answer1}, "file of its blob was not synced"},
		"the file written after its sync": {[]string{request, upload, synced, upload, renamed, folder, logged, begun, ended, answer1}, "file of its blob was not synced"},
		"the folder synced before":        {[]string{request, upload, synced, folder, renamed, logged, begun, ended, answer1}, "name of its blob's file was not synced"},
		"the folder synced after":         {[]string{request, upload, synced, renamed, logged, folder, begun, ended, answer1}, "name of its blob's file was not synced"},
		"no file":                         {[]string{request, logged, begun, ended, answer1}, "no file got the name f00"},
		"no answer":                       {[]string{request, logged}, "no answer in the trace"},
		"another answer":                  {[]string{strings.Replace(request, "/a", "/b", 1), answer1}, "not expected"},
		"no trace":                        {[]string{"7 sudden end"}, "line 1: not a call"},
		"a string that does not end":      {[]string{`7 read(5</a>, "b`}, "unexpected EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Check(strings.NewReader(strings.Join(c.lines, "\n")+"\n"), []Promise{{
				Method: "PUT", Path: "/a", Entries: [][]byte{[]byte("key\x7f\"\n1val")}, File: "f00",
			}})
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// A trace is complete when the program ended, not when another thread did.
// strace pads the numbers of threads to five digits.
func TestComplete(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		trace string
		want  bool
	}{
		{"12345 execve(\"/gsq\", [], 0x0) = 0\n12346 +++ exited with 0 +++\n12345 +++ exited with 0 +++\n", true},
		{"123   execve(\"/gsq\", [], 0x0) = 0\n124   +++ exited with 0 +++\n123   +++ exited with 0 +++\n", true},
		{"7     execve(\"/gsq\", [], 0x0) = 0\n7     +++ exited with 1 +++\n", true},
		{"12345 execve(\"/gsq\", [], 0x0) = 0\n12346 +++ exited with 0 +++\n", false},
		{"123   execve(\"/gsq\", [], 0x0) = 0\n1234  +++ exited with 0 +++\n", false},
		{"123   execve(\"/gsq\", [\"+++ exited with 0 +++\"], 0x0) = 0\n", false},
		{"", false},
	} {
		if got := Complete([]byte(c.trace)); got != c.want {
			t.Errorf("%q: complete is %t, want %t", c.trace, got, c.want)
		}
	}
}

// An entry is found wherever it lies, also across the header of a block.
func TestFindAcrossBlocks(t *testing.T) {
	t.Parallel()
	const entry = "the-entry"
	for _, kind := range []byte{5, 9} {
		header := headerBytes([]byte{6: kind})
		for at := blockBytes - len(entry) - header - 2; at <= blockBytes+2; at++ {
			text := strings.Repeat(".", at) + entry + strings.Repeat(".", 50)
			data := text[:blockBytes] + "123456" + string(kind) + strings.Repeat("x", header-7) + text[blockBytes:]
			l := &log{}
			for n, part := range []string{data[:blockBytes-3], data[blockBytes-3 : blockBytes+2], data[blockBytes+2:]} {
				l.add(&Call{Name: "write", Strings: [][]byte{[]byte(part)}, Result: int64(len(part)), Enter: n, Exit: n})
			}
			found := l.find([]byte(entry))
			end := strings.LastIndex(data[:max(at, blockBytes)+header+len(entry)], entry[len(entry)-1:]) // where the last byte lies
			want := 0
			if end >= blockBytes-3 {
				want = 2
			}
			if end < blockBytes && end >= blockBytes-3 {
				want = 1
			}
			if len(found) != 1 || found[0].Exit != want {
				t.Errorf("kind %d, entry at %d: found %v, want one in write %d", kind, at, fmt.Sprint(found), want)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(strings.Join([]string{request, logged, begun, ended, answer1}, "\n")))
	f.Add([]byte("1 a(\"\\377\\8\""))
	f.Fuzz(func(t *testing.T, data []byte) {
		calls, err := Parse(strings.NewReader(string(data)))
		if err != nil {
			return
		}
		for _, c := range calls {
			if c.Exit < c.Enter || c.Enter < 1 {
				t.Fatalf("%+v", *c)
			}
		}
	})
}
