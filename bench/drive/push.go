package drive

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"gitops-squared.io/gsq/internal/registry"
)

// Registry speaks to a registry as a plain OCI client does.
type Registry struct {
	*Client
	URL string // http://host:port
}

// Push is one artifact to push, and the tags that it gets.
type Push struct {
	Repository string
	Artifact   registry.Artifact
	Tags       []string
}

// Push pushes each blob with a POST and a PUT, and then the manifest once a
// tag (OCI distribution specification 1.1, "POST then PUT" and "Pushing
// Manifests"), one after the other. It asks for nothing before.
func (r Registry) Push(ctx context.Context, p Push) error {
	for _, b := range p.Artifact.Blobs {
		if err := r.pushBlob(ctx, p.Repository, b); err != nil {
			return err
		}
	}
	for _, tag := range p.Tags {
		put := Request{
			Method: http.MethodPut, URL: r.URL + "/v2/" + p.Repository + "/manifests/" + tag,
			ContentType: p.Artifact.Manifest.MediaType, Body: p.Artifact.Manifest.Data,
		}
		if _, err := r.Send(ctx, put, http.StatusCreated); err != nil {
			return err
		}
	}
	return nil
}

func (r Registry) pushBlob(ctx context.Context, repository string, b registry.Blob) error {
	post := Request{Method: http.MethodPost, URL: r.URL + "/v2/" + repository + "/blobs/uploads/"}
	a, err := r.Send(ctx, post, http.StatusAccepted)
	if err != nil {
		return err
	}
	session, err := url.Parse(post.URL)
	if err != nil {
		return err
	}
	if session, err = session.Parse(a.Header.Get("Location")); err != nil {
		return fmt.Errorf("%s %s: location %q: %w", post.Method, post.URL, a.Header.Get("Location"), err)
	}
	query := session.Query()
	query.Set("digest", b.Digest.String())
	session.RawQuery = query.Encode()
	_, err = r.Send(ctx, Request{
		Method: http.MethodPut, URL: session.String(), ContentType: "application/octet-stream", Body: b.Data,
	}, http.StatusCreated)
	return err
}

// Ping returns nil if the registry answers.
func (r Registry) Ping(ctx context.Context) error {
	_, err := r.Send(ctx, Request{Method: http.MethodGet, URL: r.URL + "/v2/"}, http.StatusOK)
	return err
}
