package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/intent"
)

// The groups in which the operations are documented.
const (
	tagResources  = "Resources"
	tagNamespaces = "Namespaces"
	tagHealth     = "Health"
)

// newAPI makes huma's part of the server, without operations.
func (s *Server) newAPI(mux humago.Mux, schema *intent.Schema, version string) (huma.API, error) {
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	spec, err := schemaOf(schema.Spec())
	if err != nil {
		return nil, fmt.Errorf("schema of the spec: %w", err)
	}
	registry.Schema(reflect.TypeFor[api.Spec](), true, "Spec")
	*registry.Map()["Spec"] = *spec
	format := huma.Format{Marshal: encode, Unmarshal: json.Unmarshal}
	return humago.New(mux, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "GitOps Squared", Version: version,
				Description: "Declare resources. Each declaration becomes an immutable, versioned OCI artifact; Flux pulls one catalog per namespace and applies it to Kubernetes.",
			},
			Components:     &huma.Components{Schemas: registry},
			OnAddOperation: []huma.AddOpFunc{s.document},
		},
		Formats:       map[string]huma.Format{"application/json": format, api.ProblemMediaType: format},
		DefaultFormat: "application/json",
		Transformers:  []huma.Transformer{s.finish},
	}), nil
}

// addOperations registers every operation with its documentation.
func (s *Server) addOperations(a huma.API) {
	const (
		all      = "/api/v1/resources"
		one      = "/api/v1/resources/{name}"
		allOf    = "/api/v1/namespaces/{namespace}/resources"
		oneOf    = "/api/v1/namespaces/{namespace}/resources/{name}"
		inOne    = " in the namespace default"
		readErrs = http.StatusNotFound
	)
	writes := []int{http.StatusConflict, http.StatusPreconditionFailed, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusGatewayTimeout}
	deletes := []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusGatewayTimeout}
	lists := []int{readErrs, http.StatusConflict, http.StatusGone, http.StatusBadGateway}
	reads := []int{readErrs, http.StatusConflict, http.StatusPreconditionFailed, http.StatusGone, http.StatusBadGateway}

	o := s.operation(a, tagResources)
	huma.Register(a, o(http.MethodPost, all, "post-resource", "Create or update a resource"+inOne, http.StatusCreated, writes), s.post)
	huma.Register(a, o(http.MethodGet, all, "list-resources", "List the resources"+inOne, http.StatusOK, lists), s.list)
	huma.Register(a, o(http.MethodGet, one, "get-resource", "Read a resource"+inOne, http.StatusOK, reads), s.get)
	huma.Register(a, o(http.MethodPut, one, "put-resource", "Create or update a resource by name"+inOne, http.StatusOK, writes), s.put)
	huma.Register(a, o(http.MethodDelete, one, "delete-resource", "Delete a resource"+inOne, http.StatusOK, deletes), s.delete)
	huma.Register(a, o(http.MethodPost, allOf, "post-namespaced-resource", "Create or update a resource", http.StatusOK, writes), s.namespacedPost)
	huma.Register(a, o(http.MethodGet, allOf, "list-namespaced-resources", "List the resources of a namespace", http.StatusOK, lists), s.namespacedList)
	huma.Register(a, o(http.MethodGet, oneOf, "get-namespaced-resource", "Read a resource", http.StatusOK, reads), s.namespacedGet)
	huma.Register(a, o(http.MethodPut, oneOf, "put-namespaced-resource", "Create or update a resource by name", http.StatusOK, writes), s.namespacedPut)
	huma.Register(a, o(http.MethodDelete, oneOf, "delete-namespaced-resource", "Delete a resource", http.StatusOK, deletes), s.namespacedDelete)
	huma.Register(a, o(http.MethodPost, "/api/v1/namespaces/{namespace}/apply", "apply", "Create, update and delete many resources in one revision", http.StatusOK, writes), s.apply)

	o = s.operation(a, tagNamespaces)
	huma.Register(a, o(http.MethodGet, "/api/v1/namespaces", "list-namespaces", "List the namespaces", http.StatusOK, nil), s.namespaces)

	s.addHistory(a)
	s.addRollback(a)
	s.addEvents(a)
	s.addRetention(a)
	s.addRepair(a)

	o = s.operation(a, tagHealth)
	huma.Register(a, o(http.MethodGet, "/healthz", "healthz", "Say that the process answers", http.StatusOK, nil), s.health)
	huma.Register(a, o(http.MethodGet, "/livez", "livez", "Say that the process answers", http.StatusOK, nil), s.health)
	huma.Register(a, o(http.MethodGet, "/readyz", "readyz", "Say whether requests can be served, and why not", http.StatusOK, nil), s.readiness)

	// huma registers its own error model with the first operation; no answer
	// has it.
	schemas := a.OpenAPI().Components.Schemas.Map()
	delete(schemas, "ErrorModel")
	delete(schemas, "ErrorDetail")
}

