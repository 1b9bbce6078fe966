package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// resolved parses a command line of gsq serve and returns its settings.
func resolved(t *testing.T, environ, args []string) (*settings, []string, error) {
	t.Helper()
	c := &settings{list: serverSettings("/home/data")}
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	c.addFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	warnings, err := c.resolve(flags, process{Environ: environ})
	return c, warnings, err
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gsq.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// valuesOf gives every setting of the server five different valid values.
func valuesOf(name string) (flag, variable, contract, file string) {
	switch name {
	case settingListen, settingDebugListen:
		return "flag:1", "variable:2", "contract:3", "file:4"
	case settingLogFormat:
		return "json", "json", "", "json"
	case settingDurability:
		return "none", "none", "", "none"
	case settingLogLevel:
		return "debug", "warn", "", "error"
	case settingStreams, settingRetentionRevisions:
		return "2", "3", "", "4"
	case settingRetentionFor, settingRetentionTombstones, settingGCInterval:
		return "1d", "2h", "", "3m"
	}
	return "flag", "variable", "contract", "file"
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	for _, s := range serverSettings("/home/data") {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			inFlag, inVariable, inContract, inFile := valuesOf(s.name)
			if s.contract == "" {
				inContract = inFile // what counts without the variable
			}
			config := writeFile(t, s.name+": "+`"`+inFile+`"`+"\n")
			flag, variable, contract, file := "--"+s.name+"="+inFlag, s.variable()+"="+inVariable, s.contract+"="+inContract, "GSQ_CONFIG="+config
			if s.contract == "" {
				contract = "UNRELATED=1"
			}
			for _, c := range []struct {
				environ, args []string
				want          string
				source        source
			}{
				{nil, nil, s.value, fromDefault},
				{[]string{file}, nil, inFile, fromFile},
				{nil, []string{"--config", config}, inFile, fromFile},
				{[]string{file, contract}, nil, inContract, 0},
				{[]string{file, contract, variable}, nil, inVariable, fromEnvironment},
				{[]string{file, contract, variable}, []string{flag}, inFlag, fromFlag},
				{[]string{file, s.variable() + "="}, nil, inFile, fromFile},
			} {
				got, _, err := resolved(t, c.environ, c.args)
				if err != nil {
					t.Fatal(err)
				}
				if c.source == 0 && c.environ != nil {
					c.source = fromFile
					if s.contract != "" {
						c.source = fromContract
					}
				}
				if g := got.get(s.name); g.value != c.want || g.source != c.source {
					t.Errorf("environment %q, flags %q: %q from %s, want %q", c.environ, c.args, g.value, g.origin("the file"), c.want)
				}
			}
		})
	}
}

func TestFlagForConfigGoesBeforeItsVariable(t *testing.T) {
	t.Parallel()
	c, _, err := resolved(t, []string{"GSQ_CONFIG=/nonexistent"}, []string{"--config", writeFile(t, "prefix: chosen\n")})
	if err != nil || c.get(settingPrefix).value != "chosen" {
		t.Errorf("prefix %q, error %v", c.get(settingPrefix).value, err)
	}
}

func TestEmptyFlagMeansEmpty(t *testing.T) {
	t.Parallel()
	c, _, err := resolved(t, []string{"REGISTRY_HOST=elsewhere"}, []string{"--registry="})
	if err != nil {
		t.Fatal(err)
	}
	if _, external, err := c.address(); external || err != nil {
		t.Errorf("external %v, error %v; want the embedded registry", external, err)
	}
}

func TestContradictingVariablesAreMentioned(t *testing.T) {
	t.Parallel()
	_, warnings, err := resolved(t, []string{"GSQ_LISTEN=a:1", "LISTEN_ADDR=b:2", "GSQ_REGISTRY=same", "REGISTRY_HOST=same"}, nil)
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "GSQ_LISTEN") || !strings.Contains(warnings[0], "LISTEN_ADDR is passed over") {
		t.Errorf("warnings %q, error %v", warnings, err)
	}
}

