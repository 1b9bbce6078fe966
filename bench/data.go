package main

import (
	"fmt"
	"time"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/bench/drive"
	"gitops-squared.io/gsq/internal/artifact"
	"gitops-squared.io/gsq/internal/intent"
)

// spec is what resources declare; each edition is another one, of the same
// size.
func spec(edition int) api.Spec {
	return api.Spec{Type: "database", Size: "large", Region: fmt.Sprintf("eu-central-%07d", edition), Replicas: 3}
}

func name(i int) string { return fmt.Sprintf("resource-%06d", i) }

// manifest is a resource as the product stores it.
func manifest(namespace, name string, edition int) (intent.Resource, []byte, error) {
	s := spec(edition)
	version := intent.Version(time.Now().UnixMicro())
	r := intent.Resource{
		Ref:     intent.Ref{Namespace: namespace, Name: name},
		Spec:    intent.Spec{Type: s.Type, Size: s.Size, Region: s.Region, Replicas: s.Replicas},
		Version: version, Created: version,
	}
	data, err := r.Manifest()
	return r, data, err
}

// pushes are raw pushes of the same artifacts that the product makes of
// resources first to first+count-1, each into a repository of its own.
func (p *place) pushes(namespace string, first, count, edition int) ([]drive.Push, error) {
	list := make([]drive.Push, count)
	layout := artifact.Layout{Prefix: p.raw}
	for i := range list {
		r, data, err := manifest(namespace, name(first+i), edition)
		if err != nil {
			return nil, err
		}
		list[i] = drive.Push{
			Repository: layout.Resource(r.Ref), Artifact: artifact.Resource(r, data),
			Tags: []string{r.Version.String(), artifact.Latest},
		}
	}
	return list, nil
}

// spread is resource i of those that are spread over namespaces.
func spread(namespaces []string, i int) (namespace, resource string) {
	return namespaces[i%len(namespaces)], name(i / len(namespaces))
}

// creates are the requests for resources first to first+count-1, spread over
// the namespaces.
func (p *place) creates(namespaces []string, first, count, edition int) ([]drive.Request, error) {
	return requests(count, func(i int) (drive.Request, error) {
		namespace, resource := spread(namespaces, first+i)
		return p.product.CreateRequest(namespace, resource, spec(edition))
	})
}

// updates are the requests for the same resources, which must exist.
func (p *place) updates(namespaces []string, first, count, edition int) ([]drive.Request, error) {
	return requests(count, func(i int) (drive.Request, error) {
		namespace, resource := spread(namespaces, first+i)
		return p.product.UpdateRequest(namespace, resource, spec(edition))
	})
}

func requests(count int, of func(i int) (drive.Request, error)) ([]drive.Request, error) {
	list := make([]drive.Request, count)
	for i := range list {
		var err error
		if list[i], err = of(i); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// applies are one call a namespace that creates resources first to
// first+count-1, spread over the namespaces, or deletes them.
func applies(namespaces []string, first, count, edition int, remove bool) map[string]api.ApplyRequest {
	calls := map[string]api.ApplyRequest{}
	for i := range count {
		namespace, resource := spread(namespaces, first+i)
		call := calls[namespace]
		if call.Resources == nil {
			call.Resources = []api.ApplyResource{}
		}
		if remove {
			call.Deletes = append(call.Deletes, resource)
		} else {
			call.Resources = append(call.Resources, api.ApplyResource{Name: resource, Spec: spec(edition)})
		}
		calls[namespace] = call
	}
	return calls
}
