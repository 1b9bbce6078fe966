package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"gitops-squared.io/gsq/cmd/gsq/internal/manifest"
)

// input is the files that a command reads declarations from.
type input struct {
	paths     []string
	recursive bool
}

func (in *input) addFlags(cmd *cobra.Command) {
	// An array rather than a slice: commas are allowed in file names.
	cmd.Flags().StringArrayVarP(&in.paths, "filename", "f", nil,
		"a file, a folder, or - for standard input; may be repeated")
	cmd.Flags().BoolVarP(&in.recursive, "recursive", "R", false, "read the folders inside folders, too")
}

// required is the error of a command line without files.
func (in *input) required() error {
	if len(in.paths) == 0 {
		return usagef("name what to read with --filename (-f): a file, a folder, or - for standard input")
	}
	return nil
}

// groups reads the declarations, one group a namespace, at least one.
func (in *input) groups(p process, s scope) ([]manifest.Group, error) {
	all, err := manifest.Read(manifest.Files{Paths: in.paths, Recursive: in.recursive, Stdin: p.In})
	if err != nil {
		return nil, inputError(err)
	}
	groups, err := manifest.Split(all, s.namespace, s.explicit)
	if err != nil {
		return nil, inputError(err)
	}
	if len(groups) == 0 {
		groups = []manifest.Group{{Namespace: s.namespace}}
	}
	return groups, nil
}

// inputError puts several faults below a line of their own.
func inputError(err error) error {
	invalid, ok := errors.AsType[manifest.Invalid](err)
	if !ok || len(invalid) == 1 {
		return err
	}
	return &located{
		text:  fmt.Sprintf("%d faults in the input; nothing was sent\n  %s", len(invalid), strings.ReplaceAll(err.Error(), "\n", "\n  ")),
		cause: err,
	}
}
