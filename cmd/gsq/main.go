// Command gsq is GitOps Squared: the server, and the client that talks to it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(run())
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first signal the default action is back: a second one ends the
	// process at once.
	context.AfterFunc(ctx, stop)
	p := process{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Environ: os.Environ()}
	return execute(ctx, p, os.Args[1:])
}
