package api

import "strings"

// ProblemMediaType is the content type of a Problem (RFC 9457, section 3).
const ProblemMediaType = "application/problem+json"

// ProblemTypePrefix precedes the code in a problem's type.
const ProblemTypePrefix = "https://gitops-squared.io/problems/"

// Problem is the answer to every request that fails (RFC 9457).
type Problem struct {
	Type     string  `json:"type" doc:"ProblemTypePrefix and the code."`
	Title    string  `json:"title" doc:"The kind of problem, the same for each of its occurrences."`
	Status   int     `json:"status" doc:"The HTTP status."`
	Detail   string  `json:"detail" doc:"What was wrong this time, and what to do."`
	Instance string  `json:"instance,omitempty" doc:"The request's id, as a URN; the server's log has it too."`
	Code     Code    `json:"code" doc:"What a program decides on."`
	Errors   []Fault `json:"errors,omitempty" doc:"Every fault of the request."`

	// RetryAfter is the header Retry-After in seconds; 0 means that it was
	// absent.
	RetryAfter int `json:"retryAfter,omitempty" doc:"After how many seconds to try again, as in the header Retry-After."`
}

// Error makes a Problem an error that clients can return as it is: the detail,
// then every fault.
func (p *Problem) Error() string {
	var b strings.Builder
	b.WriteString(p.Detail)
	if p.Detail == "" {
		b.WriteString(p.Title)
	}
	for _, f := range p.Errors {
		b.WriteString("\n  " + f.String())
	}
	return b.String()
}

// Fault is one thing wrong with a request: in its body, in a parameter of the
// query or the path, or in a header.
type Fault struct {
	Pointer   string `json:"pointer" doc:"JSON pointer (RFC 6901) into the body; empty for the whole of it, or when it is not about the body."`
	Parameter string `json:"parameter,omitempty" doc:"The parameter of the query or the path that it is about."`
	Header    string `json:"header,omitempty" doc:"The header that it is about."`
	Detail    string `json:"detail"`
}

// String says where the fault is, then what it is.
func (f Fault) String() string {
	switch {
	case f.Parameter != "":
		return "parameter " + f.Parameter + ": " + f.Detail
	case f.Header != "":
		return "header " + f.Header + ": " + f.Detail
	case f.Pointer != "":
		return f.Pointer + ": " + f.Detail
	}
	return f.Detail
}

// Code classifies problems by what a caller can do about them.
type Code string

// The codes. Unless the comment says otherwise, nothing changed.
const (
	// The request cannot be served as it is; correct it.
	CodeMalformed            Code = "malformed"              // 400: the body is not JSON
	CodeInvalid              Code = "invalid"                // 400: Errors lists every fault
	CodeRouteNotFound        Code = "route-not-found"        // 404: no such path
	CodeMethodNotAllowed     Code = "method-not-allowed"     // 405: the header Allow lists the methods
	CodeBodyTooLarge         Code = "body-too-large"         // 413: more than MaxBodyBytes
	CodeUnsupportedMediaType Code = "unsupported-media-type" // 415: send application/json
	CodeRequestTimeout       Code = "request-timeout"        // 408: the body did not arrive in time

	// The request does not fit the present state.
	CodeNotFound           Code = "not-found"             // 404: no such resource, version or revision
	CodeNamespaceNotFound  Code = "namespace-not-found"   // 404: no such namespace
	CodeNamespaceDeleted   Code = "namespace-deleted"     // 409: restore it first
	CodePreconditionFailed Code = "precondition-failed"   // 412: read the resource again
	CodeConfirm            Code = "confirmation-required" // 409: repeat it with confirm=true
	CodeLimit              Code = "limit-exceeded"        // 409: use another namespace
	CodeRevisionExpired    Code = "revision-expired"      // 410: it is not kept any more; a list has to be started again

	// The server cannot do it now.
	CodeQueueFull           Code = "queue-full"           // 503: try again
	CodeOverloaded          Code = "overloaded"           // 503: try again
	CodeRegistryUnavailable Code = "registry-unavailable" // 503: try again
	CodeNotReady            Code = "not-ready"            // 503: try again
	CodeOutcomeUnknown      Code = "outcome-unknown"      // 504: it may have been done; repeating it is safe

	// The server needs its operator.
	CodeForeignWriter Code = "foreign-writer" // 503: somebody else wrote the catalog
	CodeSuperseded    Code = "superseded"     // 503: another server holds the prefix
	CodeUnsupported   Code = "unsupported"    // 501: the registry does not do it
	CodeCorrupt       Code = "corrupt"        // 502: the registry holds something else than what was committed
	CodeInternal      Code = "internal"       // 500: a defect; whether it was done is unknown
)

// MaxBodyBytes bounds a request's body.
const MaxBodyBytes = 1 << 20
