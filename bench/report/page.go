package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The files that WriteDocs writes, below the folder of the documentation.
const (
	pageFile    = "benchmarks.md"
	plotFolder  = "benchmarks"
	resultsFile = "benchmarks/results.json"
)

// WriteDocs writes the page of the results, its plots, and the results
// themselves, from which the page can be written again.
func (r *Report) WriteDocs(folder string) error {
	var page, results bytes.Buffer
	err := errors.Join(r.WritePage(&page), r.WriteJSON(&results), os.MkdirAll(filepath.Join(folder, plotFolder), 0o755))
	if err != nil {
		return err
	}
	files := map[string][]byte{pageFile: page.Bytes(), resultsFile: results.Bytes()}
	for _, p := range r.Plots {
		var picture bytes.Buffer
		if err := p.WriteSVG(&picture); err != nil {
			return err
		}
		files[plotFile(p)] = picture.Bytes()
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func plotFile(p Plot) string { return plotFolder + "/" + p.Name + ".svg" }

// WritePage writes the results in Markdown.
func (r *Report) WritePage(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmarks\n\nWritten by `make bench` on %s in %s (%s sizes); do not edit.\n\n",
		r.Started.Format("2006-01-02"), r.Took.Round(time.Minute), r.Sizes)
	fmt.Fprintf(&b, "%s\n", method)
	b.WriteString("## The machine\n\n| | |\n|---|---|\n")
	for _, f := range r.Machine.facts() {
		fmt.Fprintf(&b, "| %s | %s |\n", f.name, f.value)
	}
	for _, target := range r.targets() {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", heading(target), explanation(target))
		r.section(&b, target)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Report) section(b *strings.Builder, target string) {
	b.WriteString("| measure | baseline in the same run | baseline | gsq | ratio | goal | |\n|---|---|---|---|---|---|---|\n")
	var notes []string
	for _, row := range r.Rows {
		if row.Target != target {
			continue
		}
		cells := []string{row.Measure, row.Baseline.What, row.spread(row.Baseline), row.spread(row.Product), row.ratio(), row.goal(), row.verdict()}
		fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
		for _, note := range row.Notes {
			notes = append(notes, fmt.Sprintf("- `%s`: %s.\n", row.ID, note))
		}
		if row.Error != "" {
			notes = append(notes, fmt.Sprintf("- `%s` failed: `%s`\n", row.ID, strings.Join(strings.Fields(row.Error), " ")))
		}
	}
	if len(notes) > 0 {
		b.WriteString("\n" + strings.Join(notes, ""))
	}
	for _, p := range r.Plots {
		if strings.HasPrefix(p.Name, target+"-") {
			fmt.Fprintf(b, "\n![%s](%s)\n", p.Title, plotFile(p))
		}
	}
}

// targets are those of the rows, in their order.
func (r *Report) targets() []string {
	var found []string
	for _, row := range r.Rows {
		if len(found) == 0 || found[len(found)-1] != row.Target {
			found = append(found, row.Target)
		}
	}
	return found
}
