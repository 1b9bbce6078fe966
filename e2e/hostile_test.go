package e2e_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/e2e/gsq"
)

const (
	hostileGrowth  = 250 << 20 // of the server's memory under any of the attacks
	hostilePath    = "/api/v1/namespaces/hostile/resources"
	hostileTimeout = time.Minute
)

// Each attack gets the answer it deserves. Meanwhile and afterwards the server
// answers others, its memory stays bounded, and what the attack took is
// released.
func TestHostileClients(t *testing.T) {
	t.Parallel()
	post := func(length int64, headers string) string {
		return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n", hostilePath, length, headers)
	}
	const chunked = "POST " + hostilePath + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
	get := "GET " + hostilePath + " HTTP/1.1\r\nHost: x\r\n"
	for name, attack := range map[string]func(t *testing.T, s *gsq.Server){
		"slow headers": func(t *testing.T, s *gsq.Server) { hold(t, s, 500, get+"X-Slow: ", 0) },
		"slow body":    func(t *testing.T, s *gsq.Server) { hold(t, s, 500, post(1000, "")+`{"name":`, 408) },
		"slow large bodies": func(t *testing.T, s *gsq.Server) {
			// Some find no room, and are told so at once.
			hold(t, s, 100, post(api.MaxBodyBytes, "")+strings.Repeat(" ", api.MaxBodyBytes/2), 408, 503)
		},
		"nothing but connections": idleConnections,
		"readers that do not read": func(t *testing.T, s *gsq.Server) {
			fill(t, s, "hostile", 900)
			leave := connect(t, s, 300, strings.Repeat(get+"\r\n", 20))
			stillAnswers(t, s)
			leave()
		},
		"100,000 headers": func(t *testing.T, s *gsq.Server) {
			expect(t, s, 431, strings.NewReader(get), strings.NewReader(strings.Repeat("X-Many: 1\r\n", 100_000)))
		},
		"a long path": func(t *testing.T, s *gsq.Server) {
			expect(t, s, 431, strings.NewReader("GET /"+strings.Repeat("a", 1<<20)))
		},
		"no HTTP": func(t *testing.T, s *gsq.Server) { expect(t, s, 400, strings.NewReader("\x16\x03\x01\x02\r\n\r\n")) },
		"deep JSON": func(t *testing.T, s *gsq.Server) {
			many(t, s, 400, post, "", bytes.Repeat([]byte("["), api.MaxBodyBytes))
		},
		"deep objects": func(t *testing.T, s *gsq.Server) {
			many(t, s, 400, post, "", bytes.Repeat([]byte(`{"a":`), api.MaxBodyBytes/5))
		},
		"many values": func(t *testing.T, s *gsq.Server) {
			many(t, s, 400, post, "", bytes.Repeat([]byte("[],"), api.MaxBodyBytes/3))
		},
		"many unknowns": func(t *testing.T, s *gsq.Server) { many(t, s, 400, post, "", unknownFields()) },
		"a gzip bomb":   func(t *testing.T, s *gsq.Server) { many(t, s, 415, post, "Content-Encoding: gzip\r\n", gzipBomb(t)) },
		"a body of 8 EiB": func(t *testing.T, s *gsq.Server) {
			expect(t, s, 413, strings.NewReader(post(1<<63-1, "")))
		},
		"a body without an end": func(t *testing.T, s *gsq.Server) {
			piece := "10000\r\n" + strings.Repeat(" ", 0x10000) + "\r\n"
			expect(t, s, 413, strings.NewReader(chunked), strings.NewReader(strings.Repeat(piece, 64)))
		},
		"a chunk without an end": func(t *testing.T, s *gsq.Server) {
			expect(t, s, 400, strings.NewReader(chunked), strings.NewReader(strings.Repeat("f", 1<<20)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, gsq.Options{})
			startServer(t, s)
			stillAnswers(t, s)
			before := resident(t, s)
			goroutines, files := number(t, s, "go_goroutines"), number(t, s, "process_open_fds")
			attack(t, s)
			stillAnswers(t, s)
			grown := resident(t, s) - before
			t.Logf("the server's memory grew by %.0f MB", grown/1e6)
			if grown > hostileGrowth {
				t.Error("that is too much")
			}
			await(t, hostileTimeout, "what the attack took", func() error {
				g, f := number(t, s, "go_goroutines"), number(t, s, "process_open_fds")
				if g > goroutines+20 || f > files+20 {
					return fmt.Errorf("%.0f goroutines and %.0f files, before it were %.0f and %.0f", g, f, goroutines, files)
				}
				return nil
			})
		})
	}
}

// stillAnswers checks that another client is answered and can write.
func stillAnswers(t *testing.T, s *gsq.Server) {
	t.Helper()
	call(t, s, http.StatusOK, http.MethodGet, "/readyz", nil, nil)
	call(t, s, http.StatusOK, http.MethodGet, "/livez", nil, nil)
	a, err := s.Do(t.Context(), http.MethodPost, "/api/v1/namespaces/calm/resources", calmBody(time.Now().Nanosecond()))
	if err != nil || a.Status/100 != 2 {
		t.Fatalf("another client's write: %d %s, %v", a.Status, a.Body, err)
	}
}

