package trace

import (
	"bytes"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Promise is what a success of a request says is durable.
type Promise struct {
	Method, Path string

	// Entries are parts of the database's log, each of which must have been
	// synced before the answer.
	Entries [][]byte

	// File is the name of a large blob's file, or empty. The file must have been
	// synced before it got the name, and the name before the log's first entry.
	File string
}

// answer is an answer of the server.
type answer struct {
	method, path string
	status       int
	read         int // the line after which the request was there
	written      int // the line at which the answer began to leave
}

// Check reads a trace of a server and compares it with what its answers
// promised. Every success of a write must have a promise, and the other way
// round; methods and paths must not occur twice. The error lists everything
// that was not durable when it was answered. answers is how many were checked.
func Check(trace io.Reader, promises []Promise) (answers int, err error) {
	calls, err := Parse(trace)
	if err != nil {
		return 0, err
	}
	logs := map[string]*log{}
	for _, c := range calls {
		if path.Ext(c.Target) == ".log" {
			if logs[c.Target] == nil {
				logs[c.Target] = &log{}
			}
			logs[c.Target].add(c)
		}
	}
	promised := map[string]Promise{}
	for _, p := range promises {
		promised[p.Method+" "+p.Path] = p
	}
	var faults []string
	for _, a := range readAnswers(calls) {
		if !a.isWrite() {
			continue
		}
		request := a.method + " " + a.path
		p, there := promised[request]
		if !there {
			faults = append(faults, request+": answered, but not expected")
			continue
		}
		delete(promised, request)
		answers++
		for _, fault := range a.check(p, calls, logs) {
			faults = append(faults, fmt.Sprintf("%s, answered %d in line %d: %s", request, a.status, a.written, fault))
		}
	}
	for request := range promised {
		faults = append(faults, request+": no answer in the trace")
	}
	if len(faults) > 0 {
		err = fmt.Errorf("%d faults:\n%s", len(faults), strings.Join(faults, "\n"))
	}
	return answers, err
}

// isWrite reports whether the answer says that something was stored or
// deleted. An upload that has only begun promises nothing.
func (a answer) isWrite() bool {
	switch a.method {
	case "POST", "PUT":
		return a.status == 200 || a.status == 201
	case "DELETE":
		return a.status/100 == 2
	}
	return false
}

// readAnswers finds the requests and their answers. HTTP/1.1 without
// pipelining has one after the other on a connection.
func readAnswers(calls []*Call) []answer {
	received := map[string][]byte{} // since the last answer
	read := map[string]int{}
	var answers []answer
	for _, c := range slices.SortedStableFunc(slices.Values(calls), func(a, b *Call) int { return a.happens() - b.happens() }) {
		if !strings.HasPrefix(c.Target, "TCP:") || len(c.Strings) == 0 || c.Result <= 0 {
			continue
		}
		switch data := c.Strings[0]; c.Name {
		case "read":
			received[c.Target] = append(received[c.Target], data...)
			read[c.Target] = c.Exit
		case "write":
			rest, begins := bytes.CutPrefix(data, []byte("HTTP/1.1 "))
			if !begins || len(rest) < 3 || rest[0] == '1' {
				continue
			}
			status, err := strconv.Atoi(string(rest[:3]))
			line, _, _ := bytes.Cut(received[c.Target], []byte("\r\n"))
			words := strings.Fields(string(line))
			if err == nil && len(words) == 3 {
				answers = append(answers, answer{words[0], words[1], status, read[c.Target], c.Enter})
			}
			received[c.Target] = nil
		}
	}
	return answers
}

// happens is the line at which a call has its effect at the latest if it
// reads, and at the earliest if it writes. A server waits for the next request
// already while it answers one.
func (c *Call) happens() int {
	if c.Name == "read" {
		return c.Exit
	}
	return c.Enter
}

func (a answer) check(p Promise, calls []*Call, logs map[string]*log) (faults []string) {
	for _, entry := range p.Entries {
		durable := false
		for _, l := range logs {
			durable = durable || l.synced(entry, a.read, a.written)
		}
		if !durable {
			faults = append(faults, fmt.Sprintf("its entry %.100q was not synced before", entry))
		}
	}
	if p.File == "" {
		return faults
	}
	named := a.written
	for _, l := range logs {
		for _, c := range l.find(p.Entries[0]) {
			named = min(named, c.Enter)
		}
	}
	if fault := checkFile(calls, p.File, named); fault != "" {
		faults = append(faults, fault)
	}
	return faults
}

// checkFile returns what was not durable of a file, or of its name, before a
// line; empty if all was.
func checkFile(calls []*Call, name string, before int) string {
	var rename *Call
	for _, c := range calls {
		if strings.HasPrefix(c.Name, "rename") && c.Result == 0 && len(c.Strings) == 2 && path.Base(string(c.Strings[1])) == name {
			rename = c
			break
		}
	}
	if rename == nil {
		return "no file got the name " + name
	}
	from, folder := string(rename.Strings[0]), path.Dir(string(rename.Strings[1]))
	written, fileSynced, nameSynced := 0, false, false
	for _, c := range calls {
		switch {
		case c.Name == "write" && c.Target == from:
			written, fileSynced = c.Exit, false
		case isSync(c) && c.Target == from && written > 0:
			fileSynced = fileSynced || written < c.Enter && c.Exit < rename.Enter
		case isSync(c) && c.Target == folder:
			nameSynced = nameSynced || rename.Exit < c.Enter && c.Exit < before
		}
	}
	switch {
	case !fileSynced:
		return "the file of its blob was not synced before it got its name"
	case !nameSynced:
		return "the name of its blob's file was not synced before an entry named it"
	}
	return ""
}
