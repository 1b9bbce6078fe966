package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// Report is what one run of the program found.
type Report struct {
	Started time.Time     `json:"started"`
	Took    time.Duration `json:"tookNanoseconds"`
	Sizes   string        `json:"sizes"` // full, quick or smoke
	Rounds  int           `json:"rounds"`
	Machine Machine       `json:"machine"`
	Rows    []Row         `json:"rows"`
	Plots   []Plot        `json:"plots,omitempty"`
}

// Failed returns the rows that could not be measured.
func (r *Report) Failed() []Row { return r.which("failed") }

// Missed returns the rows whose goal was not met.
func (r *Report) Missed() []Row { return r.which("not met") }

func (r *Report) which(verdict string) []Row {
	var rows []Row
	for _, row := range r.Rows {
		if row.verdict() == verdict {
			rows = append(rows, row)
		}
	}
	return rows
}

// WriteJSON writes all of it.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteTable writes the rows for a terminal.
func (r *Report) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "%s sizes, %d rounds; values are medians (lowest to highest)\n", r.Sizes, r.Rounds)
	for _, f := range r.Machine.facts() {
		fmt.Fprintf(w, "  %s: %s\n", f.name, f.value)
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "ROW\tMEASURE\tBASELINE\tGSQ\tRATIO\tGOAL\t")
	for _, row := range r.Rows {
		fmt.Fprintln(t, strings.Join([]string{row.ID, row.Measure, row.spread(row.Baseline), row.spread(row.Product),
			row.ratio(), row.goal(), row.verdict()}, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, row := range r.Rows {
		for _, note := range row.Notes {
			fmt.Fprintf(w, "%s: %s\n", row.ID, note)
		}
		if row.Error != "" {
			fmt.Fprintf(w, "%s failed: %s\n", row.ID, row.Error)
		}
	}
	return nil
}
