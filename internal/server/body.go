package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"

	"gitops-squared.io/gsq/api"
)

const (
	// freeBodyBytes of every body count for nothing: a client that declares
	// one resource is never refused because others send large bodies.
	freeBodyBytes = 16 << 10
	// heldBodyBytes bounds all larger bodies whose requests are not answered
	// yet. What is made of a body takes a few times as much.
	heldBodyBytes = 32 << 20
)

// receive reads a request's body. What it holds is given back with release,
// when the request is answered. While the client has to send, its connection
// may be closed for another.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) (data []byte, release func(), p *problem) {
	release = func() {}
	if r.ContentLength > api.MaxBodyBytes {
		return nil, release, tooLarge()
	}
	connection := connectionOf(r)
	connection.end()
	body := http.MaxBytesReader(w, r.Body, api.MaxBodyBytes)
	var buffer bytes.Buffer
	_, err := io.CopyN(&buffer, body, freeBodyBytes)
	if err == nil { // there may be more
		size := int64(api.MaxBodyBytes)
		if r.ContentLength > 0 {
			size = r.ContentLength
		}
		holder := namespaceOf(r)
		if !s.bodies.take(holder, size) {
			return nil, release, overloaded("The server holds too many large bodies of other requests; nothing changed, try again.")
		}
		release = func() { s.bodies.give(holder, size) }
		_, err = buffer.ReadFrom(body)
	}
	if err != nil && err != io.EOF {
		return nil, release, unread(err)
	}
	if !connection.begin(false) {
		return nil, release, tooMany()
	}
	return buffer.Bytes(), release, nil
}

// unread is the problem of a body that did not arrive.
func unread(err error) *problem {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return newProblem(api.CodeRequestTimeout, "The body did not arrive within %s.", readTimeout)
	}
	return newProblem(api.CodeMalformed, "The body did not arrive as a whole.")
}

func tooLarge() *problem {
	return newProblem(api.CodeBodyTooLarge, "The body has more than %d bytes.", api.MaxBodyBytes)
}

// namespaceOf is the namespace that a request of the API is about.
func namespaceOf(r *http.Request) string {
	if name := r.PathValue("namespace"); name != "" {
		return name
	}
	return api.DefaultNamespace
}
