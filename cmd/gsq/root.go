package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// process is what the commands see of the process that they run in.
type process struct {
	In      io.Reader
	Out     io.Writer
	Err     io.Writer
	Environ []string // as os.Environ returns it
}

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, p process, args []string) int {
	root := newRoot(p)
	root.SetArgs(args)
	code, message := exitCode(root.ExecuteContext(ctx))
	if message != "" {
		fmt.Fprintln(p.Err, "gsq:", message)
	}
	return code
}

// newRoot builds the whole command tree. Each command has a file of its own
// with its constructor.
func newRoot(p process) *cobra.Command {
	root := &cobra.Command{
		Use:   "gsq",
		Short: "Declare infrastructure; an OCI registry keeps it, Flux applies it",
		Long: `gsq is GitOps Squared: the server that turns declarations into immutable,
versioned OCI artifacts which Flux pulls, and the client that talks to it.`,
		Example: `  gsq serve
  gsq version`,
		Args:          usageArgs(cobra.NoArgs),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return cmd.Help()
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &exit{code: exitUsage, cause: fmt.Errorf("%w; %q tells more", err, cmd.CommandPath()+" --help")}
	})
	root.AddCommand(newServeCommand(p), newInitCommand(p), newBackupCommand(p), newRestoreCommand(p))
	root.AddCommand(clientCommands(p)...)
	return root
}
