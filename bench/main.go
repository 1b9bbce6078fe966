// Command bench measures gsq against the limits of what it stands on: the
// registry under it, and net/http. It starts everything itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"gitops-squared.io/gsq/bench/report"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	switch err := bench(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// bench does what the arguments say. It fails if a row could not be measured,
// not if a goal was missed.
func bench(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 2 && args[0] == bareCommand {
		return serveBare(args[1])
	}
	o, err := parseOptions(args, stderr)
	if err != nil {
		return err
	}
	return o.measure(ctx, stderr, func(r *report.Report) error {
		if err := r.WriteTable(stdout); err != nil {
			return err
		}
		if err := o.write(r); err != nil {
			return err
		}
		if failed := r.Failed(); len(failed) > 0 {
			return fmt.Errorf("%d of %d rows failed", len(failed), len(r.Rows))
		}
		return context.Cause(ctx)
	})
}
