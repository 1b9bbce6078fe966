package embedded

import (
	_ "crypto/sha256" // go-digest looks its algorithms up in package crypto
	_ "crypto/sha512"
	"fmt"
	"regexp"
	"strings"

	"github.com/opencontainers/go-digest"

	"gitops-squared.io/gsq/internal/registry"
)

// maxRepositoryLength bounds a repository's name, as most clients do.
const maxRepositoryLength = 255

// OCI distribution spec 1.1, section "Pulling manifests".
var (
	repositoryGrammar = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	tagGrammar        = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)
)

func checkRepository(name string) error {
	if len(name) > maxRepositoryLength {
		return fmt.Errorf("%w: a repository name has at most %d characters, this one has %d", registry.ErrRefused, maxRepositoryLength, len(name))
	}
	if !isCommonRepository(name) && !repositoryGrammar.MatchString(name) {
		return fmt.Errorf("%w: %q is not a repository name: it must be lower-case letters and digits, with single separators . _ - / between them", registry.ErrRefused, name)
	}
	return nil
}

// isCommonRepository accepts the names of the grammar that have no separators
// but single slashes and dashes, at a fraction of its cost.
func isCommonRepository(name string) bool {
	separated := true // what comes next must be a letter or a digit
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			separated = false
		case (c == '/' || c == '-') && !separated:
			separated = true
		default:
			return false
		}
	}
	return !separated
}

func checkTag(name string) error {
	if !tagGrammar.MatchString(name) {
		return fmt.Errorf("%w: %q is not a tag: it must be 1 to 128 letters, digits, _ . or -, and not begin with . or -", registry.ErrRefused, name)
	}
	return nil
}

// checkDigest accepts sha256 and sha512.
func checkDigest(d digest.Digest) error {
	if isSHA256(d) {
		return nil
	}
	if err := d.Validate(); err != nil || (d.Algorithm() != digest.SHA256 && d.Algorithm() != digest.SHA512) {
		return fmt.Errorf("%w: %q is not a sha256 or sha512 digest", registry.ErrRefused, d)
	}
	return nil
}

// isSHA256 accepts what go-digest does of that algorithm, at a fraction of its
// cost.
func isSHA256(d digest.Digest) bool {
	sum, ok := strings.CutPrefix(string(d), "sha256:")
	if !ok || len(sum) != 64 {
		return false
	}
	for i := range len(sum) {
		if c := sum[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// isDigest tells the two kinds of reference apart: a tag holds no colon.
func isDigest(reference string) bool { return strings.Contains(reference, ":") }

func checkReference(reference string) error {
	if isDigest(reference) {
		return checkDigest(digest.Digest(reference))
	}
	return checkTag(reference)
}

// verify compares content with the digest that names it.
func verify(d digest.Digest, data []byte) error {
	if isSHA256(d) && registry.Verify(d, data) == nil {
		return nil
	}
	if err := checkDigest(d); err != nil {
		return err
	}
	if actual := d.Algorithm().FromBytes(data); actual != d {
		return fmt.Errorf("%w: the content's digest is %s, not %s", registry.ErrRefused, actual, d)
	}
	return nil
}
