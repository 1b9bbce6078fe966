package embedded

import (
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
)

// The quick checks accept nothing that the grammars do not.
func FuzzQuickChecks(f *testing.F) {
	sum := strings.Repeat("0123456789abcdef", 4)
	for _, s := range []string{
		"a", "gitops-squared/resources/default/web", "a//b", "/a", "a/", "a--b", "-a", "a-", "a-/b", "a/-b", "A", "a.b", "a__b", "", "ü",
		"sha256:" + sum, "sha256:" + sum[1:], "sha256:" + strings.ToUpper(sum), "sha512:" + sum + sum, "sha256:" + sum[1:] + "\n", "sha256", "sha256:",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if isCommonRepository(s) && !repositoryGrammar.MatchString(s) {
			t.Fatalf("%q is no repository name", s)
		}
		d := digest.Digest(s)
		if want := d.Validate() == nil && d.Algorithm() == digest.SHA256; isSHA256(d) != want {
			t.Fatalf("%q: got %v, go-digest says %v", s, !want, want)
		}
	})
}

func TestTheProductsNamesAreCommon(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"gitops-squared/resources/team-a/web", "gitops-squared/catalog", "gitops-squared/catalogs/team-a"} {
		if !isCommonRepository(name) {
			t.Errorf("%s takes the slow way", name)
		}
	}
}
