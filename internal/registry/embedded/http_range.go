package embedded

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"gitops-squared.io/gsq/internal/registry"
)

// parseContentRange reads the range of a chunk, "first-last", both inclusive
// (OCI distribution spec 1.1, section "Pushing a blob in chunks").
func parseContentRange(s string) (first, length int64, err error) {
	from, to, ok := strings.Cut(s, "-")
	first, err1 := parseDecimal(from)
	last, err2 := parseDecimal(to)
	if !ok || err1 != nil || err2 != nil || last < first || last-first == 1<<63-1 {
		return 0, 0, fmt.Errorf("%w: Content-Range %q: it must be the positions of the chunk's first and last byte, like 0-1023", registry.ErrRefused, s)
	}
	return first, last - first + 1, nil
}

// parseDecimal reads digits only: no sign, no space, nothing empty.
func parseDecimal(s string) (int64, error) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, fmt.Errorf("%q is not a number", s)
	}
	return strconv.ParseInt(s, 10, 64)
}

// parseCount reads the query parameter n: at most limit, which is also the
// value when it is absent.
func parseCount(r *http.Request, limit int) (int, error) {
	values, there := r.URL.Query()["n"]
	if !there {
		return limit, nil
	}
	n, err := parseDecimal(values[0])
	if err != nil {
		return 0, problemf(http.StatusBadRequest, codeUnsupported, "the parameter n must be a number of entries, not %q", values[0])
	}
	return int(min(n, int64(limit))), nil
}
