package server_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func page(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestTheAPIPageIsComplete: every operation, parameter, header and code that
// exists is on the page, and no other code is.
func TestTheAPIPageIsComplete(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	text := page(t, "api.md")
	for _, op := range described(f) {
		if !strings.Contains(text, "`"+op.method+" "+op.path+"`") {
			t.Errorf("docs/api.md lacks %s %s", op.method, op.path)
		}
	}
	parameters := describedParameters(f)
	if len(parameters) < 10 {
		t.Fatalf("only %q are described", parameters)
	}
	for _, name := range parameters {
		if !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/api.md lacks the parameter %s", name)
		}
	}
	for _, header := range []string{"ETag", "Location", "Retry-After", "X-Request-Id", "Allow", "If-None-Match: *"} {
		if !strings.Contains(text, "`"+header+"`") {
			t.Errorf("docs/api.md lacks the header %s", header)
		}
	}
	known := codes(t, "../../api/problem.go", "Code")
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([0-9]{3}) \\|").FindAllStringSubmatch(text, -1) {
		listed[m[1]] = true
		if _, ok := known[m[1]]; !ok {
			t.Errorf("docs/api.md lists %s, which is no code", m[1])
		}
	}
	comments := page(t, "../api/problem.go")
	for code, name := range known {
		if !listed[code] {
			t.Errorf("docs/api.md lacks the code %s", code)
		}
		// The page and the constant's comment name the same status.
		status := regexp.MustCompile("(?m)^\\| `" + code + "` \\| ([0-9]{3}) \\|").FindStringSubmatch(text)
		comment := regexp.MustCompile(name + ` .*// ([0-9]{3}):`).FindStringSubmatch(comments)
		if status == nil || comment == nil || status[1] != comment[1] {
			t.Errorf("%s: docs/api.md says %v, its comment %v", code, status, comment)
		}
	}
}

// TestStatusesOnTheAPIPage: the page has the statuses that are answered.
func TestStatusesOnTheAPIPage(t *testing.T) {
	t.Parallel()
	text := page(t, "api.md")
	f := newFixture(t)
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([0-9]{3}) \\|").FindAllStringSubmatch(text, -1) {
		request, ok := map[string]func() reply{
			"malformed":              func() reply { return f.do("POST", shop, "{") },
			"invalid":                func() reply { return f.do("POST", shop, "{}") },
			"route-not-found":        func() reply { return f.do("GET", "/none", "") },
			"method-not-allowed":     func() reply { return f.do("PATCH", shop, "") },
			"body-too-large":         func() reply { return f.do("POST", shop, strings.Repeat(" ", 2<<20)) },
			"unsupported-media-type": func() reply { return f.do("POST", shop, "a", "Content-Type: text/plain") },
			"not-found":              func() reply { return f.do("GET", resources+"/none", "") },
			"namespace-not-found":    func() reply { return f.do("GET", shop, "") },
			"precondition-failed":    func() reply { return f.do("POST", shop, vm, "If-Match: *") },
		}[m[1]]
		if !ok {
			continue // TestEveryCodeOfTheLedgerHasItsStatus has the rest
		}
		if got := strconv.Itoa(request().status); got != m[2] {
			t.Errorf("%s is answered with %s, the page says %s", m[1], got, m[2])
		}
	}
}
