package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gitops-squared.io/gsq/internal/fsck"
)

// fsckReport is what gsq fsck prints.
type fsckReport struct {
	Registry string         `json:"registry"`
	Prefix   string         `json:"prefix"`
	Complete bool           `json:"complete"` // everything was read
	Findings []fsck.Finding `json:"findings"`
	Repairs  []repairOf     `json:"repairs,omitempty"`
	Summary  fsck.Summary   `json:"summary"`

	took time.Duration
}

// settled reports whether nothing is wrong, or nothing any more.
func (r fsckReport) settled() bool {
	repaired := 0
	for _, one := range r.Repairs {
		if one.Result != string(resultRefused) {
			repaired++
		}
	}
	return r.Complete && r.Summary.Errors+r.Summary.Warnings == repaired
}

func (r fsckReport) print(p process, o fsckOptions) error {
	if o.output.value == "json" {
		if r.Findings == nil {
			r.Findings = []fsck.Finding{}
		}
		return writeJSON(p.Out, r)
	}
	if err := r.printFindings(p.Out); err != nil {
		return err
	}
	if len(r.Repairs) > 0 {
		var rows [][]string
		for _, one := range r.Repairs {
			rows = append(rows, []string{one.Namespace, cmp.Or(one.Resource, "-"), one.Tag, one.Result, cmp.Or(one.Detail, one.Digest)})
		}
		if err := writeTable(p.Out, []string{"NAMESPACE", "RESOURCE", "TAG", "RESULT", "NAMES"}, rows); err != nil {
			return err
		}
		fmt.Fprintln(p.Out)
	}
	_, err := io.WriteString(p.Out, r.total())
	return err
}

// printFindings prints what is wrong, and once for each kind what to do.
func (r fsckReport) printFindings(w io.Writer) error {
	if len(r.Findings) == 0 {
		return nil
	}
	var rows [][]string
	var advice []string
	for _, f := range r.Findings {
		rows = append(rows, []string{string(f.Severity), string(f.Code), cmp.Or(f.Namespace, "-"), whereOf(f), f.Detail})
		if line := fmt.Sprintf("%s: %s", f.Code, f.Advice); !slices.Contains(advice, line) {
			advice = append(advice, line)
		}
	}
	if err := writeTable(w, []string{"SEVERITY", "CODE", "NAMESPACE", "WHERE", "WHAT"}, rows); err != nil {
		return err
	}
	slices.Sort(advice)
	_, err := fmt.Fprintf(w, "\nWhat to do:\n  %s\n\n", strings.Join(advice, "\n  "))
	return err
}

// whereOf names the place of a finding as OCI clients do.
func whereOf(f fsck.Finding) string {
	switch {
	case f.Tag != "":
		return f.Repository + ":" + f.Tag
	case f.Digest != "":
		return f.Repository + "@" + f.Digest.String()
	}
	return f.Repository
}

// total is the last lines.
func (r fsckReport) total() string {
	s := r.Summary
	var b strings.Builder
	fmt.Fprintf(&b, "%s under %s: %s with %s, %s of resources, %s; %s in %s\n", r.Registry, r.Prefix,
		plural(int64(s.Namespaces), "namespace"), plural(s.Revisions, "revision"), plural(s.Versions, "version"), plural(s.Deployments, "deployment record"),
		volume(s.Bytes, r.took), r.took.Round(time.Millisecond))
	if s.Thinned > 0 {
		fmt.Fprintf(&b, "%s thinned, and verified from checkpoints; %s gone with them\n", plural(s.Thinned, "revision"), plural(s.ThinnedVersions, "version"))
	}
	switch {
	case s.Truncated:
		fmt.Fprintf(&b, "ended early: %d findings\n", fsck.MaxFindings)
	case s.Errors+s.Warnings+s.Infos == 0:
		b.WriteString("nothing is wrong\n")
	default:
		fmt.Fprintf(&b, "found %s, %s, %s\n", plural(int64(s.Errors), "error"), plural(int64(s.Warnings), "warning"), plural(int64(s.Infos), "info"))
	}
	return b.String()
}

// incomplete prints what was found before the check ended.
func (r fsckReport) incomplete(p process, o fsckOptions) error {
	if o.output.value == "json" {
		return r.print(p, o)
	}
	return r.printFindings(p.Out)
}

// fsckProgress shows how far a check is, on a terminal.
func fsckProgress(p process) (show func(fsck.Summary), stop func()) {
	if !p.terminal() {
		return nil, func() {}
	}
	began := time.Now()
	return func(s fsck.Summary) {
			of := ""
			if s.OfNamespaces > 0 {
				of = fmt.Sprintf("%d of %s, ", s.Namespaces, plural(int64(s.OfNamespaces), "namespace"))
			}
			fmt.Fprintf(p.Err, "\r\x1b[K%s%s, %s, %s; %s", of, plural(s.Revisions, "revision"), plural(s.Versions, "version"), volume(s.Bytes, time.Since(began)), plural(int64(s.Errors+s.Warnings+s.Infos), "finding"))
		}, func() {
			fmt.Fprint(p.Err, "\r\x1b[K")
		}
}
