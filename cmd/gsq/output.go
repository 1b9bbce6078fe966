package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"sigs.k8s.io/yaml"
)

// format is the value of a flag -o. The zero value of the flag is the first of
// those allowed.
type format struct {
	value   string
	allowed []string
}

func (f *format) String() string { return f.value }

// Type names the value in the help.
func (f *format) Type() string { return "format" }

// Set refuses what is not allowed.
func (f *format) Set(value string) error {
	if !slices.Contains(f.allowed, value) {
		return fmt.Errorf("must be one of %s", strings.Join(f.allowed, ", "))
	}
	f.value = value
	return nil
}

func (f *format) addFlag(cmd *cobra.Command, allowed ...string) {
	f.value, f.allowed = allowed[0], allowed
	cmd.Flags().VarP(f, "output", "o", "how to print: "+strings.Join(allowed, ", "))
	completeFlag(cmd, "output", cobra.FixedCompletions(toCompletions(allowed), cobra.ShellCompDirectiveNoFileComp))
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// writeYAML writes documents, separated by "---".
func writeYAML(w io.Writer, documents ...any) error {
	for i, document := range documents {
		data, err := yaml.Marshal(document)
		if err != nil {
			return err
		}
		if err := writeDocument(w, i, data); err != nil {
			return err
		}
	}
	return nil
}

func writeDocument(w io.Writer, index int, data []byte) error {
	if index > 0 {
		if _, err := io.WriteString(w, "---\n"); err != nil {
			return err
		}
	}
	_, err := w.Write(data)
	return err
}

// writeTable aligns rows under their header. A line ends after its last cell
// that is not empty.
func writeTable(w io.Writer, header []string, rows [][]string) error {
	var aligned bytes.Buffer
	t := tabwriter.NewWriter(&aligned, 0, 0, 3, ' ', 0)
	for _, row := range append([][]string{header}, rows...) {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = printable(cell)
		}
		// Empty cells at the end count, too: a row with fewer cells would end
		// the block that is aligned.
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for line := range bytes.Lines(aligned.Bytes()) {
		if _, err := w.Write(append(bytes.TrimRight(line, " \n"), '\n')); err != nil {
			return err
		}
	}
	return nil
}

// printable quotes text that would play tricks on a terminal or a table.
func printable(s string) string {
	for _, r := range s {
		if !strconv.IsPrint(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// age writes a duration in one or two units, as kubectl does.
func age(d time.Duration) string {
	switch d = max(d, 0); {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < 3*time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}

// colourful reports whether output may hold colours: on a terminal that knows
// them, unless NO_COLOR is set (https://no-color.org).
func (p process) colourful() bool {
	file, ok := p.Out.(*os.File)
	return ok && p.setting("NO_COLOR", "") == "" && p.setting("TERM", "") != "dumb" && term.IsTerminal(int(file.Fd()))
}
