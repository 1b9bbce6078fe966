package client

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func readEvents(t *testing.T, r io.Reader) ([]event, time.Duration) {
	t.Helper()
	e := newEventReader(r, func() {})
	var all []event
	for {
		next, err := e.next()
		if errors.Is(err, io.EOF) {
			return all, e.retry
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, next)
	}
}

func TestEventReader(t *testing.T) {
	t.Parallel()
	for stream, want := range map[string][]event{
		"":                                     nil,
		"data: a\n":                            nil, // the stream ended in the middle
		"data: a\n\n":                          {{"message", "", []byte("a")}},
		"\ufeffdata:a\r\n\r\ndata:b\r\r":       {{"message", "", []byte("a")}, {"message", "", []byte("b")}},
		":\n\nevent: x\n\ndata: a\n\n":         {{"message", "", []byte("a")}},
		"event: x\r\ndata: a\r\n\r\n":          {{"x", "", []byte("a")}},
		"event: x\nid: 7\ndata: a\ndata:b\n\n": {{"x", "7", []byte("a\nb")}},
		"id: 7\n\ndata: a\n\n":                 {{"", "7", nil}, {"message", "7", []byte("a")}},
		"id: 7\ndata: a\n\nid\ndata: b\n\n":    {{"message", "7", []byte("a")}, {"message", "", []byte("b")}},
		"id: 7\x00\ndata\n\n":                  {{"message", "", nil}},
		"unknown: x\ndata:  a\n\n":             {{"message", "", []byte(" a")}},
	} {
		for name, r := range map[string]io.Reader{"whole": strings.NewReader(stream), "byte by byte": iotest.OneByteReader(strings.NewReader(stream))} {
			got, _ := readEvents(t, r)
			if len(got) != len(want) {
				t.Errorf("%q, %s: %q, want %q", stream, name, got, want)
				continue
			}
			for i := range got {
				if got[i].kind != want[i].kind || got[i].id != want[i].id || string(got[i].data) != string(want[i].data) {
					t.Errorf("%q, %s: event %d is %q, want %q", stream, name, i, got[i], want[i])
				}
			}
		}
	}
	if _, retry := readEvents(t, strings.NewReader("retry: 1500\nretry: 1s\nretry: -1\n")); retry != 1500*time.Millisecond {
		t.Errorf("retry %v", retry)
	}
}

// Whatever comes, and in whatever pieces, gives the same events and no panic.
func FuzzEventReader(f *testing.F) {
	for _, seed := range []string{"", "\ufeff", "id: 1\nevent: revision\ndata: {}\n\n", "data: a\r\rdata\r\n\r\n:x\n", "retry: 9\nid: \x00\n\n"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stream string) {
		whole, _ := readEvents(t, strings.NewReader(stream))
		pieces, _ := readEvents(t, iotest.OneByteReader(strings.NewReader(stream)))
		if len(whole) != len(pieces) {
			t.Fatalf("%d events at once, %d byte by byte", len(whole), len(pieces))
		}
		for i := range whole {
			if whole[i].kind != pieces[i].kind || whole[i].id != pieces[i].id || string(whole[i].data) != string(pieces[i].data) {
				t.Fatalf("event %d: %q at once, %q byte by byte", i, whole[i], pieces[i])
			}
		}
	})
}
