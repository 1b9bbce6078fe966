package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// schemaOf turns the schema of a custom resource definition into one of the
// API, so that there is one set of rules for both. It fails on keywords that
// requests are not checked for: a rule of the cluster that the API would not
// know of has to be noticed when the server starts.
func schemaOf(crd *v1.JSONSchemaProps) (*huma.Schema, error) {
	s := &huma.Schema{
		Type: crd.Type, Description: crd.Description, Format: crd.Format, Required: crd.Required,
		Minimum: crd.Minimum, Maximum: crd.Maximum, Pattern: crd.Pattern,
		MinLength: number(crd.MinLength), MaxLength: number(crd.MaxLength), MaxItems: number(crd.MaxItems),
	}
	if crd.Default != nil {
		if err := json.Unmarshal(crd.Default.Raw, &s.Default); err != nil {
			return nil, fmt.Errorf("default: %w", err)
		}
	}
	for _, raw := range crd.Enum {
		var e any
		if err := json.Unmarshal(raw.Raw, &e); err != nil {
			return nil, fmt.Errorf("enum: %w", err)
		}
		s.Enum = append(s.Enum, e)
	}
	if crd.Items != nil {
		if crd.Items.Schema == nil {
			return nil, fmt.Errorf("items: want one schema")
		}
		items, err := schemaOf(crd.Items.Schema)
		if err != nil {
			return nil, fmt.Errorf("items: %w", err)
		}
		s.Items = items
	}
	if crd.Type == huma.TypeObject {
		s.AdditionalProperties = false
		s.Properties = make(map[string]*huma.Schema, len(crd.Properties))
	}
	for name := range maps.Keys(crd.Properties) {
		property := crd.Properties[name]
		p, err := schemaOf(&property)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		s.Properties[name] = p
	}
	return s, unknownKeywords(*crd)
}

// unknownKeywords fails if a schema has keywords that schemaOf does not copy.
func unknownKeywords(crd v1.JSONSchemaProps) error {
	crd.Type, crd.Description, crd.Format, crd.Required = "", "", "", nil
	crd.Minimum, crd.Maximum, crd.Pattern = nil, nil, ""
	crd.MinLength, crd.MaxLength, crd.MaxItems = nil, nil, nil
	crd.Default, crd.Enum, crd.Items, crd.Properties = nil, nil, nil, nil
	if reflect.ValueOf(crd).IsZero() {
		return nil
	}
	data, err := json.Marshal(crd)
	if err != nil {
		return err
	}
	return fmt.Errorf("requests are not checked for the keywords of %s", data)
}

func number(n *int64) *int {
	if n == nil {
		return nil
	}
	i := int(*n)
	return &i
}
