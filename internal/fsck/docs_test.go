package fsck

import (
	"os"
	"regexp"
	"testing"
)

// The page has every code, with its severity, and no other.
func TestTheCodesAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/fsck.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("codes.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := map[Code]Severity{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\| ([a-z]+) \\|").FindAllSubmatch(page, -1) {
		listed[Code(m[1])] = Severity(m[2])
	}
	codes := regexp.MustCompile(`Code = "([a-z-]+)"`).FindAllSubmatch(source, -1)
	if len(codes) < 20 {
		t.Fatalf("only %d codes", len(codes))
	}
	for _, m := range codes {
		code := Code(m[1])
		if k := kindOf(code); listed[code] != k.severity || k.advice == "" || k.advice == kindOf("").advice {
			t.Errorf("%s: docs/fsck.md says %q, it is %q: %s", code, listed[code], k.severity, k.advice)
		}
		delete(listed, code)
	}
	for code := range listed {
		t.Errorf("docs/fsck.md has %s, which is no code", code)
	}
}
