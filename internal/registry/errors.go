package registry

import "errors"

// The errors that implementations wrap. Callers compare with errors.Is.
var (
	// ErrNotFound: the registry answered that it has no such manifest.
	ErrNotFound = errors.New("not found in the registry")

	// ErrRefused: the registry answered that it did not and will not do it
	// (4xx). Repeating the same request is of no use.
	ErrRefused = errors.New("refused by the registry")

	// ErrUnreachable: the request was never sent (connection refused, no such
	// host), so nothing was stored.
	ErrUnreachable = errors.New("registry unreachable")

	// ErrUnavailable: no usable answer (time-out, connection lost, 5xx). The
	// outcome of a write is unknown.
	ErrUnavailable = errors.New("registry unavailable")

	// ErrCorrupt: the registry answered with bytes other than those that the
	// digest promises, or lost a blob of a manifest that it still has.
	ErrCorrupt = errors.New("corrupt content in the registry")

	// ErrTooLarge: the content exceeds MaxManifestBytes or MaxBlobBytes.
	ErrTooLarge = errors.New("content too large")

	// ErrNoSpace: the registry has no room for it, and stored nothing. It can
	// be tried again when there is.
	ErrNoSpace = errors.New("no space left in the registry")

	// ErrUnsupported: the registry lacks the operation.
	ErrUnsupported = errors.New("not supported by the registry")
)

// Settled reports whether a write that failed with err is known not to have
// been stored, now or later. False means that the outcome is unknown.
func Settled(err error) bool {
	for _, e := range []error{ErrNotFound, ErrRefused, ErrUnreachable, ErrTooLarge, ErrNoSpace, ErrUnsupported} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
