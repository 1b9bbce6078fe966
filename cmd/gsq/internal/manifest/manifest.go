// Package manifest reads what users declare in files: the API's form, in JSON
// or YAML, and PlatformResource manifests. It is strict: what the product would
// not keep is an error, with file, document and line, rather than dropped.
package manifest

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/intent"
)

// Declaration is one declared resource.
type Declaration struct {
	Source    Source
	Namespace string // empty when the input does not say
	Name      string
	Spec      api.Spec

	lines map[string]int // of fields, by their JSON pointer in the API's form
}

// At returns the place of one of the declaration's fields, named by its JSON
// pointer in the API's form (/spec/replicas), or else of the nearest field
// around it.
func (d Declaration) At(pointer string) Source {
	at := d.Source
	for p := pointer; p != ""; p = p[:max(0, strings.LastIndexByte(p, '/'))] {
		if line, ok := d.lines[p]; ok {
			at.Line = line
			break
		}
	}
	return at
}

// Parse reads the declarations of one file; the name is for messages. The
// error is Invalid, and lists every fault.
func Parse(file string, data []byte) ([]Declaration, error) {
	docs, err := documents(file, data)
	if err != nil {
		return nil, err
	}
	var all []Declaration
	var faults Invalid
	for _, doc := range docs {
		if doc.root == nil {
			continue
		}
		c := &checker{source: Source{File: file, Document: doc.number, Line: doc.root.Line}}
		all = append(all, c.document(doc.root)...)
		faults = append(faults, c.faults...)
	}
	if len(faults) > 0 {
		return nil, faults
	}
	return all, nil
}

// document reads a resource in either form, or a list of them.
func (c *checker) document(n *yaml.Node) []Declaration {
	if n.Kind == yaml.SequenceNode {
		return c.list(n, "")
	}
	fields := c.fields(n, "")
	if len(c.faults) > 0 {
		return nil
	}
	_, hasKind := fields["kind"]
	_, hasVersion := fields["apiVersion"]
	switch {
	case hasKind && strings.HasSuffix(fields["kind"].value.Value, "List"):
		return c.objectList(fields)
	case hasKind || hasVersion:
		return c.one(c.object(fields, n.Line, ""))
	}
	if list, ok := fields["resources"]; ok {
		return c.resourceList(fields, list)
	}
	return c.one(c.resource(fields, n.Line, ""))
}

func (c *checker) one(d Declaration) []Declaration { return []Declaration{d} }

// list reads the items of a list: resources in either form, no further lists.
func (c *checker) list(n *yaml.Node, path string) []Declaration {
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		c.fail(n.Line, path, "must be a list, not %s", describe(n))
		return nil
	}
	var all []Declaration
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		if item.Kind != yaml.MappingNode {
			c.fail(item.Line, at, "must be a resource, not %s", describe(item))
			continue
		}
		fields := c.fields(item, at)
		if _, ok := fields["kind"]; ok {
			all = append(all, c.object(fields, item.Line, at))
		} else {
			all = append(all, c.resource(fields, item.Line, at))
		}
	}
	return all
}

// unknown reports the fields that are not among those allowed. What has those
// fields is named in words.
func (c *checker) unknown(fields map[string]field, what string, allowed ...string) {
	for _, name := range sortedKeys(fields) {
		if !slices.Contains(allowed, name) {
			c.fail(fields[name].line, fields[name].path, "unknown field; %s has %s", what, strings.Join(allowed, ", "))
		}
	}
}

// name reads the required name of a resource.
func (c *checker) name(f field, line int, path string) string {
	if f.value == nil {
		c.fail(line, path, "is required")
		return ""
	}
	name := c.text(f)
	if name == "" && f.value.Value == "" && f.value.Kind == yaml.ScalarNode {
		c.fail(f.line, f.path, "must not be empty")
	}
	return name
}

// spec reads what is wanted. Whether the values are allowed is the server's to
// say: it holds the schema.
func (c *checker) spec(d *Declaration, f field, line int, path string) {
	if f.value == nil || isNull(f.value) {
		c.fail(line, join(path, "spec"), "is required")
		return
	}
	fields := c.fields(f.value, f.path)
	c.unknown(fields, "a spec", "type", "size", "region", "replicas")
	d.lines["/spec"] = f.line
	for name, f := range fields {
		d.lines["/spec/"+name] = f.line
	}
	d.Spec.Type = c.text(fields["type"])
	d.Spec.Size = c.text(fields["size"])
	d.Spec.Region = c.text(fields["region"])
	d.Spec.Replicas = c.count(fields["replicas"])
}

func managedLabel(key, value string) bool {
	// The second is what kustomize-controller adds to whatever it applies.
	return key == intent.LabelManagedBy && value == intent.ManagedBy ||
		strings.HasPrefix(key, "kustomize.toolkit.fluxcd.io/")
}

func managedAnnotation(key string) bool {
	return strings.HasPrefix(key, "gitops-squared.io/") || key == "kubectl.kubernetes.io/last-applied-configuration"
}
