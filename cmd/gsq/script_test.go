package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"gsq": main})
}

// Each script has a folder of its own, a real gsq on its path, and with the
// command "server" a real server.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup:               endQuickly,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server":   startServer,
			"exits":    exits,
			"examples": runExamples,
		},
	})
}

// endQuickly spares each of the scripts' many processes the second that the
// race detector otherwise sleeps at its end.
func endQuickly(env *testscript.Env) error {
	env.Setenv("GORACE", "atexit_sleep_ms=0")
	return nil
}

// exits runs a command that must end with an exit code: exits CODE COMMAND...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARGUMENT...]")
	}
	script := `"$@"; code=$?; if [ $code != ` + args[0] + ` ]; then echo "exit code $code" >&2; exit 1; fi`
	ts.Check(ts.Exec("sh", append([]string{"-c", script, "sh"}, args[1:]...)...))
}

// runExamples runs the examples in the help of every command but those named,
// each on what the script in reset leaves: examples RESET [COMMAND...]
func runExamples(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: examples RESET [COMMAND...]")
	}
	skip := map[string]bool{}
	for _, name := range args[1:] {
		skip[name] = true
	}
	for _, c := range commands(newRoot(process{})) {
		if skip[c.CommandPath()] {
			continue
		}
		for line := range strings.Lines(c.Example) {
			if err := ts.Exec("sh", "-e", args[0]); err != nil {
				ts.Fatalf("%s: %v", args[0], err)
			}
			line = strings.TrimSpace(line)
			wanted := "0"
			if c.Name() == "diff" {
				wanted = "3" // the files and the server differ in the script
			}
			err := ts.Exec("sh", "-c", "("+line+"); test $? = "+wanted)
			ts.Logf("example: %s", line)
			if err != nil {
				ts.Fatalf("an example of %q does not end with code %s: %s", c.CommandPath(), wanted, line)
			}
		}
	}
}

// gsqPath returns the binary that scripts call.
func gsqPath(ts *testscript.TestScript) string {
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		path := filepath.Join(dir, "gsq")
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	ts.Fatalf("no gsq in PATH")
	return ""
}
