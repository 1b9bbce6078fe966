package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/client"
)

// completeTime checks the flags that ask for the past, and makes of --at what
// the API takes.
func (o *getOptions) completeTime(named bool) error {
	if o.version != "" && (!named || o.filter.At != "") {
		return usagef("--version goes with one name, and without --at")
	}
	if o.filter.At == "" {
		return nil
	}
	at, err := parseMoment(o.filter.At, time.Now())
	if err != nil {
		return usagef("--at: %w", err)
	}
	if o.all && strings.HasPrefix(at, "r") {
		return usagef("--at %s: a revision is one namespace's; with --all-namespaces, give a time", at)
	}
	o.filter.At = at
	return nil
}

// advise is what to do about an error of a read, of the past or not.
func (o *getOptions) advise(err error) error {
	if o.filter.At != "" || o.version != "" {
		return advisePast(err)
	}
	return advise(err)
}

func getOne(ctx context.Context, c *client.Client, o getOptions, name string) (*api.Resource, error) {
	var resource *api.Resource
	var err error
	if o.filter.At != "" {
		resource, err = c.GetAt(ctx, o.scope.namespace, name, o.filter.At)
	} else {
		resource, err = c.Get(ctx, o.scope.namespace, name)
	}
	if err != nil {
		return nil, o.advise(err)
	}
	return resource, nil
}

// getVersion shows a version. Of a tombstone there is nothing to show but that
// it is one.
func getVersion(ctx context.Context, p process, c *client.Client, o getOptions, name string) error {
	v, err := c.Version(ctx, o.scope.namespace, name, o.version)
	if err != nil {
		return o.advise(err)
	}
	if o.output.value == "json" {
		return writeJSON(p.Out, v)
	}
	if v.Deleted || v.Spec == nil || v.CreatedAt == nil {
		return fmt.Errorf("%s is deleted in version %s, since %s", name, o.version, historyTime(v.UpdatedAt))
	}
	return printResources(p, o, []api.Resource{{
		Name: v.Name, Namespace: v.Namespace, Version: v.Version, Digest: v.Digest, Repository: v.Repository,
		Spec: *v.Spec, CreatedAt: *v.CreatedAt, UpdatedAt: v.UpdatedAt,
	}})
}
