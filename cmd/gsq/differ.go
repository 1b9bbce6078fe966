package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"gitops-squared.io/gsq/api"
	"gitops-squared.io/gsq/internal/diff"
	"gitops-squared.io/gsq/internal/intent"
)

var errNothingDeclared = errors.New("the input declares nothing; nothing was sent")

// differ prints differences in one of the formats, and counts them.
type differ struct {
	p           process
	output      string // text, unified, json or yaml
	colours     bool
	differences int
	err         error // the first
}

func newDiffer(p process, output string) *differ {
	return &differ{p: p, output: output, colours: p.colourful()}
}

func (d *differ) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// line prints one line; the mark chooses the colour.
func (d *differ) line(mark, text string) {
	colour := map[string]string{"+": "\x1b[32m", "-": "\x1b[31m", "~": "\x1b[33m", "@": "\x1b[36m"}[mark]
	end := "\x1b[0m"
	if !d.colours || colour == "" {
		colour, end = "", ""
	}
	if _, err := fmt.Fprintf(d.p.Out, "%s%s%s\n", colour, text, end); err != nil {
		d.fail(err)
	}
}

// document prints what the API answered, for programs.
func (d *differ) document(index int, answer any) {
	switch d.output {
	case "json":
		d.fail(writeJSON(d.p.Out, answer))
	case "yaml":
		if index > 0 {
			fmt.Fprintln(d.p.Out, "---")
		}
		d.fail(writeYAML(d.p.Out, answer))
	}
}

// namespace prints what an apply would change.
func (d *differ) namespace(answer *api.ApplyResponse) {
	for _, change := range answer.Changes {
		if change.Operation != api.Unchanged {
			d.specs(change.Operation, intent.Ref{Namespace: answer.Namespace, Name: change.Name}, change.Before, change.After)
		}
	}
}

// specs prints what an apply would do to a resource.
func (d *differ) specs(operation api.Operation, ref intent.Ref, before, after *api.Spec) {
	changes, text, err := diff.Specs(ref, sideOf(before), sideOf(after))
	if err != nil {
		d.fail(err)
	}
	var fields []api.FieldChange
	for _, c := range changes {
		fields = append(fields, api.FieldChange{Path: c.Path, From: c.From, To: c.To})
	}
	d.resource(operation, ref.String(), "would be ", fields)
	d.text(text)
}

func sideOf(spec *api.Spec) diff.Side {
	if spec == nil {
		return diff.Side{}
	}
	declared := intent.Spec(*spec)
	return diff.Side{Spec: &declared}
}

// resource counts a resource that differs and prints its fields, if fields are
// what is printed.
func (d *differ) resource(operation api.Operation, name, would string, fields []api.FieldChange) {
	d.differences++
	if d.output != "text" {
		return
	}
	name = printable(name)
	switch operation {
	case api.Created:
		d.line("+", "+ "+name+" "+would+"created")
	case api.Deleted:
		d.line("-", "- "+name+" "+would+"deleted")
	default:
		d.line("~", "~ "+name+" "+would+"updated")
	}
	for _, f := range fields {
		path := printable(strings.ReplaceAll(strings.TrimPrefix(f.Path, "/spec/"), "/", "."))
		if f.From != nil {
			d.line("-", "-   "+path+": "+fieldValue(f.From))
		}
		if f.To != nil {
			d.line("+", "+   "+path+": "+fieldValue(f.To))
		}
	}
}

// fieldValue writes a value: text as it is, else JSON.
func fieldValue(v any) string {
	if text, ok := v.(string); ok {
		return printable(text)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v) // it came from JSON
	}
	return string(data)
}

// text prints a difference in the unified format, if that is what is printed.
func (d *differ) text(text string) {
	if d.output != "unified" {
		return
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		mark := ""
		if line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, "+++") {
			mark = line[:1]
		}
		d.line(mark, line)
	}
}

// end is the command's result: an exit code of its own if something differs.
func (d *differ) end() error {
	if d.err != nil {
		return d.err
	}
	if d.differences > 0 {
		return &exit{code: exitDifferences}
	}
	return nil
}
