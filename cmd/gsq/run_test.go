package main

import (
	"bytes"
	"strings"
	"testing"
)

// outcome is what a command line did.
type outcome struct {
	code     int
	out, err string
}

// gsq runs a command line in this process.
func gsq(t *testing.T, environ []string, stdin string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	code := execute(t.Context(), process{In: strings.NewReader(stdin), Out: &out, Err: &errs, Environ: environ}, args)
	return outcome{code, out.String(), errs.String()}
}
