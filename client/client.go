// Package client talks to a gsq server. It depends on the wire types of package
// api and on the standard library only.
package client

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// DefaultServer is where a server listens unless it is told otherwise.
const DefaultServer = "http://127.0.0.1:8080"

// DefaultTimeout bounds a call, repeats included.
const DefaultTimeout = 30 * time.Second

// Options of a client. The zero value works.
type Options struct {
	// Server is the server's URL: http or https, host, and a path if the API
	// lies under one. Default DefaultServer.
	Server string

	// HTTPClient sends the requests. Default is a client of its own on
	// http.DefaultTransport. Its CheckRedirect is not used: a redirect is an
	// error, because following one can turn a write into a read.
	HTTPClient *http.Client

	UserAgent string        // default "gsq-client"
	Actor     string        // who writes, for the history: printable text, at most 256 bytes; empty: nobody says so
	Timeout   time.Duration // of one call, repeats included; default DefaultTimeout
}

// Client is safe for concurrent use.
type Client struct {
	base      *url.URL
	http      *http.Client
	userAgent string
	actor     string
	timeout   time.Duration
}

// New returns a client. It sends nothing yet; the error is about the options.
func New(o Options) (*Client, error) {
	if o.Server == "" {
		o.Server = DefaultServer
	}
	base, err := parseServer(o.Server)
	if err != nil {
		return nil, err
	}
	c := &Client{base: base, http: &http.Client{}, userAgent: o.UserAgent, actor: o.Actor, timeout: o.Timeout}
	if o.HTTPClient != nil {
		*c.http = *o.HTTPClient
	}
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if c.userAgent == "" {
		c.userAgent = "gsq-client"
	}
	switch {
	case c.timeout < 0:
		return nil, fmt.Errorf("the time-out %s is negative", c.timeout)
	case c.timeout == 0:
		c.timeout = DefaultTimeout
	}
	return c, nil
}

// Server returns the URL that the client talks to, without a slash at the end.
func (c *Client) Server() *url.URL {
	u := *c.base
	return &u
}

func parseServer(server string) (*url.URL, error) {
	u, err := url.Parse(server)
	// url.Parse refuses "127.0.0.1:8080", and reads "localhost:8080" as a scheme.
	if !strings.Contains(server, "://") {
		return nil, fmt.Errorf("server %q is not a URL; begin it with http:// or https://", server)
	}
	if err != nil {
		return nil, fmt.Errorf("server %q is not a URL: %w", server, unwrapURL(err))
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("server %q: the scheme must be http or https, not %q", server, u.Scheme)
	case u.Hostname() == "":
		return nil, fmt.Errorf("server %q names no host", server)
	case strings.HasSuffix(u.Host, ":"): // as in http://http://host
		return nil, fmt.Errorf("server %q has a colon without a port", server)
	case u.User != nil:
		return nil, fmt.Errorf("server %q holds credentials; leave them out", u.Redacted())
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("server %q has a query or a fragment; leave it out", server)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = strings.TrimRight(u.RawPath, "/")
	return u, nil
}
