package manifest

import (
	"sort"

	"go.yaml.in/yaml/v3"

	"gitops-squared.io/gsq/internal/intent"
)

// object reads a PlatformResource manifest.
func (c *checker) object(fields map[string]field, line int, path string) Declaration {
	at := c.source
	at.Line = line
	d := Declaration{Source: at, lines: map[string]int{}}
	if !c.groupVersionKind(fields, line, path, intent.APIVersion, intent.Kind) {
		return d // the rest has a form of its own
	}
	c.unknown(fields, "a manifest", "apiVersion", "kind", "metadata", "spec", "status")
	meta, ok := fields["metadata"]
	if !ok {
		c.fail(line, join(path, "metadata.name"), "is required")
	} else {
		c.metadata(&d, meta)
	}
	c.spec(&d, fields["spec"], line, path)
	return d
}

// groupVersionKind reports whether apiVersion and kind are those wanted.
func (c *checker) groupVersionKind(fields map[string]field, line int, path, apiVersion, kind string) bool {
	faults := len(c.faults)
	for _, want := range []struct{ name, value string }{{"apiVersion", apiVersion}, {"kind", kind}} {
		f, ok := fields[want.name]
		if !ok {
			c.fail(line, join(path, want.name), "is required: %s", want.value)
			continue
		}
		if got := c.text(f); got != want.value && len(c.faults) == faults {
			c.fail(f.line, f.path, "must be %s, not %s", want.value, describe(f.value))
		}
	}
	return len(c.faults) == faults
}

// metadata reads name and namespace. It passes over what the product, kubectl
// and Kubernetes put there themselves, and refuses what would be lost.
func (c *checker) metadata(d *Declaration, meta field) {
	fields := c.fields(meta.value, meta.path)
	d.Name = c.name(fields["name"], meta.line, join(meta.path, "name"))
	d.Namespace = c.text(fields["namespace"])
	for _, name := range []string{"name", "namespace"} {
		if f, ok := fields[name]; ok {
			d.lines["/"+name] = f.line
		}
	}
	for _, name := range sortedKeys(fields) {
		f := fields[name]
		switch name {
		case "name", "namespace",
			"resourceVersion", "uid", "creationTimestamp", "generation", "managedFields", "selfLink":
		case "labels":
			c.own(f, managedLabel)
		case "annotations":
			c.own(f, func(key, _ string) bool { return managedAnnotation(key) })
		case "finalizers", "ownerReferences":
			if f.value.Kind != yaml.SequenceNode || len(f.value.Content) > 0 {
				c.fail(f.line, f.path, "is not kept; remove it")
			}
		default:
			c.fail(f.line, f.path, "unknown field, or one that is not kept; remove it")
		}
	}
}

// own refuses the entries of labels or annotations that are the user's.
func (c *checker) own(f field, managed func(key, value string) bool) {
	entries := c.fields(f.value, f.path)
	for _, key := range sortedKeys(entries) {
		e := entries[key]
		if value := c.text(e); !managed(key, value) {
			c.fail(e.line, f.path, "%q is not kept: a resource has no labels or annotations of its own; remove it", key)
		}
	}
}

func sortedKeys(fields map[string]field) []string {
	keys := make([]string, 0, len(fields))
	for key := range fields {
		keys = append(keys, key)
	}
	sort.Slice(keys, func(i, j int) bool {
		a, b := fields[keys[i]], fields[keys[j]]
		return a.line < b.line || a.line == b.line && keys[i] < keys[j]
	})
	return keys
}

// objectList reads a List of PlatformResources, as kubectl prints it.
func (c *checker) objectList(fields map[string]field) []Declaration {
	kind := fields["kind"]
	apiVersion, want := intent.APIVersion, intent.Kind+"List"
	if kind.value.Value == "List" {
		apiVersion, want = "v1", "List"
	}
	if !c.groupVersionKind(fields, kind.line, "", apiVersion, want) {
		return nil
	}
	c.unknown(fields, "a list", "apiVersion", "kind", "metadata", "items")
	if meta, ok := fields["metadata"]; ok {
		more := c.fields(meta.value, meta.path)["continue"]
		c.refusePage(more)
	}
	items, ok := fields["items"]
	if !ok {
		c.fail(kind.line, "items", "is required")
		return nil
	}
	return c.list(items.value, items.path)
}

// refusePage refuses a list that is one page of several: whoever applies it
// with pruning would delete the rest.
func (c *checker) refusePage(more field) {
	if more.value != nil && c.text(more) != "" {
		c.fail(more.line, more.path, "this is one page of a longer list; use the whole list")
	}
}