// operation returns a function that documents what all operations of a group
// have in common.
func (s *Server) operation(a huma.API, tag string) func(method, path, id, summary string, status int, errs []int) huma.Operation {
	registry := a.OpenAPI().Components.Schemas
	problems := &huma.MediaType{Schema: registry.Schema(reflect.TypeFor[api.Problem](), true, "Problem")}
	return func(method, path, id, summary string, status int, errs []int) huma.Operation {
		op := huma.Operation{
			OperationID: id, Method: method, Path: path, Summary: summary, DefaultStatus: status, Tags: []string{tag},
			Responses:   map[string]*huma.Response{},
			Middlewares: huma.Middlewares{s.admit},
			// admit reads and checks the body before huma sees it.
			SkipValidateBody: true, MaxBodyBytes: -1, BodyReadTimeout: -1,
		}
		if tag == tagHealth {
			if id == "readyz" {
				op.Responses["503"] = &huma.Response{
					Description: "The checks that fail say why.",
					Content:     map[string]*huma.MediaType{"application/json": {Schema: registry.Schema(reflect.TypeFor[api.Readiness](), true, "Readiness")}},
				}
			}
			op.Responses["default"] = &huma.Response{Description: "Error", Content: map[string]*huma.MediaType{api.ProblemMediaType: problems}}
			return op
		}
		for _, code := range append([]int{http.StatusBadRequest, http.StatusInternalServerError, http.StatusServiceUnavailable}, errs...) {
			op.Responses[strconv.Itoa(code)] = &huma.Response{
				Description: http.StatusText(code),
				Content:     map[string]*huma.MediaType{api.ProblemMediaType: problems},
			}
		}
		s.documentAnswers(registry, &op)
		return op
	}
}

// documentAnswers adds the successful answers besides the default one, and the
// filters whose values the schema of the spec knows.
func (s *Server) documentAnswers(registry huma.Registry, op *huma.Operation) {
	resource := map[string]*huma.MediaType{"application/json": {Schema: registry.Schema(reflect.TypeFor[api.Resource](), true, "Resource")}}
	other := map[string]*huma.Response{
		"post-resource":            {Description: "Unchanged", Content: resource},
		"post-namespaced-resource": {Description: "Created", Content: resource},
		"put-resource":             {Description: "Created", Content: resource},
		"put-namespaced-resource":  {Description: "Created", Content: resource},
		"get-resource":             {Description: "Not Modified"},
		"get-namespaced-resource":  {Description: "Not Modified"},
		"get-version":              {Description: "Not Modified"},
		"get-revision":             {Description: "Not Modified"},
	}
	if response, ok := other[op.OperationID]; ok {
		status := map[string]string{"Unchanged": "200", "Created": "201", "Not Modified": "304"}[response.Description]
		op.Responses[status] = response
	}
	if op.OperationID == "list-resources" || op.OperationID == "list-namespaced-resources" {
		list := registry.Schema(reflect.TypeFor[api.ResourceList](), true, "ResourceList")
		op.Responses["200"] = &huma.Response{
			Description: http.StatusText(http.StatusOK),
			Content:     map[string]*huma.MediaType{"application/json": {Schema: list}},
		}
		spec := registry.Map()["Spec"]
		for _, name := range slices.Sorted(maps.Keys(spec.Properties)) {
			if name == "type" || name == "region" {
				op.Parameters = append(op.Parameters, filterParameter(name, *spec.Properties[name]))
			}
		}
	}
}

func filterParameter(name string, schema huma.Schema) *huma.Param {
	one := 1
	schema.MinLength, schema.Default = &one, nil
	return &huma.Param{
		Name: name, In: "query", Schema: &schema,
		Description: "Only resources whose " + name + " is this.",
	}
}
