// Package e2e_test drives the plain gsq program against a real API server,
// real Flux controllers and real registries.
package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"gitops-squared.io/gsq/e2e/gsq"
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	remove, err := gsq.Prepare()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer remove()
	flag.Parse()
	// The tests mostly wait: for claims to settle, for Flux to look again.
	if err := flag.Set("test.parallel", "16"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stopControlPlane()
	return m.Run()
}
