package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// The exit codes of gsq.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitDifferences = 3
	exitFindings    = 4
)

// exit is an error that chooses the exit code. Without a cause nothing is
// printed: the command has said it all.
type exit struct {
	code  int
	cause error
}

func (e *exit) Error() string {
	if e.cause == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.cause.Error()
}

func (e *exit) Unwrap() error { return e.cause }

// usagef is the error of a command line or configuration that is wrong: exit
// code 2.
func usagef(format string, args ...any) error {
	return &exit{code: exitUsage, cause: fmt.Errorf(format, args...)}
}

// usageArgs makes the error of a cobra argument check one of usage.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return &exit{code: exitUsage, cause: fmt.Errorf("%w; %q tells more", err, cmd.CommandPath()+" --help")}
		}
		return nil
	}
}

// exitCode is what the process ends with after err, and the message to print
// first, if any.
func exitCode(err error) (int, string) {
	if err == nil {
		return exitOK, ""
	}
	if e, ok := errors.AsType[*exit](err); ok {
		if e.cause == nil {
			return e.code, ""
		}
		return e.code, err.Error()
	}
	return exitError, err.Error()
}
