package main

import (
	"regexp"

	"github.com/rogpeppe/go-internal/testscript"
)

var debugLine = regexp.MustCompile(`msg="serving profiles" address=(\S+)`)

// scriptDebugAddress sets DEBUG_URL to where a server serves profiles, as its
// log says: debugaddress NAME
func scriptDebugAddress(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: debugaddress NAME")
	}
	found := debugLine.FindStringSubmatch(ts.ReadFile(args[0] + ".err"))
	if found == nil {
		ts.Fatalf("the log of %s does not say where profiles are served", args[0])
	}
	ts.Setenv("DEBUG_URL", found[1])
}
