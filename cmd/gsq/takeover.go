package main

import (
	"fmt"
	"strings"

	"gitops-squared.io/gsq/internal/ledger"
)

// printTakeOver says what a take-over found, and what it did or would need.
func printTakeOver(p process, report ledger.TakeOverReport, done bool) error {
	var out strings.Builder
	for _, o := range report.Invalid {
		fmt.Fprintf(&out, "invalid: %s\n", o.Name)
		for _, f := range o.Faults {
			fmt.Fprintf(&out, "  %s\n", strings.TrimPrefix(f.Pointer+": "+f.Detail, ": "))
		}
		if o.LastValid == "" {
			fmt.Fprintf(&out, "  it has no valid version; choose --drop %s\n", o.Name)
		} else {
			fmt.Fprintf(&out, "  its last valid version is %s; choose --use-last-valid %s or --drop %s\n", o.LastValid, o.Name, o.Name)
		}
	}
	if done {
		for _, name := range report.Resources {
			fmt.Fprintf(&out, "taken over: %s\n", name)
		}
		for _, name := range report.Dropped {
			fmt.Fprintf(&out, "dropped: %s\n", name)
		}
	}
	for _, name := range report.Outside {
		fmt.Fprintf(&out, "not in the old catalog, left as it is: %s\n", name)
	}
	if done {
		fmt.Fprintf(&out, "%d resources taken over, %d dropped\n", len(report.Resources), len(report.Dropped))
	}
	_, err := fmt.Fprint(p.Out, out.String())
	return err
}
