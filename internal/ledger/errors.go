package ledger

import "fmt"

// Code classifies what a caller can do about an Error. The strings are part of
// the API (the last element of a problem's type).
type Code string

// The codes.
const (
	CodeInvalid             Code = "invalid"               // the declaration breaks the rules; Err is intent.Invalid, its pointers begin with /changes/<index>
	CodeNotFound            Code = "not-found"             // no such resource
	CodeNamespaceNotFound   Code = "namespace-not-found"   // no such namespace
	CodeNamespaceDeleted    Code = "namespace-deleted"     // the namespace was deleted; it can be restored
	CodePreconditionFailed  Code = "precondition-failed"   // If-Match or If-None-Match does not hold
	CodeConfirm             Code = "confirmation-required" // the deletion guard asks for Confirm
	CodeLimit               Code = "limit-exceeded"        // too many resources, or too many bytes, in the catalog
	CodeQueueFull           Code = "queue-full"            // try again later; nothing changed
	CodeRegistryUnavailable Code = "registry-unavailable"  // try again later; nothing changed
	CodeOutcomeUnknown      Code = "outcome-unknown"       // it may have been committed, or may be later; repeating the request is safe
	CodeForeignWriter       Code = "foreign-writer"        // somebody else wrote the catalog; the namespace refuses writes
	CodeSuperseded          Code = "superseded"            // another ledger holds the prefix; nothing changed
	CodeNotReady            Code = "not-ready"             // the ledger is not loaded, or stopping; nothing changed
	CodeRevisionExpired     Code = "revision-expired"      // the revision is not in the registry any more
	CodeUnsupported         Code = "unsupported"           // the registry does not do it
	CodeCorrupt             Code = "corrupt"               // the registry holds something else than what was committed
)

// ApplyCodes lists the codes of the errors that Apply returns.
func ApplyCodes() []Code {
	return []Code{
		CodeInvalid, CodeNotFound, CodeNamespaceNotFound, CodeNamespaceDeleted, CodePreconditionFailed, CodeConfirm,
		CodeLimit, CodeQueueFull, CodeRegistryUnavailable, CodeOutcomeUnknown, CodeForeignWriter, CodeSuperseded,
		CodeNotReady, CodeRevisionExpired, CodeCorrupt,
	}
}

// Error is every error that the ledger's methods return, except those of
// their context.
type Error struct {
	Code    Code
	Message string // a sentence for the caller: what was wrong, and what to do
	Err     error  // the cause; may be nil
}

func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s: %v", e.Message, e.Err)
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func fail(code Code, cause error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Err: cause}
}