func TestBareRegistryHost(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environ, args []string
		want          string
	}{
		{[]string{"REGISTRY_HOST=localhost:5000"}, nil, "http://localhost:5000"},
		{[]string{"REGISTRY_HOST=https://localhost:5000"}, nil, "https://localhost:5000"},
		{[]string{"GSQ_REGISTRY=localhost:5000"}, nil, "https://localhost:5000"},
		{nil, []string{"--registry", "localhost:5000"}, "https://localhost:5000"},
		{nil, []string{"--registry", "http://localhost:5000"}, "http://localhost:5000"},
		{nil, []string{"--config", writeFile(t, "registry: localhost:5000")}, "https://localhost:5000"},
	} {
		got, _, err := resolved(t, c.environ, c.args)
		if err != nil {
			t.Fatal(err)
		}
		address, external, err := got.address()
		if err != nil || !external || address.String() != c.want {
			t.Errorf("%q %q: %s, error %v; want %s", c.environ, c.args, address, err, c.want)
		}
	}
}

func TestWhatIsWrongWithSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		environ, args []string
		want          []string
	}{
		{nil, []string{"--listen=8080"}, []string{"--listen", "host:port"}},
		{nil, []string{"--listen=localhost"}, []string{"--listen"}},
		{nil, []string{"--listen=localhost:http"}, []string{"--listen", "port"}},
		{nil, []string{"--listen=localhost:65536"}, []string{"--listen", "port"}},
		{nil, []string{"--listen=localhost:"}, []string{"--listen", "port"}},
		{nil, []string{"--listen="}, []string{"--listen"}},
		{[]string{"LISTEN_ADDR=nonsense"}, nil, []string{"LISTEN_ADDR"}},
		{nil, []string{"--debug-listen=6060"}, []string{"--debug-listen", "host:port"}},
		{[]string{"GSQ_LOG_LEVEL=loud"}, nil, []string{"GSQ_LOG_LEVEL", `"loud"`, "debug, info, warn, error"}},
		{nil, []string{"--log-format=xml"}, []string{"--log-format", "text, json"}},
		{nil, []string{"--durability=some"}, []string{"--durability", "commit, none", `"some"`}},
		{nil, []string{"--prefix=UPPER"}, []string{"--prefix"}},
		{nil, []string{"--prefix=a/"}, []string{"--prefix"}},
		{nil, []string{"--prefix="}, []string{"--prefix"}},
		{nil, []string{"--prefix=" + strings.Repeat("a", 101)}, []string{"--prefix", "100"}},
		{[]string{"GSQ_LISTN=a:1"}, nil, []string{"GSQ_LISTN", "is GSQ_LISTEN meant?"}},
		{[]string{"GSQ_XYZZY_PLUGH=1"}, nil, []string{"GSQ_XYZZY_PLUGH"}},
		{nil, []string{"--config=/nonexistent/gsq.yaml"}, []string{"/nonexistent/gsq.yaml"}},
		{nil, []string{"--config", writeFile(t, "log-level: loud\n")}, []string{"gsq.yaml: log-level", "loud"}},
		// All at once.
		{[]string{"GSQ_PREFIX=A", "GSQ_NONE=1"}, []string{"--listen=x", "--config", writeFile(t, "colour: red\n")}, []string{"GSQ_PREFIX", "GSQ_NONE", "--listen", "colour"}},
	} {
		_, _, err := resolved(t, c.environ, c.args)
		if err == nil {
			t.Errorf("%q %q: no error", c.environ, c.args)
			continue
		}
		var e *exit
		if !errors.As(err, &e) || e.code != exitUsage {
			t.Errorf("%q %q: %v is not an error of usage", c.environ, c.args, err)
		}
		for _, part := range c.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q %q: %q does not mention %q", c.environ, c.args, err, part)
			}
		}
	}
}

func TestVariablesOfOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	if _, _, err := resolved(t, []string{"GSQ_SERVER=x", "GSQ_NAMESPACE=x", "GSQ_TOKEN=x", "GSQ_BINARY=x", "GSQ_TOOLS_CACHE=x", "GSQUARE=x", "PATH=/bin"}, nil); err != nil {
		t.Error(err)
	}
}

func TestPrefixes(t *testing.T) {
	t.Parallel()
	for prefix, valid := range map[string]bool{
		"gitops-squared": true, "a": true, "team/platform": true, "a.b_c__d---e": true, "0": true, strings.Repeat("a", 100): true,
		"/a": false, "a//b": false, "-a": false, "a-": false, "a_-b": false, "a b": false, "ä": false, "a:b": false, "a@b": false, "a\n": false,
	} {
		if err := checkPrefix(prefix); (err == nil) != valid {
			t.Errorf("%q: %v, want valid %v", prefix, err, valid)
		}
	}
}

