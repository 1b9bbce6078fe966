package drive

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gitops-squared.io/gsq/api"
)

// Product speaks to the API of a gsq server.
type Product struct {
	*Client
	URL string // http://host:port
}

const typeJSON = "application/json"

// errUnchanged says that a write that was meant to change something did not.
var errUnchanged = errors.New("the answer says that nothing changed")

// CreateRequest is the POST of a new resource.
func (p Product) CreateRequest(namespace, name string, spec api.Spec) (Request, error) {
	body, err := json.Marshal(api.ResourceRequest{Name: name, Spec: spec})
	return Request{Method: http.MethodPost, URL: p.resources(namespace), ContentType: typeJSON, Body: body}, err
}

// UpdateRequest is the PUT of a resource that exists.
func (p Product) UpdateRequest(namespace, name string, spec api.Spec) (Request, error) {
	body, err := json.Marshal(api.ResourcePut{Spec: spec})
	return Request{Method: http.MethodPut, URL: p.resources(namespace) + "/" + name, ContentType: typeJSON, Body: body}, err
}

// GetRequest reads one resource, or all of the namespace if name is empty.
func (p Product) GetRequest(namespace, name string) Request {
	url := p.resources(namespace)
	if name != "" {
		url += "/" + name
	}
	return Request{Method: http.MethodGet, URL: url}
}

func (p Product) resources(namespace string) string {
	return p.URL + "/api/v1/namespaces/" + namespace + "/resources"
}

// Create sends a CreateRequest: the resource must be new.
func (p Product) Create(ctx context.Context, r Request) error {
	_, err := p.Send(ctx, r, http.StatusCreated)
	return err
}

// Update sends an UpdateRequest: the resource must have been there, and change.
func (p Product) Update(ctx context.Context, r Request) error {
	a, err := p.Send(ctx, r, http.StatusOK)
	if err == nil && bytes.Contains(a.Body, []byte(`"unchanged":true`)) {
		err = fmt.Errorf("%s %s: %w", r.Method, r.URL, errUnchanged)
	}
	return err
}

// ApplyRequest is one call that does all of the body.
func (p Product) ApplyRequest(namespace string, body api.ApplyRequest) (Request, error) {
	data, err := json.Marshal(body)
	return Request{Method: http.MethodPost, URL: p.URL + "/api/v1/namespaces/" + namespace + "/apply", ContentType: typeJSON, Body: data}, err
}

// Apply sends an ApplyRequest, which must change as many resources as said.
func (p Product) Apply(ctx context.Context, r Request, changes int) error {
	a, err := p.Send(ctx, r, http.StatusOK)
	if err != nil {
		return err
	}
	var answer api.ApplyResponse
	if err := json.Unmarshal(a.Body, &answer); err != nil {
		return fmt.Errorf("%s %s: %w", r.Method, r.URL, err)
	}
	if got := answer.Created + answer.Updated + answer.Deleted; got != changes {
		return fmt.Errorf("%s %s: changed %d resources, want %d", r.Method, r.URL, got, changes)
	}
	return nil
}

// Revision is the number of a namespace's present revision.
func (p Product) Revision(ctx context.Context, namespace string) (int64, error) {
	a, err := p.Send(ctx, Request{Method: http.MethodGet, URL: p.resources(namespace) + "?limit=1"}, http.StatusOK)
	if err != nil {
		return 0, err
	}
	var list api.ResourceList
	if err := json.Unmarshal(a.Body, &list); err != nil {
		return 0, err
	}
	return list.Revision.Number, nil
}

// Versions reads a page of a resource's history, and returns how many entries
// it has, and what asks for the next page (empty at the end).
func (p Product) Versions(ctx context.Context, namespace, name string, limit int, next string) (int, string, error) {
	at := fmt.Sprintf("%s/%s/versions?limit=%d", p.resources(namespace), name, limit)
	if next != "" {
		at += "&continue=" + url.QueryEscape(next)
	}
	a, err := p.Send(ctx, Request{Method: http.MethodGet, URL: at}, http.StatusOK)
	if err != nil {
		return 0, "", err
	}
	var list api.VersionList
	if err := json.Unmarshal(a.Body, &list); err != nil {
		return 0, "", err
	}
	return len(list.Versions), list.Continue, nil
}

// ListAt lists a namespace as it was at a moment or revision.
func (p Product) ListAt(ctx context.Context, namespace, at string) (api.ResourceList, error) {
	a, err := p.Send(ctx, Request{Method: http.MethodGet, URL: p.resources(namespace) + "?at=" + url.QueryEscape(at)}, http.StatusOK)
	var list api.ResourceList
	if err == nil {
		err = json.Unmarshal(a.Body, &list)
	}
	return list, err
}

// RevisionTime is the time of a revision.
func (p Product) RevisionTime(ctx context.Context, namespace string, number int64) (time.Time, error) {
	a, err := p.Send(ctx, Request{Method: http.MethodGet, URL: fmt.Sprintf("%s/api/v1/namespaces/%s/revisions/r%d", p.URL, namespace, number)}, http.StatusOK)
	var c api.Commit
	if err == nil {
		err = json.Unmarshal(a.Body, &c)
	}
	return c.Time, err
}

// Ready returns nil if the server can serve.
func (p Product) Ready(ctx context.Context) error {
	_, err := p.Send(ctx, Request{Method: http.MethodGet, URL: p.URL + "/readyz"}, http.StatusOK)
	return err
}

// Metric reads one metric without labels from /metrics.
func (p Product) Metric(ctx context.Context, name string) (float64, error) {
	a, err := p.Send(ctx, Request{Method: http.MethodGet, URL: p.URL + "/metrics"}, http.StatusOK)
	if err != nil {
		return 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(a.Body)); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("%s/metrics has no %s", p.URL, name)
}
