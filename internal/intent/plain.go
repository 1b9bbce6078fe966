package intent

import (
	"bytes"
	"strconv"
	"strings"
	"unique"
)

// Most manifests hold nothing that YAML would have to quote. Those are written
// and read here, in a fraction of the YAML library's time, and give the same
// bytes as it does; every other manifest is left to the library.

// isPlain reports whether s stands in a manifest as it is: lower-case letters,
// digits and dashes, beginning with a letter, and no word that YAML 1.1 takes
// for a truth value or for null.
func isPlain(s string) bool {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	switch s {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
		return false
	}
	return true
}

func (r Resource) isPlain() bool {
	return isPlain(r.Namespace) && isPlain(r.Name) && isPlain(r.Spec.Type) && isPlain(r.Spec.Size) &&
		(r.Spec.Region == "" || isPlain(r.Spec.Region))
}

// The fixed text of a manifest, in the library's order: keys are sorted.
const (
	beforeCreated   = "apiVersion: " + APIVersion + "\nkind: " + Kind + "\nmetadata:\n  annotations:\n    " + AnnotationCreated + ": \""
	beforeVersion   = "\"\n    " + AnnotationVersion + ": "
	beforeName      = "\n  labels:\n    " + LabelManagedBy + ": " + ManagedBy + "\n  name: "
	beforeNamespace = "\n  namespace: "
	beforeSpec      = "\nspec:\n"
	beforeRegion    = "  region: "
	beforeReplicas  = "  replicas: "
	beforeSize      = "  size: "
	beforeType      = "  type: "
)

// appendPlain appends the manifest of a resource that is plain.
func (r Resource) appendPlain(b []byte) []byte {
	b = append(b, beforeCreated...)
	b = r.Created.Time().AppendFormat(b, timeLayout)
	b = append(b, beforeVersion...)
	b = append(b, 'v')
	b = strconv.AppendInt(b, int64(r.Version), 10)
	b = append(append(b, beforeName...), r.Name...)
	b = append(append(b, beforeNamespace...), r.Namespace...)
	b = append(b, beforeSpec...)
	if r.Spec.Region != "" {
		b = append(append(append(b, beforeRegion...), r.Spec.Region...), '\n')
	}
	if r.Spec.Replicas != 0 {
		b = append(strconv.AppendInt(append(b, beforeReplicas...), int64(r.Spec.Replicas), 10), '\n')
	}
	b = append(append(append(b, beforeSize...), r.Spec.Size...), '\n')
	return append(append(append(b, beforeType...), r.Spec.Type...), '\n')
}

// parsePlain reads what appendPlain wrote. It returns false for anything else.
func parsePlain(data []byte) (Resource, bool) {
	text := string(data)
	rest := text
	// take returns what stands between two fixed texts.
	ok := true
	take := func(after, before string) string {
		var value string
		if ok {
			rest, ok = strings.CutPrefix(rest, after)
		}
		if ok {
			var at int
			if at = strings.Index(rest, before); at < 0 {
				ok = false
			} else {
				value, rest = rest[:at], rest[at:]
			}
		}
		return value
	}
	line := func(after string) string {
		if !strings.HasPrefix(rest, after) {
			return ""
		}
		value := take(after, "\n")
		rest = strings.TrimPrefix(rest, "\n")
		return value
	}
	created := take(beforeCreated, beforeVersion)
	version := take(beforeVersion, beforeName)
	name := take(beforeName, beforeNamespace)
	namespace := take(beforeNamespace, beforeSpec)
	if !ok {
		return Resource{}, false
	}
	rest = strings.TrimPrefix(rest, beforeSpec)
	spec := Spec{Region: line(beforeRegion)}
	replicas := line(beforeReplicas)
	spec.Size, spec.Type = line(beforeSize), line(beforeType)
	if !ok || rest != "" {
		return Resource{}, false
	}
	r := Resource{Ref: Ref{Namespace: namespace, Name: name}, Spec: spec}
	var err error
	if replicas != "" {
		if r.Spec.Replicas, err = strconv.Atoi(replicas); err != nil {
			return Resource{}, false
		}
	}
	if r.Version, err = ParseVersion(version); err != nil {
		return Resource{}, false
	}
	at, err := ParseTime(created)
	if err != nil {
		return Resource{}, false
	}
	r.Created = Version(at.UnixMicro())
	// What is written back as the same bytes, was read as it was meant.
	var again [512]byte
	if !r.isPlain() || !bytes.Equal(r.appendPlain(again[:0]), data) {
		return Resource{}, false
	}
	return r.unshared(), true
}

// unshared lets go of the manifest that the strings are parts of. All but the
// name are held once for all resources that have them.
func (r Resource) unshared() Resource {
	one := func(s string) string { return unique.Make(s).Value() }
	r.Namespace, r.Name = one(r.Namespace), strings.Clone(r.Name)
	r.Spec = Spec{Type: one(r.Spec.Type), Size: one(r.Spec.Size), Region: one(r.Spec.Region), Replicas: r.Spec.Replicas}
	return r
}
