package server

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed documentation.html
var documentationHTML string

//go:embed documentation.css
var documentationCSS []byte

// documentationPolicy lets the page have its style sheet, and nothing else.
const documentationPolicy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// addDocumentation serves the description as /openapi.json, and for readers as
// /docs, a page without scripts and without anything from other hosts.
func (s *Server) addDocumentation(description *huma.OpenAPI) error {
	encoded, err := json.MarshalIndent(description, "", "  ")
	if err != nil {
		return fmt.Errorf("describing the API: %w", err)
	}
	page, err := template.New("documentation").Parse(documentationHTML)
	if err != nil {
		return fmt.Errorf("documentation: %w", err)
	}
	var html bytes.Buffer
	if err := page.Execute(&html, view(description)); err != nil {
		return fmt.Errorf("documentation: %w", err)
	}
	s.mux.HandleFunc("GET /openapi.json", fixed("application/openapi+json", encoded))
	s.mux.HandleFunc("GET /docs", fixed("text/html; charset=utf-8", html.Bytes()))
	s.mux.HandleFunc("GET /docs/style.css", fixed("text/css; charset=utf-8", documentationCSS))
	return nil
}

func fixed(contentType string, body []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Security-Policy", documentationPolicy)
		w.Header().Set("Referrer-Policy", "no-referrer")
		_, _ = w.Write(body) // fails only if the caller has left
	}
}

// What the page shows.
type (
	documentedAPI struct {
		Title, Version, Description string
		Groups                      []documentedGroup
		Schemas                     []documentedSchema
	}
	documentedGroup struct {
		Name       string
		Operations []documentedOperation
	}
	documentedOperation struct {
		ID, Method, Path, Summary string
		Parameters                []documentedField
		Body                      string // the name of its schema
		Answers                   []documentedAnswer
	}
	documentedAnswer struct {
		Status, Description, Schema string
	}
	documentedSchema struct {
		Name, Description string
		Fields            []documentedField
	}
	documentedField struct {
		Name, Where, Type, Schema, Rules, Description string
		Required                                      bool
	}
)

func view(description *huma.OpenAPI) documentedAPI {
	page := documentedAPI{Title: description.Info.Title, Version: description.Info.Version, Description: description.Info.Description}
	groups := map[string][]documentedOperation{}
	for _, path := range slices.Sorted(maps.Keys(description.Paths)) {
		item := description.Paths[path]
		for _, op := range []*huma.Operation{item.Get, item.Post, item.Put, item.Delete} {
			if op != nil {
				groups[op.Tags[0]] = append(groups[op.Tags[0]], viewOperation(op))
			}
		}
	}
	for _, name := range []string{tagResources, tagNamespaces, tagHistory, tagRetention, tagHealth} {
		page.Groups = append(page.Groups, documentedGroup{name, groups[name]})
	}
	schemas := description.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		s := documentedSchema{Name: name, Description: schemas[name].Description}
		for _, field := range slices.Sorted(maps.Keys(schemas[name].Properties)) {
			f := viewField(field, schemas[name].Properties[field])
			f.Required = slices.Contains(schemas[name].Required, field)
			s.Fields = append(s.Fields, f)
		}
		page.Schemas = append(page.Schemas, s)
	}
	return page
}

func viewOperation(op *huma.Operation) documentedOperation {
	out := documentedOperation{ID: op.OperationID, Method: op.Method, Path: op.Path, Summary: op.Summary}
	for _, p := range op.Parameters {
		f := viewField(p.Name, p.Schema)
		f.Where, f.Required = p.In, p.Required
		if p.Description != "" {
			f.Description = p.Description
		}
		out.Parameters = append(out.Parameters, f)
	}
	if op.RequestBody != nil {
		out.Body = schemaName(op.RequestBody.Content["application/json"].Schema)
	}
	for _, status := range slices.Sorted(maps.Keys(op.Responses)) {
		answer := documentedAnswer{Status: status, Description: op.Responses[status].Description}
		for _, content := range op.Responses[status].Content {
			answer.Schema = schemaName(content.Schema)
		}
		out.Answers = append(out.Answers, answer)
	}
	return out
}

func viewField(name string, s *huma.Schema) documentedField {
	f := documentedField{Name: name, Type: s.Type, Schema: schemaName(s), Description: s.Description}
	if s.Type == huma.TypeArray && s.Items != nil {
		f.Type, f.Schema = "array of "+s.Items.Type, schemaName(s.Items)
	}
	var rules []string
	if len(s.Enum) > 0 {
		values := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			values[i] = fmt.Sprint(v)
		}
		rules = append(rules, "one of "+strings.Join(values, ", "))
	}
	if s.Minimum != nil || s.Maximum != nil {
		rules = append(rules, bounds(s.Minimum, s.Maximum))
	}
	if s.MaxLength != nil {
		rules = append(rules, fmt.Sprintf("at most %d characters", *s.MaxLength))
	}
	if s.PatternDescription != "" {
		rules = append(rules, s.PatternDescription)
	}
	if s.Default != nil {
		rules = append(rules, fmt.Sprintf("default %v", s.Default))
	}
	f.Rules = strings.Join(rules, "; ")
	return f
}

// schemaName is the last element of a reference, or empty.
func schemaName(s *huma.Schema) string {
	return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
}
