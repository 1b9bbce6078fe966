// Package trace reads what strace wrote about a gsq server, and checks that no
// write was answered before the sync that makes it durable had returned.
//
// The order of the lines is evidence: strace holds a thread at the entry and
// at the exit of each call until it has noted it. So what a thread does because
// a sync returned is noted after the sync's exit, and a call whose entry is
// noted before another's exit did not wait for it.
package trace

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// Flags are those that strace must be run with, and -o. It then is no parent of
// the program: signals go to the program itself.
func Flags() []string {
	return []string{"-D", "-f", "-yy", "--seccomp-bpf", "-s", "4194304",
		"-e", "trace=execve,read,write,writev,pwrite64,pwritev,sendto,sendmsg,rename,renameat,renameat2,fsync,fdatasync", "-e", "signal=none"}
}

// Call is one system call.
type Call struct {
	Name    string
	Target  string   // what its first argument, a file descriptor, is: a path, or TCP:[local->remote]
	Strings [][]byte // its arguments that are strings or buffers
	Enter   int      // the number of the line that notes its entry
	Exit    int      // … and of its exit
	Result  int64
}

// maxLine bounds a line of a trace.
const maxLine = 64 << 20

// Complete says whether a trace notes the end of the program, which is the
// thread of its first line.
func Complete(trace []byte) bool {
	program, _, _ := bytes.Cut(trace, []byte(" "))
	for line := range bytes.Lines(trace) {
		thread, rest, _ := bytes.Cut(line, []byte(" "))
		// Numbers shorter than five digits are padded.
		if bytes.Equal(thread, program) && bytes.HasPrefix(bytes.TrimLeft(rest, " "), []byte("+++ exited with ")) {
			return true
		}
	}
	return false
}

// Parse reads the calls that returned, in the order of their entries.
func Parse(r io.Reader) ([]*Call, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 1<<20), maxLine)
	var calls []*Call
	pending := map[string]*Call{} // by thread
	for n := 1; lines.Scan(); n++ {
		thread, rest, _ := strings.Cut(lines.Text(), " ")
		rest = strings.TrimLeft(rest, " ")
		if strings.HasPrefix(rest, "+++") || strings.HasPrefix(rest, "---") {
			continue
		}
		call := pending[thread]
		if _, resumed, found := strings.Cut(rest, " resumed>"); found && strings.HasPrefix(rest, "<... ") {
			if call == nil {
				return nil, fmt.Errorf("line %d: a call goes on that did not begin", n)
			}
			rest = resumed
		} else {
			name, arguments, found := strings.Cut(rest, "(")
			if !found {
				return nil, fmt.Errorf("line %d: not a call: %.200s", n, rest)
			}
			call = &Call{Name: name, Target: target(arguments), Enter: n}
			calls = append(calls, call)
			rest = arguments
		}
		arguments, unfinished := strings.CutSuffix(rest, "<unfinished ...>")
		end, err := call.readStrings(arguments)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if unfinished {
			pending[thread] = call
			continue
		}
		delete(pending, thread)
		call.Exit = n
		m := result.FindStringSubmatch(arguments[end:])
		if m == nil { // it never returned, or not with a number
			call.Result = -1
			continue
		}
		if call.Result, err = strconv.ParseInt(m[1], 10, 64); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	var ended []*Call
	for _, c := range calls {
		if c.Exit > 0 {
			ended = append(ended, c)
		}
	}
	return ended, lines.Err()
}

var result = regexp.MustCompile(`\) += (-?\d+)`)

// target returns what stands in <> behind a first argument that is a number.
func target(arguments string) string {
	number := strings.TrimLeft(arguments, "0123456789")
	if len(number) == len(arguments) || !strings.HasPrefix(number, "<") {
		return ""
	}
	for _, end := range []string{">, ", ">)", "> <unfinished"} {
		if text, _, found := strings.Cut(number[1:], end); found {
			return text
		}
	}
	return number[1:]
}

// readStrings adds the quoted strings of a line, and returns where the last one
// ends.
func (c *Call) readStrings(line string) (end int, err error) {
	for {
		begin := strings.IndexByte(line[end:], '"')
		if begin < 0 {
			return end, nil
		}
		text, length, err := unquote(line[end+begin+1:])
		if err != nil {
			return 0, err
		}
		c.Strings = append(c.Strings, text)
		end += begin + 1 + length
	}
}

// unquote reads a string in strace's form (C escapes, octal numbers of one to
// three digits) up to its closing quote, and returns the length read.
func unquote(s string) (text []byte, length int, err error) {
	var b bytes.Buffer
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.Bytes(), i + 1, nil
		case s[i] != '\\':
			b.WriteByte(s[i])
			continue
		case i+1 == len(s):
			return nil, 0, io.ErrUnexpectedEOF
		}
		i++
		if at := strings.IndexByte(`ntrvfae"\`, s[i]); at >= 0 {
			b.WriteByte("\n\t\r\v\f\a\x1b\"\\"[at])
			continue
		}
		digits := 0
		for digits < 3 && i+digits < len(s) && s[i+digits] >= '0' && s[i+digits] <= '7' {
			digits++
		}
		value, err := strconv.ParseUint(s[i:i+digits], 8, 8)
		if err != nil {
			return nil, 0, fmt.Errorf("string: %w", err)
		}
		b.WriteByte(byte(value))
		i += digits - 1
	}
	return nil, 0, io.ErrUnexpectedEOF
}