func TestDefaultData(t *testing.T) {
	t.Parallel()
	for want, environ := range map[string][]string{
		"/state/gsq":               {"XDG_STATE_HOME=/state", "HOME=/home/a"},
		"/home/a/.local/state/gsq": {"HOME=/home/a"},
		"/home/b/.local/state/gsq": {"XDG_STATE_HOME=relative", "HOME=/home/b"}, // which the XDG specification has ignored
		"":                         nil,
	} {
		if got := defaultData(process{Environ: environ}); got != want {
			t.Errorf("%q: %q, want %q", environ, got, want)
		}
	}
}

func TestConfigFiles(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                             "",
		"# nothing\n":                  "",
		"---\n":                        "",
		"{}":                           "",
		"prefix: a\nlog-level: warn\n": "",
		`{"listen": ":8080"}`:          "",
		"prefix: a\nprefix: b\n":       "line 2: prefix occurs twice",
		"listen: 8080\n":               "line 1: listen must be a string",
		"registry: null\n":             "line 1: registry must be a string",
		"registry: true\n":             "must be a string",
		"data: [a]\n":                  "must be a string",
		"data: {a: b}\n":               "must be a string",
		"a: &x b\nprefix: *x\n":        "line 2: prefix must be a string",
		"prefx: a\n":                   `line 1: unknown key "prefx"; is prefix meant?`,
		"Prefix: a\n":                  "unknown key",
		"log_level: debug\n":           "is log-level meant?",
		"config: other.yaml\n":         "unknown key",
		"<<: {prefix: a}\n":            "unknown key",
		"[a]":                          "line 1: it must be a mapping",
		"text":                         "line 1: it must be a mapping",
		"prefix: a\n---\nprefix: b\n":  "one YAML document",
		"prefix: 'a\n":                 "yaml",
		"\tprefix: a\n":                "yaml",
		"? [a]\n: b\n":                 "unknown key",
	} {
		_, faults := parseConfig([]byte(text))
		message := ""
		if err := errors.Join(faults...); err != nil {
			message = err.Error()
		}
		if want == "" && message != "" || !strings.Contains(message, want) {
			t.Errorf("%q: %q, want %q", text, message, want)
		}
	}
	if _, faults := readConfig(writeFile(t, strings.Repeat("#", maxConfigBytes+1))); len(faults) != 1 {
		t.Errorf("a file that is too large has the faults %v", faults)
	}
}

func FuzzConfigFile(f *testing.F) {
	for _, seed := range []string{"prefix: a\n", "listen: 8080", "a: &x [*x]", "? {}\n: -", "{listen: !!str 1}", "prefix: !!binary YQ==", "--- |\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		values, faults := parseConfig(data)
		if len(faults) > 0 {
			return
		}
		for key := range values {
			found := false
			for _, known := range configKeys() {
				found = found || key == known
			}
			if !found {
				t.Fatalf("%q sets the unknown %q", data, key)
			}
		}
	})
}

func TestRetentionSettings(t *testing.T) {
	t.Parallel()
	c, _, err := resolved(t, []string{"GSQ_RETENTION_REVISIONS=50", "GSQ_RETENTION_FOR=2d"}, []string{"--retention-tombstones=1w", "--gc-interval=90m"})
	if err != nil {
		t.Fatal(err)
	}
	r, every, err := c.retention()
	if err != nil || r.Revisions != 50 || r.Seconds != 2*86400 || r.TombstonesSeconds != 7*86400 || every != 90*time.Minute {
		t.Errorf("%+v every %v, error %v", r, every, err)
	}
	c, _, err = resolved(t, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r, every, err := c.retention(); err != nil || r.Revisions != 0 || every != 24*time.Hour {
		t.Errorf("by default: %+v every %v, error %v", r, every, err)
	}
	for _, args := range [][]string{
		{"--retention-for=2d"}, {"--retention-revisions=1"}, {"--retention-revisions=1000001"},
	} {
		c, _, err := resolved(t, nil, args)
		if err != nil {
			t.Fatal(err)
		}
		if r, _, err := c.retention(); err == nil {
			t.Errorf("%q is %+v", args, r)
		}
	}
	for _, args := range [][]string{{"--retention-revisions=-1"}, {"--retention-revisions=a"}, {"--gc-interval=6"}, {"--retention-for=200y"}} {
		if _, _, err := resolved(t, nil, args); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}
