package remote

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"

	"gitops-squared.io/gsq/internal/registry"

	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// maxErrorBytes is what is read of an answer that is not a success.
const maxErrorBytes = 8 << 10

// apiVersionHeader is on every answer of most registries ("Legacy Docker
// support HTTP headers" of the OCI distribution specification 1.1).
const apiVersionHeader = "Docker-Distribution-Api-Version"

// answer is a registry's answer that is not a success.
type answer struct {
	class  error // one of package registry's errors
	status int
	codes  []string // of the body's errors, as the specification's section "Error codes" has them
	text   string
}

func (a *answer) Error() string {
	return fmt.Sprintf("%v: %d %s%s", a.class, a.status, http.StatusText(a.status), a.text)
}

// Unwrap also tells oras that something was not found.
func (a *answer) Unwrap() []error {
	if errors.Is(a.class, registry.ErrNotFound) {
		return []error{a.class, errdef.ErrNotFound}
	}
	return []error{a.class}
}

// classifyFailure classifies a request that got no answer.
func classifyFailure(err error) error {
	var token *errcode.ErrorResponse // of the server that hands out tokens
	var op *net.OpError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	class := registry.ErrUnavailable
	switch {
	case errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect"),
		errors.As(err, &certificate), errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		class = registry.ErrUnreachable
	case errors.As(err, &token):
		if token.StatusCode >= 400 && token.StatusCode < 500 && !transient(token.StatusCode) {
			class = registry.ErrRefused
		}
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		class = registry.ErrRefused
	}
	return fmt.Errorf("%w: %w", class, err)
}

// classifyStatus classifies an answer that is not a success.
func classifyStatus(method string, status int, header http.Header, body []byte) error {
	var parsed struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	a := &answer{class: registry.ErrUnavailable, status: status}
	if json.Unmarshal(body, &parsed) == nil {
		for _, e := range parsed.Errors {
			if e.Code != "" {
				a.codes = append(a.codes, e.Code)
				a.text += fmt.Sprintf("; %s: %s", e.Code, e.Message)
			}
		}
	}
	html := strings.HasPrefix(header.Get("Content-Type"), "text/html") || bytes.HasPrefix(bytes.TrimSpace(body), []byte("<"))
	read := method == http.MethodGet || method == http.MethodHead
	switch {
	case status < 400 || status >= 500:
	case status == http.StatusNotFound && (method == http.MethodHead || html || len(a.codes) == 0 && header.Get(apiVersionHeader) == ""):
		a.text += "; it is not known to come from the registry"
	case status == http.StatusNotFound && (read || method == http.MethodDelete):
		a.class = registry.ErrNotFound
	case method == http.MethodDelete && (status == http.StatusMethodNotAllowed || a.has("UNSUPPORTED")):
		a.class = registry.ErrUnsupported
	case a.has("BLOB_UPLOAD_UNKNOWN"): // it lost an upload that it had begun
	case read && status == http.StatusTooManyRequests, transient(status):
	default:
		a.class = registry.ErrRefused
	}
	return a
}

// transient reports whether a 4xx says nothing about the request itself.
func transient(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooEarly
}

func (a *answer) has(code string) bool { return slices.Contains(a.codes, code) }

// lacksBlob reports whether a manifest was refused because the repository does
// not have a blob that it names.
func (a *answer) lacksBlob() bool { return a.has("MANIFEST_BLOB_UNKNOWN") || a.has("BLOB_UNKNOWN") }

// explain returns err if it is classified already, else it wraps fallback.
// What oras reports by itself is about answers of success.
func explain(err, fallback error) error {
	for _, class := range []error{
		registry.ErrNotFound, registry.ErrRefused, registry.ErrUnreachable, registry.ErrUnavailable,
		registry.ErrCorrupt, registry.ErrTooLarge, registry.ErrUnsupported,
	} {
		if errors.Is(err, class) {
			return err
		}
	}
	if errors.Is(err, errdef.ErrInvalidReference) {
		fallback = registry.ErrRefused
	}
	return fmt.Errorf("%w: %w", fallback, err)
}
