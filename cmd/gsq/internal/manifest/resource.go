package manifest

import "strings"

// resource reads a resource in the API's form. It passes over the fields that
// only the API's answers have, so that what GET answered can be applied.
func (c *checker) resource(fields map[string]field, line int, path string) Declaration {
	at := c.source
	at.Line = line
	d := Declaration{Source: at, lines: map[string]int{}}
	for _, name := range answered() {
		delete(fields, name)
	}
	c.unknown(fields, "a resource", "name", "namespace", "spec")
	d.Name = c.name(fields["name"], line, join(path, "name"))
	d.Namespace = c.text(fields["namespace"])
	for _, name := range []string{"name", "namespace"} {
		if f, ok := fields[name]; ok {
			d.lines["/"+name] = f.line
		}
	}
	c.spec(&d, fields["spec"], line, path)
	return d
}

// resourceList reads the API's list, or the body of its apply call.
func (c *checker) resourceList(fields map[string]field, list field) []Declaration {
	c.unknown(fields, "a list", "resources", "count", "revision", "continue")
	c.refusePage(fields["continue"])
	return c.list(list.value, list.path)
}

// answered names what the API says of a resource and nobody declares.
func answered() []string {
	return strings.Fields("version digest repository createdAt updatedAt revision unchanged")
}
