package main

import (
	"io"
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	t.Parallel()
	o, err := parseOptions([]string{"--quick", "--rounds", "7", "--only", "creates|get", "--registry", "http://127.0.0.1:5000"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	s := o.session(o.targets[0], t.TempDir(), io.Discard)
	defer s.client.Close()
	if len(o.targets) != 1 || s.target != "registry" || s.registryURL != "http://127.0.0.1:5000" || s.sizes.name != "quick" || s.sizes.rounds != 7 {
		t.Errorf("%+v, %+v", o, s)
	}
	if o, err = parseOptions(nil, io.Discard); err != nil || len(o.targets) != 2 || o.sizes != "full" {
		t.Errorf("without arguments: %+v, error %v", o, err)
	}
}

func TestWhatIsWrongWithOptions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		{"--target zot", "neither embedded"}, {"--sizes huge", "not full, quick or smoke"}, {"--only (", "--only"},
		{"--rounds -1", "--rounds"}, {"creates", `unknown argument "creates"`}, {"--nonsense", "nonsense"},
	} {
		if _, err := parseOptions(strings.Fields(c.args), io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.args, err, c.want)
		}
	}
}

// A namespace never gets more resources than it may have, and no measure is
// larger than what it measures in.
func TestSizesFit(t *testing.T) {
	t.Parallel()
	const limit = 1000
	for _, name := range []string{"full", "quick", "smoke"} {
		for _, fast := range []bool{true, false} {
			s, ok := chosen(name, fast)
			last := s.steps[len(s.steps)-1]
			if !ok || 1+s.creates > limit || s.full > limit || (last+s.grown)/s.namespaces > limit ||
				s.updates > s.full || s.updates > last || s.revisionSet+s.oldGrown > limit || s.few >= last || s.oldFew >= s.oldSteps[0] {
				t.Errorf("%s, fast %v: %+v", name, fast, s)
			}
		}
	}
}
