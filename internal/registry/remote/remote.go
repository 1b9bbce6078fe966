// Package remote speaks to any registry that follows the OCI distribution
// specification 1.1, through oras-go. Where a registry lacks the referrers
// API it uses the specification's referrers tag schema.
//
// It never repeats a write by itself: whoever calls it decides that. (The one
// exception moves no tag: what a registry should mount and does not, it is
// given.) A request that the registry did not answer in a form that a registry answers
// in is never taken for an answer: a proxy's 404 page does not mean that
// something does not exist.
package remote

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"gitops-squared.io/gsq/internal/registry"

	orasregistry "oras.land/oras-go/v2/registry"
	orasremote "oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

const (
	defaultTimeout     = 5 * time.Second
	maxTimeout         = 10 * time.Second // the ledger counts on every request being over after 15 s
	dialTimeout        = 2 * time.Second  // shorter than any request's, so that it is known that nothing was sent
	defaultConcurrency = 16
	maxListBytes       = 16 << 20 // one page of tags or referrers
	maxPages           = 2_000    // of one listing
)

// Options of New. Only Address is required.
type Options struct {
	Address Address
	CA      []byte // PEM certificates to trust besides the system's; only for HTTPS

	// DockerConfig is the folder of the Docker configuration that has the
	// credentials, or names the helpers that have them. Default: the
	// environment's DOCKER_CONFIG, then .docker in the home folder. It need
	// not exist.
	DockerConfig string

	UserAgent      string        // default "gsq"
	RequestTimeout time.Duration // of one request, its answer included; default 5 s, at most 10 s
	Concurrency    int           // requests at once; default 16
}

// Registry implements registry.Registry. It is safe for concurrent use, and
// needs no closing.
type Registry struct {
	address   Address
	client    *client
	width     int
	referrers atomic.Int32 // of type support: whether there is a referrers API
	indexing  *stripes
	mounts    mounts
}

var _ registry.Registry = (*Registry)(nil)

// New returns a client of the registry. It reads the Docker configuration, but
// sends no request.
func New(o Options) (*Registry, error) {
	if err := checkHost(o.Address.Host); err != nil {
		return nil, fmt.Errorf("registry address %q: %w", o.Address.Host, err)
	}
	if o.RequestTimeout == 0 {
		o.RequestTimeout = defaultTimeout
	}
	if o.RequestTimeout < 0 || o.RequestTimeout > maxTimeout {
		return nil, fmt.Errorf("request time-out %v: want more than 0 and at most %v", o.RequestTimeout, maxTimeout)
	}
	if o.Concurrency == 0 {
		o.Concurrency = defaultConcurrency
	}
	if o.Concurrency < 0 {
		return nil, fmt.Errorf("%d requests at once: want at least 1", o.Concurrency)
	}
	if o.UserAgent == "" {
		o.UserAgent = "gsq"
	}
	transport, err := newTransport(o)
	if err != nil {
		return nil, err
	}
	credential, err := dockerCredentials(o.DockerConfig)
	if err != nil {
		return nil, err
	}
	return &Registry{
		address: o.Address,
		client: &client{
			auth: &auth.Client{
				// A plain client: oras's default one repeats requests.
				Client:     &http.Client{Transport: transport},
				Header:     http.Header{"User-Agent": {o.UserAgent}},
				Cache:      auth.NewCache(),
				Credential: credential,
			},
			turns:   newTurns(o.Concurrency),
			timeout: o.RequestTimeout,
		},
		width:    o.Concurrency,
		indexing: newStripes(),
	}, nil
}

func newTransport(o Options) (*http.Transport, error) {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: min(dialTimeout, o.RequestTimeout/2)}).DialContext,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: o.Concurrency,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true, // bytes are compared with digests as they come
	}
	if len(o.CA) == 0 {
		return t, nil
	}
	if o.Address.Plain {
		return nil, errors.New("certificates to trust were given for a registry that is spoken to over plain HTTP")
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("the system's trusted certificates: %w", err)
	}
	if !pool.AppendCertsFromPEM(o.CA) {
		return nil, errors.New("certificates to trust: none found, want PEM")
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}

// dockerCredentials returns the source of credentials in a Docker
// configuration.
func dockerCredentials(dir string) (auth.CredentialFunc, error) {
	if dir == "" {
		dir = os.Getenv("DOCKER_CONFIG")
	}
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil { // no home, as in a container: no credentials
			return nil, nil
		}
		dir = filepath.Join(home, ".docker")
	}
	store, err := credentials.NewStore(filepath.Join(dir, "config.json"), credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("docker configuration in %s: %w", dir, err)
	}
	return credentials.Credential(store), nil
}

// repository returns oras's client of one repository, and a context with which
// its requests are made. It is made anew for each call, because what it
// remembers (the kind of referrers) is kept in Registry.
func (r *Registry) repository(ctx context.Context, name string, c call) (context.Context, *orasremote.Repository, error) {
	ref := orasregistry.Reference{Registry: r.address.Host, Repository: name}
	if err := ref.Validate(); err != nil {
		return nil, nil, fmt.Errorf("repository %q: %w: %v", name, registry.ErrRefused, err)
	}
	c.tenant = tenant(name)
	return context.WithValue(ctx, callKey{}, c), &orasremote.Repository{
		Client:               r.client,
		Reference:            ref,
		PlainHTTP:            r.address.Plain,
		TagListMaxPages:      maxPages,
		ReferrerListMaxPages: maxPages,
		MaxMetadataBytes:     maxListBytes,
		SkipReferrersGC:      true, // an old index may be what a late answer still names
	}, nil
}

// get requests a path that oras has no method for, and returns the answer's
// headers and body.
func (r *Registry) get(ctx context.Context, method, path string) (http.Header, []byte, error) {
	address := Address{Host: orasregistry.Reference{Registry: r.address.Host}.Host(), Plain: r.address.Plain} // Docker Hub's API has a host of its own
	req, err := http.NewRequestWithContext(ctx, method, address.String()+path, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %v", registry.ErrRefused, err)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	var body bytes.Buffer
	_, err = body.ReadFrom(resp.Body) // from memory
	return resp.Header, body.Bytes(), err
}
