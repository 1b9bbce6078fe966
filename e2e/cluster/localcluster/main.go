// Command localcluster keeps one local control plane with Flux for this
// checkout: "localcluster up" starts it and returns, "localcluster down" ends
// it. "make cluster-up" and "make cluster-down" run it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"gitops-squared.io/gsq/e2e/cluster"
	"gitops-squared.io/gsq/internal/toolbox"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) < 1 || len(args) > 2 {
		return errors.New("usage: localcluster up|down [DIR]")
	}
	dir := ""
	if len(args) == 2 {
		dir = args[1]
	} else {
		root, err := toolbox.Root()
		if err != nil {
			return err
		}
		dir = filepath.Join(root, ".cache", "cluster")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	switch args[0] {
	case "up":
		return up(ctx, dir, out)
	case "down":
		return down(dir, out)
	}
	return fmt.Errorf("%q: usage: localcluster up|down [DIR]", args[0])
}

func up(ctx context.Context, dir string, out io.Writer) error {
	state, err := cluster.ReadState(dir)
	if err != nil {
		return err
	}
	alive := 0
	for _, p := range state.Processes {
		if p.Alive() {
			alive++
		}
	}
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if state.Ready && alive == len(state.Processes) {
		fmt.Fprintln(out, "The cluster is already up.")
		explain(out, kubeconfig)
		return nil
	}
	if alive > 0 {
		fmt.Fprintf(out, "An earlier cluster is incomplete (%d processes are left of it): starting over.\n", alive)
	}
	if err := down(dir, io.Discard); err != nil {
		return err
	}
	if _, err := cluster.Start(ctx, cluster.Options{Dir: dir, Flux: true, Detached: true, Log: out}); err != nil {
		return err
	}
	explain(out, kubeconfig)
	return nil
}

func down(dir string, out io.Writer) error {
	ended, err := cluster.Down(dir)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if ended == 0 {
		fmt.Fprintln(out, "The cluster was not up.")
	} else {
		fmt.Fprintf(out, "The cluster is down: %d processes ended, its data is deleted.\n", ended)
	}
	return nil
}

func explain(out io.Writer, kubeconfig string) {
	kubectl, err := toolbox.Find("kubectl")
	if err != nil {
		kubectl = "kubectl"
	}
	fmt.Fprintf(out, "\nkubeconfig: %s\n\n    export KUBECONFIG=%s\n    %s get platformresources -A\n\n\"make cluster-down\" stops it.\n",
		kubeconfig, kubeconfig, kubectl)
}

// lock keeps two commands from working on one cluster at once.
func lock(file string) (func(), error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: another command is working on this cluster: %w", file, err)
	}
	return func() { f.Close() }, nil
}
