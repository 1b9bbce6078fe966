package proxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Call is one request on its way. Only the fault that it is given to uses it.
type Call struct {
	Method, Path string

	proxy    *Proxy
	w        http.ResponseWriter
	request  *http.Request
	body     []byte
	answered bool
}

// Answer is a registry's answer, with its whole body.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// maxBytes bounds a body.
const maxBytes = 128 << 20

func newCall(p *Proxy, w http.ResponseWriter, r *http.Request) (*Call, error) {
	body, err := read(r.Body)
	if err != nil {
		return nil, err
	}
	return &Call{Method: r.Method, Path: r.URL.Path, proxy: p, w: w, request: r, body: body}, nil
}

func read(from io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(from, maxBytes+1))
	if err == nil && len(body) > maxBytes {
		err = fmt.Errorf("a body of more than %d bytes", maxBytes)
	}
	return body, err
}

// Forward sends the request to the registry and returns its answer. It does
// not end when the caller leaves: a registry that has a request performs it.
func (c *Call) Forward() (Answer, error) {
	return c.send(c.Method, c.body)
}

// Now asks the registry what a GET of the request's path answers at present.
func (c *Call) Now() (Answer, error) { return c.send(http.MethodGet, nil) }

func (c *Call) send(method string, body []byte) (Answer, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.request.Context()), forwardTimeout)
	defer cancel()
	out, err := http.NewRequestWithContext(ctx, method, c.proxy.target(c.request.URL), bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	out.Header, out.Host = c.request.Header.Clone(), c.request.Host
	if out.Header.Get("Accept") == "" {
		out.Header.Set("Accept", ocispec.MediaTypeImageManifest) // as a GET of ours would
	}
	resp, err := c.proxy.transport.RoundTrip(out)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	answer, err := read(resp.Body)
	return Answer{resp.StatusCode, resp.Header, answer}, err
}

// Reply answers the caller.
func (c *Call) Reply(a Answer) { c.reply(a, a.Body) }

// reply announces the answer's body and sends another.
func (c *Call) reply(a Answer, body []byte) {
	c.answered = true
	for name, values := range a.Header {
		c.w.Header()[name] = values
	}
	if c.Method != http.MethodHead { // what a HEAD announces is kept
		c.w.Header().Set("Content-Length", strconv.Itoa(len(a.Body)))
	}
	c.w.WriteHeader(a.Status)
	c.w.Write(body) // whether the caller is still there is its affair
}

// Pass forwards the request and the registry's answer.
func (c *Call) Pass() {
	a, err := c.Forward()
	if err != nil {
		c.Reset()
		return
	}
	c.Reply(a)
}

// Reset ends the caller's connection without an answer (TCP RST).
func (c *Call) Reset() {
	c.answered = true
	reset(c.w)
}

// finish resets what the fault did not answer.
func (c *Call) finish() {
	if !c.answered {
		c.Reset()
	}
}

func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // closes the connection as well
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	conn.Close()
}
