package manifest

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// checker walks the nodes of one document and gathers what is wrong.
type checker struct {
	source Source // of the document
	faults Invalid
}

// field is one entry of a mapping.
type field struct {
	path  string // from the declaration's root, such as spec.replicas
	line  int    // of its key
	value *yaml.Node
}

func (c *checker) fail(line int, path, format string, args ...any) {
	at := c.source
	at.Line = line
	c.faults = append(c.faults, Fault{Source: at, Field: path, Detail: fmt.Sprintf(format, args...)})
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// fields returns the entries of a mapping by key. It reports a node that is no
// mapping, keys that are no strings, and keys that occur twice; null counts as
// an empty mapping.
func (c *checker) fields(n *yaml.Node, path string) map[string]field {
	entries := map[string]field{}
	if isNull(n) {
		return entries
	}
	if n.Kind != yaml.MappingNode {
		c.fail(n.Line, path, "must be a mapping, not %s", describe(n))
		return entries
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
			c.fail(key.Line, path, "has a key that is not a string: %s", describe(key))
			continue
		}
		at := join(path, key.Value)
		if first, twice := entries[key.Value]; twice {
			c.fail(key.Line, at, "occurs twice (first in line %d)", first.line)
			continue
		}
		entries[key.Value] = field{path: at, line: key.Line, value: value}
	}
	return entries
}

// text returns a field's string. An absent field is "".
func (c *checker) text(f field) string {
	if f.value == nil {
		return ""
	}
	if f.value.Kind != yaml.ScalarNode || f.value.ShortTag() != "!!str" {
		c.fail(f.value.Line, f.path, "must be a string, not %s", describe(f.value))
		return ""
	}
	return f.value.Value
}

// count returns a field's positive integer. An absent field is 0.
func (c *checker) count(f field) int {
	if f.value == nil {
		return 0
	}
	if f.value.Kind != yaml.ScalarNode || f.value.ShortTag() != "!!int" {
		c.fail(f.value.Line, f.path, "must be a whole number, not %s", describe(f.value))
		return 0
	}
	// 010 is eight in YAML 1.1 and ten in YAML 1.2, so only the plain form will do.
	n, err := strconv.ParseInt(f.value.Value, 10, 32)
	if err != nil || strconv.FormatInt(n, 10) != f.value.Value {
		c.fail(f.value.Line, f.path, "must be a plain decimal number of at most 32 bits, not %s", describe(f.value))
		return 0
	}
	// The wire cannot tell 0 from absent, so the server could not refuse it.
	if n == 0 {
		c.fail(f.value.Line, f.path, "must be at least 1; leave it out for the default")
	}
	return int(n)
}

// maxQuoted bounds how much of the input a message repeats.
const maxQuoted = 64

// describe says in words what a node is.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias (write the value out; aliases are not supported)"
	}
	value := n.Value
	if len(value) > maxQuoted {
		value = strings.ToValidUTF8(value[:maxQuoted], "") + "…"
	}
	switch n.ShortTag() {
	case "!!str":
		return fmt.Sprintf("the string %q", value)
	case "!!int", "!!float":
		return "the number " + value
	case "!!bool":
		return "the boolean " + value
	case "!!null":
		return "null"
	default:
		return fmt.Sprintf("%s %q", n.ShortTag(), value)
	}
}
