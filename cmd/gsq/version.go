package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build says what this binary was made from.
type build struct {
	Version  string `json:"version"`            // of the module; (devel) outside a release
	Commit   string `json:"commit,omitempty"`   // of the checkout, if it was built in one
	Modified bool   `json:"modified,omitempty"` // the checkout had changes
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// readBuild reads what the Go tool recorded in the binary.
func readBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = setting.Value
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	return b
}

func newVersionCommand(p process) *cobra.Command {
	var output format
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this binary",
		Long:  "Print what this binary was built from. It does not ask the server.",
		Example: `  gsq version
  gsq version -o json`,
		Args:              usageArgs(cobra.NoArgs),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			return runVersion(p, output.value)
		},
	}
	output.addFlag(cmd, "text", "json", "yaml")
	return cmd
}

func runVersion(p process, output string) error {
	b := readBuild()
	switch output {
	case "json":
		return writeJSON(p.Out, b)
	case "yaml":
		return writeYAML(p.Out, b)
	}
	commit := ""
	if b.Commit != "" {
		commit = ", commit " + b.Commit
	}
	if b.Modified {
		commit += " with changes"
	}
	_, err := fmt.Fprintf(p.Out, "gsq %s (%s, %s%s)\n", b.Version, b.Platform, b.Go, commit)
	return err
}
