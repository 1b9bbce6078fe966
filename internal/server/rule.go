package server

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"gitops-squared.io/gsq/api"
)

// rule is a schema of /openapi.json, compiled: what is published is what is
// enforced. It is stricter than huma's own validation, which overlooks nulls
// and names in another case.
type rule struct {
	kind       kind
	whole      bool             // of a number: no fraction, no exponent
	properties map[string]*rule // of an object, which has no others
	known      []string         // their names, sorted
	required   []string
	items      *rule // of an array
	enum       []string
	minimum    *float64
	maximum    *float64
	minLength  *int // in characters, like maxLength
	maxLength  *int
	pattern    *regexp.Regexp
	form       string // what the pattern means, in words
	maxItems   *int
}

// compile makes a rule of a schema. It panics on a pattern that is no regular
// expression: schemas are the program's own.
func compile(registry huma.Registry, s *huma.Schema) *rule {
	for s.Ref != "" {
		s = registry.SchemaFromRef(s.Ref)
	}
	r := &rule{
		required: s.Required, minimum: s.Minimum, maximum: s.Maximum,
		minLength: s.MinLength, maxLength: s.MaxLength, maxItems: s.MaxItems, form: s.PatternDescription,
	}
	switch s.Type {
	case huma.TypeObject:
		r.kind = kindObject
	case huma.TypeArray:
		r.kind = kindArray
	case huma.TypeString:
		r.kind = kindString
	case huma.TypeInteger:
		r.kind, r.whole = kindNumber, true
	case huma.TypeNumber:
		r.kind = kindNumber
	case huma.TypeBoolean:
		r.kind = kindBoolean
	}
	for _, e := range s.Enum {
		r.enum = append(r.enum, fmt.Sprint(e))
	}
	if s.Pattern != "" {
		r.pattern = regexp.MustCompile(s.Pattern)
		if r.form == "" {
			r.form = "of the form " + s.Pattern
		}
	}
	if s.Items != nil {
		r.items = compile(registry, s.Items)
	}
	r.properties = make(map[string]*rule, len(s.Properties))
	for name, property := range s.Properties {
		r.properties[name] = compile(registry, property)
		r.known = append(r.known, name)
	}
	slices.Sort(r.known)
	return r
}

// check returns every way in which v, found at a pointer, breaks the rule.
func (r *rule) check(v *value, at *pointer) []api.Fault {
	if v.kind != r.kind {
		return []api.Fault{{Pointer: at.String(), Detail: fmt.Sprintf("must be %s, not %s", r.kind, v.kind)}}
	}
	switch v.kind {
	case kindObject:
		return r.checkObject(v, at)
	case kindArray:
		return r.checkArray(v, at)
	}
	if detail := r.checkScalar(v); detail != "" {
		return []api.Fault{{Pointer: at.String(), Detail: detail}}
	}
	return nil
}

func (r *rule) checkObject(v *value, at *pointer) []api.Fault {
	var faults []api.Fault
	for _, m := range v.members {
		below := pointer{above: at, name: m.name}
		property, ok := r.properties[m.name]
		if !ok {
			faults = append(faults, api.Fault{Pointer: below.String(), Detail: "unknown field; known are " + strings.Join(r.known, ", ")})
			continue
		}
		faults = append(faults, property.check(m.value, &below)...)
	}
	for _, name := range r.required {
		if v.find(name) == nil {
			faults = append(faults, api.Fault{Pointer: (&pointer{above: at, name: name}).String(), Detail: "is required"})
		}
	}
	return faults
}

func (r *rule) checkArray(v *value, at *pointer) []api.Fault {
	if r.maxItems != nil && len(v.items) > *r.maxItems {
		return []api.Fault{{Pointer: at.String(), Detail: fmt.Sprintf("has %d items, at most %d are allowed", len(v.items), *r.maxItems)}}
	}
	var faults []api.Fault
	for i, item := range v.items {
		faults = append(faults, r.items.check(item, &pointer{above: at, item: true, index: i})...)
	}
	return faults
}

// checkScalar returns what is wrong with a string, number or boolean.
func (r *rule) checkScalar(v *value) string {
	if len(r.enum) > 0 && !slices.Contains(r.enum, v.text) {
		return fmt.Sprintf("must be %s, not %s", alternatives(r.enum), v.quoted())
	}
	switch v.kind {
	case kindNumber:
		return r.checkNumber(v.text)
	case kindString:
		return r.checkText(v)
	}
	return ""
}

func (r *rule) checkNumber(text string) string {
	if r.whole {
		if _, err := strconv.ParseInt(text, 10, 64); err != nil || strings.HasPrefix(text, "+") {
			return fmt.Sprintf("must be a whole number, written in digits only, not %s", excerpt(text))
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || r.minimum != nil && n < *r.minimum || r.maximum != nil && n > *r.maximum {
		return fmt.Sprintf("must be %s, not %s", bounds(r.minimum, r.maximum), excerpt(text))
	}
	return ""
}

func (r *rule) checkText(v *value) string {
	length := utf8.RuneCountInString(v.text)
	switch {
	case r.minLength != nil && length < *r.minLength:
		if length == 0 {
			return "must not be empty"
		}
		return fmt.Sprintf("has %d characters, at least %d are required", length, *r.minLength)
	case r.maxLength != nil && length > *r.maxLength:
		return fmt.Sprintf("has %d characters, at most %d are allowed", length, *r.maxLength)
	case r.pattern != nil && !r.pattern.MatchString(v.text):
		return fmt.Sprintf("must be %s, not %s", r.form, v.quoted())
	}
	return ""
}

// quoted is a scalar as an answer repeats it.
func (v *value) quoted() string {
	if v.kind == kindString {
		return strconv.Quote(excerpt(v.text))
	}
	return excerpt(v.text)
}

func alternatives(list []string) string {
	if len(list) == 1 {
		return list[0]
	}
	last := len(list) - 1
	return strings.Join(list[:last], ", ") + " or " + list[last]
}

func bounds(minimum, maximum *float64) string {
	switch {
	case minimum != nil && maximum != nil:
		return fmt.Sprintf("between %s and %s", decimal(*minimum), decimal(*maximum))
	case minimum != nil:
		return fmt.Sprintf("at least %s", decimal(*minimum))
	case maximum != nil:
		return fmt.Sprintf("at most %s", decimal(*maximum))
	}
	return "a number that a computer can hold"
}

// decimal writes a number without an exponent.
func decimal(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
