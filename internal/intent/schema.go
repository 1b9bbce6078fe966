package intent

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	v1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"
)

// Schema is the custom resource definition's OpenAPI schema, run by the code
// that the Kubernetes API server runs. It is safe for concurrent use.
type Schema struct {
	spec       *v1.JSONSchemaProps
	structural *structuralschema.Structural
	validator  validation.SchemaValidator
	known      completions
}

// Fault is one thing wrong with a declaration.
type Fault struct {
	Pointer string // JSON pointer into the declaration, "" for the whole
	Detail  string
}

// Invalid is the error of a declaration that breaks the rules; it lists every
// fault.
type Invalid []Fault

func (e Invalid) Error() string {
	parts := make([]string, len(e))
	for i, f := range e {
		parts[i] = strings.TrimPrefix(f.Pointer+": "+f.Detail, ": ")
	}
	return strings.Join(parts, "; ")
}

// NewSchema reads the definition (YAML) and compiles the schema of its only
// version.
func NewSchema(definition []byte) (*Schema, error) {
	var crd v1.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(definition, &crd); err != nil {
		return nil, fmt.Errorf("custom resource definition: %w", err)
	}
	if len(crd.Spec.Versions) != 1 || crd.Spec.Versions[0].Schema == nil || crd.Spec.Versions[0].Schema.OpenAPIV3Schema == nil {
		return nil, fmt.Errorf("custom resource definition %s: want one version with a schema", crd.Name)
	}
	root := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	var internal apiextensions.JSONSchemaProps
	if err := v1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(root, &internal, nil); err != nil {
		return nil, fmt.Errorf("custom resource definition %s: %w", crd.Name, err)
	}
	structural, err := structuralschema.NewStructural(&internal)
	if err != nil {
		return nil, fmt.Errorf("custom resource definition %s: %w", crd.Name, err)
	}
	validator, _, err := validation.NewSchemaValidator(&internal)
	if err != nil {
		return nil, fmt.Errorf("custom resource definition %s: %w", crd.Name, err)
	}
	if len(root.Properties["metadata"].Properties) > 0 {
		return nil, fmt.Errorf("custom resource definition %s: its schema judges metadata; only specs are judged here", crd.Name)
	}
	spec, ok := root.Properties["spec"]
	if !ok {
		return nil, fmt.Errorf("custom resource definition %s: no spec in its schema", crd.Name)
	}
	return &Schema{spec: &spec, structural: structural, validator: validator}, nil
}

// Spec returns the schema of a spec, for those who publish it. Callers must
// not change it.
func (s *Schema) Spec() *v1.JSONSchemaProps { return s.spec }

// Complete validates a declaration and returns its spec with the schema's
// defaults filled in. The error is Invalid, with every fault: names that are
// not DNS-1123 labels and whatever the API server would refuse.
func (s *Schema) Complete(ref Ref, spec Spec) (Spec, error) {
	if IsLabel(ref.Name) && IsLabel(ref.Namespace) {
		// The schema judges the spec alone, so what it once accepted stands.
		if complete, ok := s.known.find(spec); ok {
			return complete, nil
		}
	}
	complete, err := s.complete(ref, spec)
	if err == nil {
		s.known.add(spec, complete)
	}
	return complete, err
}

func (s *Schema) complete(ref Ref, spec Spec) (Spec, error) {
	var faults Invalid
	for _, msg := range utilvalidation.IsDNS1123Label(ref.Name) {
		faults = append(faults, Fault{Pointer: "/name", Detail: msg})
	}
	if msgs := utilvalidation.IsDNS1123Label(ref.Namespace); len(msgs) > 0 {
		faults = append(faults, Fault{Detail: fmt.Sprintf("namespace %q: %s", ref.Namespace, strings.Join(msgs, ", "))})
	}
	faults = append(faults, notText(spec)...)
	data, err := json.Marshal(spec)
	if err != nil {
		return Spec{}, fmt.Errorf("spec of %s: %w", ref, err)
	}
	var object map[string]any
	if err := utiljson.Unmarshal(data, &object); err != nil { // numbers as the API server has them

		return Spec{}, fmt.Errorf("spec of %s: %w", ref, err)
	}
	whole := map[string]any{"apiVersion": APIVersion, "kind": Kind, "metadata": map[string]any{"name": ref.Name, "namespace": ref.Namespace}, "spec": object}
	defaulting.Default(whole, s.structural)
	faults = append(faults, faultsOf(validation.ValidateCustomResource(nil, whole, s.validator))...)
	if len(faults) > 0 {
		sort.SliceStable(faults, func(i, j int) bool { return faults[i].Pointer < faults[j].Pointer })
		return Spec{}, faults
	}
	if data, err = json.Marshal(whole["spec"]); err != nil {
		return Spec{}, fmt.Errorf("spec of %s: %w", ref, err)
	}
	var complete Spec
	if err := json.Unmarshal(data, &complete); err != nil {
		return Spec{}, fmt.Errorf("spec of %s: %w", ref, err)
	}
	return complete, nil
}

// notText faults text that a manifest cannot carry.
func notText(spec Spec) Invalid {
	var faults Invalid
	for pointer, s := range map[string]string{"/spec/type": spec.Type, "/spec/size": spec.Size, "/spec/region": spec.Region} {
		if at, bad := unwritable(s); bad {
			faults = append(faults, Fault{Pointer: pointer, Detail: fmt.Sprintf("%q: what stands at byte %d is not a character that YAML can hold", s, at)})
		}
	}
	return faults
}

// IsLabel reports whether s is a DNS-1123 label (RFC 1123, section 2.1, in lower
// case), the form that the names of resources and namespaces must have.
func IsLabel(s string) bool {
	if s == "" || len(s) > utilvalidation.DNS1123LabelMaxLength || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// ValidateNamespace returns Invalid unless the name is a DNS-1123 label.
func ValidateNamespace(name string) error {
	var faults Invalid
	for _, msg := range utilvalidation.IsDNS1123Label(name) {
		faults = append(faults, Fault{Detail: fmt.Sprintf("namespace %q: %s", name, msg)})
	}
	if len(faults) > 0 {
		return faults
	}
	return nil
}

func faultsOf(list field.ErrorList) Invalid {
	var faults Invalid
	for _, e := range list {
		faults = append(faults, Fault{Pointer: pointer(e.Field), Detail: e.ErrorBody()})
	}
	return faults
}

// pointer turns a Kubernetes field path (spec.ports[2].name) into a JSON
// pointer (RFC 6901).
func pointer(path string) string {
	if path == "" || path == "<nil>" {
		return ""
	}
	return "/" + strings.NewReplacer("~", "~0", "/", "~1", "].", "/", "[", "/", "]", "", ".", "/").Replace(path)
}
