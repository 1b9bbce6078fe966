package proxy

import (
	"bytes"
	"net/http"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
)

// Refuse returns a fault that answers with a status, in the form of the OCI
// distribution specification 1.1, section "Error codes", and never asks the
// registry. With retryAfter above 0 it says after how many seconds to try again.
func Refuse(status, retryAfter int) Fault {
	code := "UNKNOWN"
	if status == http.StatusTooManyRequests {
		code = "TOOMANYREQUESTS"
	}
	return func(c *Call) {
		a := Answer{
			Status: status,
			Header: http.Header{"Content-Type": {"application/json"}, "Docker-Distribution-Api-Version": {"registry/2.0"}},
			Body:   []byte(`{"errors":[{"code":"` + code + `","message":"not now"}]}`),
		}
		if retryAfter > 0 {
			a.Header.Set("Retry-After", strconv.Itoa(retryAfter))
		}
		c.Reply(a)
	}
}

// ResetAfter is a fault: the registry performs the request, the caller's
// connection ends without an answer.
func ResetAfter(c *Call) {
	c.Forward() // however it ended, nobody is told
	c.Reset()
}

// HalfBody is a fault: the answer ends after half of the body that it
// announced.
func HalfBody(c *Call) {
	a, err := c.Forward()
	if err != nil || len(a.Body) == 0 {
		c.Reset()
		return
	}
	c.reply(a, a.Body[:len(a.Body)/2])
	http.NewResponseController(c.w).Flush() // the half is sent before the end is
	panic(http.ErrAbortHandler)
}

// WrongDigest is a fault: the answer to a read has one byte changed, and that
// to a write names another digest than what was stored.
func WrongDigest(c *Call) {
	a, err := c.Forward()
	if err != nil {
		c.Reset()
		return
	}
	if len(a.Body) > 0 && a.Status == http.StatusOK {
		a.Body = bytes.Clone(a.Body)
		a.Body[len(a.Body)/2] ^= 1
	} else if named := a.Header.Get("Docker-Content-Digest"); named != "" {
		other := digest.FromString(named).String()
		a.Header.Set("Docker-Content-Digest", other)
		a.Header.Set("Location", strings.Replace(a.Header.Get("Location"), named, other, 1))
	}
	c.Reply(a)
}

// Before returns a fault that calls do and then passes the request on.
func Before(do func()) Fault {
	return func(c *Call) {
		do()
		c.Pass()
	}
}

// After returns a fault that passes the request on and calls do when its
// answer was sent to the caller.
func After(do func()) Fault {
	return func(c *Call) {
		c.Pass()
		http.NewResponseController(c.w).Flush()
		do()
	}
}
