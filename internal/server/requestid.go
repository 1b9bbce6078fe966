package server

import (
	"crypto/rand"
	"net/http"
)

const (
	requestIDHeader   = "X-Request-Id"
	maxRequestIDBytes = 64
)

// requestID keeps an id that the caller sent, if it is harmless in a log, or
// makes one.
func requestID(sent string) string {
	if acceptableID(sent) {
		return sent
	}
	return rand.Text()
}

// acceptableID reports whether an id consists of letters, digits, '.', '_' and
// '-' only.
func acceptableID(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return s != "" && len(s) <= maxRequestIDBytes
}

// instanceOf is the URN of the request that w answers, for a problem's
// instance.
func instanceOf(w http.ResponseWriter) string {
	return "urn:gitops-squared:request:" + w.Header().Get(requestIDHeader)
}