// expect sends a request until the server has enough of it, and reads the
// answer.
func expect(t *testing.T, s *gsq.Server, status int, request ...io.Reader) {
	t.Helper()
	c := dial(t, s)
	defer c.Close()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.Copy(c, io.MultiReader(request...)) // ends when the server closes the connection
	}()
	if got := answerOn(t, c); got != status {
		t.Errorf("answered with %d, want %d", got, status)
	}
	c.Close()
	<-sent
}

// many sends a request with a body 20 times at once.
func many(t *testing.T, s *gsq.Server, status int, post func(int64, string) string, headers string, body []byte) {
	t.Helper()
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			a, err := request(s, post(int64(len(body)), headers), body)
			// Of large bodies, not all have room at once.
			if err != nil || a != status && a != http.StatusServiceUnavailable {
				t.Errorf("answered with %d, %v, want %d", a, err, status)
			}
		})
	}
	clients.Wait()
	if a, err := request(s, post(int64(len(body)), headers), body); a != status {
		t.Errorf("answered with %d, %v, want %d", a, err, status)
	}
}

// request sends a request and returns the answer's status.
func request(s *gsq.Server, head string, body []byte) (int, error) {
	c, err := net.Dial("tcp", s.Host)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(hostileTimeout)); err != nil {
		return 0, err
	}
	go func() { _, _ = io.Copy(c, io.MultiReader(strings.NewReader(head), bytes.NewReader(body))) }()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

// hold opens connections that send the beginning of a request and no more. The
// server must answer each with one of the statuses or, if 0 is among them,
// close it without an answer.
func hold(t *testing.T, s *gsq.Server, n int, beginning string, statuses ...int) {
	t.Helper()
	var clients sync.WaitGroup
	opened := make(chan struct{}, n)
	for range n {
		c := dial(t, s)
		clients.Go(func() {
			defer c.Close()
			_, _ = io.WriteString(c, beginning) // fails if the server does not want it all
			opened <- struct{}{}
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			status := 0
			if err == nil {
				status = resp.StatusCode
			} else if netError, ok := errors.AsType[net.Error](err); ok && netError.Timeout() {
				t.Errorf("the server still waits after %v", hostileTimeout)
				return
			}
			for _, want := range statuses {
				if status == want {
					return
				}
			}
			t.Errorf("answered with %d, %v, want %v", status, err, statuses)
		})
	}
	for range n {
		<-opened
	}
	stillAnswers(t, s) // while they hold
	clients.Wait()
}

// connect opens connections that send something and do nothing more, and
// returns what closes them.
func connect(t *testing.T, s *gsq.Server, n int, data string) (leave func()) {
	t.Helper()
	var opened []net.Conn
	for range n {
		c := dial(t, s)
		opened = append(opened, c)
		if data == "" {
			continue
		}
		if _, err := io.WriteString(c, data); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		for _, c := range opened {
			c.Close()
		}
	}
}

// idleConnections opens 10,000 connections, of which half have sent a request.
func idleConnections(t *testing.T, s *gsq.Server) {
	const most, clients = 4096, 10_000
	needFiles(t, clients+2000)
	leaveSilent := connect(t, s, clients/2, "")
	stillAnswers(t, s)
	leaveIdle := connect(t, s, clients/2, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	stillAnswers(t, s)
	await(t, hostileTimeout, "the connections above the bound", func() error { // some are not accepted yet
		open, closed := number(t, s, "gsq_http_connections"), number(t, s, "gsq_http_connections_closed_for_others_total")
		if open > most || open < most-100 || closed < clients-most {
			return fmt.Errorf("%.0f are open, the bound is %d; %.0f were closed for others, want at least %d", open, most, closed, clients-most)
		}
		return nil
	})
	leaveSilent()
	leaveIdle()
}

// needFiles raises this process's limit of file descriptors.
func needFiles(t *testing.T, n uint64) {
	t.Helper()
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	if files.Cur >= n {
		return
	}
	files.Cur, files.Max = n, max(n, files.Max)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatalf("this test needs %d open files (ulimit -n): %v", n, err)
	}
}

func dial(t *testing.T, s *gsq.Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(hostileTimeout)); err != nil {
		t.Fatal(err)
	}
	return c
}

// answerOn returns the status of the answer on a connection.
func answerOn(t *testing.T, c net.Conn) int {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

// gzipBomb is 1 GiB of zeros.
func gzipBomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(make([]byte, 32<<20)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.Repeat(b.Bytes(), 32) // members of a gzip file follow each other
}

// unknownFields is an object with as many of them as are looked at.
func unknownFields() []byte {
	b := bytes.NewBufferString(`{"name":"a"`)
	for i := range 49_000 {
		fmt.Fprintf(b, `,"unknown~/%d":0`, i)
	}
	b.WriteByte('}')
	return b.Bytes()
}
