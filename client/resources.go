package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"gitops-squared.io/gsq/api"
)

// Preconditions of a write. A write whose precondition does not hold fails
// with CodePreconditionFailed and changes nothing.
type Preconditions struct {
	IfMatch string // the digest that the resource must have now, or "*": it must exist
	IfNew   bool   // it must not exist
}

func (p Preconditions) header() http.Header {
	h := http.Header{}
	switch p.IfMatch {
	case "":
	case "*":
		h.Set("If-Match", "*")
	default:
		h.Set("If-Match", `"`+p.IfMatch+`"`)
	}
	if p.IfNew {
		h.Set("If-None-Match", "*")
	}
	return h
}

// WriteOptions are what a write can have besides its content.
type WriteOptions struct {
	Preconditions
	Reason string // why; kept in the history
}

func resourcePath(namespace string, name ...string) []string {
	return append([]string{"api", "v1", "namespaces", namespace, "resources"}, name...)
}

// Get returns one resource; CodeNotFound if there is none.
func (c *Client) Get(ctx context.Context, namespace, name string) (*api.Resource, error) {
	var r api.Resource
	if err := c.do(ctx, call{method: http.MethodGet, path: resourcePath(namespace, name)}, &r); err != nil {
		return nil, err
	}
	return &r, nil
}

// ListOptions choose what List answers. Empty filters match everything.
type ListOptions struct {
	At         string // as it was: a revision ("r12") or a time in RFC 3339; empty: now
	Type       string // exactly
	Region     string // exactly
	NamePrefix string

	Limit    int    // of a page; 0: the whole list
	Continue string // from the page before
}

// List returns the resources of a namespace by name, all of one revision. With
// a limit it returns one page; the next one is asked for by passing the
// answer's Continue back, until that is empty. CodeRevisionExpired means that
// the list must be started again.
func (c *Client) List(ctx context.Context, namespace string, o ListOptions) (*api.ResourceList, error) {
	query := url.Values{}
	for name, value := range map[string]string{
		"at": o.At, "type": o.Type, "region": o.Region, "namePrefix": o.NamePrefix, "continue": o.Continue,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if o.Limit > 0 {
		query.Set("limit", strconv.Itoa(o.Limit))
	}
	var list api.ResourceList
	if err := c.do(ctx, call{method: http.MethodGet, path: resourcePath(namespace), query: query}, &list); err != nil {
		return nil, err
	}
	return &list, nil
}

// Put creates or updates one resource, durably. Without preconditions an
// outcome-unknown is repeated, and Unchanged then may speak of the repeat.
func (c *Client) Put(ctx context.Context, namespace, name string, spec api.Spec, o WriteOptions) (*api.Resource, error) {
	var r api.Resource
	err := c.do(ctx, call{
		method: http.MethodPut, path: resourcePath(namespace, name), header: o.header(),
		body: api.ResourcePut{Spec: spec, Reason: o.Reason}, repeatUnknown: o.Preconditions == Preconditions{},
	}, &r)
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// Delete deletes one resource, durably; CodeNotFound if there is none. An
// outcome-unknown is not repeated, because the repeat could not tell "deleted
// just now" from "never there".
func (c *Client) Delete(ctx context.Context, namespace, name string, o WriteOptions) (*api.ResourceDeleted, error) {
	query := url.Values{}
	if o.Reason != "" {
		query.Set("reason", o.Reason)
	}
	var r api.ResourceDeleted
	err := c.do(ctx, call{method: http.MethodDelete, path: resourcePath(namespace, name), query: query, header: o.header()}, &r)
	if err != nil {
		return nil, err
	}
	return &r, nil
}
