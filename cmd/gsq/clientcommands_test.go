package main

import (
	"strings"
	"testing"
)

func TestUsageErrors(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"apply":                                 "name what to read with --filename (-f)",
		"apply -f x extra":                      `unknown command "extra"`,
		"apply -f x --unknown":                  `unknown flag: --unknown; "gsq apply --help" tells more`,
		"apply -f x -o wide":                    "must be one of text, json, yaml",
		"apply -f x --namespace=":               "--namespace must not be empty",
		"apply -f x --timeout 0s":               "--timeout must be more than 0",
		"apply -f x --timeout soon":             "invalid duration",
		"apply -f x --server localhost:1":       "begin it with http:// or https://; --server or GSQ_SERVER",
		"diff":                                  "name what to read with --filename (-f)",
		"get a b":                               "at most 1 arg(s)",
		"get a -A":                              "a name goes with neither",
		"get a --type vm":                       "a name goes with neither",
		"get -A -n prod":                        "exclude each other",
		"get -o xml":                            "must be one of table, wide, json, yaml, name",
		"delete":                                "one of the two",
		"delete a -f x":                         "one of the two",
		"delete a a":                            "a is named twice",
		"namespaces x":                          "unknown command",
		"flux export x":                         "unknown command",
		"flux export --interval 10ms":           "--interval must be at least 1s",
		"flux export --interval 1000000001ns":   "in whole milliseconds",
		"flux export --flux-namespace=":         "--flux-namespace must not be empty",
		"flux export --registry ftp://x":        "is not a registry; write host:port",
		"flux export --registry host:":          "is not a registry",
		"flux export --registry host/path":      "is not a registry",
		"flux export --registry http://u:p@x:1": "is not a registry",
		"flux nonsense":                         "unknown command",
		"version x":                             "unknown command",
		"completion":                            "accepts 1 arg(s)",
		"completion tcsh":                       "invalid argument",
		"nonsense":                              "unknown command",
	} {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			got := gsq(t, nil, "", strings.Fields(line)...)
			if got.code != exitUsage || !strings.Contains(got.err, want) || got.out != "" {
				t.Errorf("code %d, output %q, error %q; want code 2 and an error with %q", got.code, got.out, got.err, want)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	// A server that cannot be: the message tells which one was meant.
	got := gsq(t, []string{"GSQ_SERVER=ftp://from-env"}, "", "get")
	if got.code != exitUsage || !strings.Contains(got.err, "ftp://from-env") {
		t.Errorf("GSQ_SERVER: %+v", got)
	}
	got = gsq(t, []string{"GSQ_SERVER=ftp://from-env"}, "", "get", "--server", "ftp://from-flag")
	if got.code != exitUsage || !strings.Contains(got.err, "ftp://from-flag") {
		t.Errorf("--server over GSQ_SERVER: %+v", got)
	}
	p := process{Environ: []string{"A=1", "A=2", "B=", "AB=3"}}
	if a, b, c := p.setting("A", "x"), p.setting("B", "x"), p.setting("C", "x"); a != "2" || b != "x" || c != "x" {
		t.Errorf("got %q %q %q", a, b, c)
	}
}

func TestUnreachableServer(t *testing.T) {
	t.Parallel()
	// Port 1 of loopback (tcpmux) is where nobody listens.
	got := gsq(t, []string{"GSQ_SERVER=http://127.0.0.1:1"}, "", "get")
	if got.code != exitError || !strings.Contains(got.err, "no answer from the server http://127.0.0.1:1") ||
		!strings.Contains(got.err, "--server or GSQ_SERVER") {
		t.Errorf("got %+v", got)
	}
}

func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		got := gsq(t, nil, "", "completion", shell)
		if got.code != exitOK || !strings.Contains(got.out, "gsq") || got.err != "" {
			t.Errorf("%s: code %d, %d bytes, error %q", shell, got.code, len(got.out), got.err)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if got := gsq(t, nil, "", "version"); got.code != exitOK || !strings.HasPrefix(got.out, "gsq ") || !strings.Contains(got.out, "go1.") {
		t.Errorf("got %+v", got)
	}
	if got := gsq(t, nil, "", "version", "-o", "json"); got.code != exitOK || !strings.Contains(got.out, `"version": "`) {
		t.Errorf("got %+v", got)
	}
	if got := gsq(t, nil, "", "version", "-o", "yaml"); got.code != exitOK || !strings.Contains(got.out, "\nversion: ") {
		t.Errorf("got %+v", got)
	}
}
