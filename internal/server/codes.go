package server

import (
	"net/http"

	"gitops-squared.io/gsq/api"
)

// kindOfProblem is what all problems of one code have in common.
type kindOfProblem struct {
	status     int
	title      string
	retryAfter int // seconds; 0 when trying again is of no use
}

// kindOf is the one place where codes become HTTP statuses. The ledger's codes
// are the API's. A code that is not listed is a defect: ok is false.
func kindOf(code api.Code) (k kindOfProblem, ok bool) {
	switch code {
	case api.CodeMalformed:
		k = kindOfProblem{http.StatusBadRequest, "The body is not JSON", 0}
	case api.CodeInvalid:
		k = kindOfProblem{http.StatusBadRequest, "The request breaks the rules", 0}
	case api.CodeRouteNotFound:
		k = kindOfProblem{http.StatusNotFound, "There is no such path", 0}
	case api.CodeMethodNotAllowed:
		k = kindOfProblem{http.StatusMethodNotAllowed, "The path does not have this method", 0}
	case api.CodeRequestTimeout:
		k = kindOfProblem{http.StatusRequestTimeout, "The body did not arrive in time", 0}
	case api.CodeBodyTooLarge:
		k = kindOfProblem{http.StatusRequestEntityTooLarge, "The body is too large", 0}
	case api.CodeUnsupportedMediaType:
		k = kindOfProblem{http.StatusUnsupportedMediaType, "The body's media type is not supported", 0}
	case api.CodeNotFound:
		k = kindOfProblem{http.StatusNotFound, "It does not exist", 0}
	case api.CodeNamespaceNotFound:
		k = kindOfProblem{http.StatusNotFound, "There is no such namespace", 0}
	case api.CodeNamespaceDeleted:
		k = kindOfProblem{http.StatusConflict, "The namespace was deleted", 0}
	case api.CodePreconditionFailed:
		k = kindOfProblem{http.StatusPreconditionFailed, "A precondition does not hold", 0}
	case api.CodeConfirm:
		k = kindOfProblem{http.StatusConflict, "The deletion needs to be confirmed", 0}
	case api.CodeLimit:
		k = kindOfProblem{http.StatusConflict, "The namespace is full", 0}
	case api.CodeRevisionExpired:
		k = kindOfProblem{http.StatusGone, "The revision is not available any more", 0}
	case api.CodeQueueFull:
		k = kindOfProblem{http.StatusServiceUnavailable, "Too many writes are waiting", 1}
	case api.CodeOverloaded:
		k = kindOfProblem{http.StatusServiceUnavailable, "The server has too much to do", 1}
	case api.CodeRegistryUnavailable:
		k = kindOfProblem{http.StatusServiceUnavailable, "The registry does not answer", 5}
	case api.CodeNotReady:
		k = kindOfProblem{http.StatusServiceUnavailable, "The server is not ready", 5}
	case api.CodeForeignWriter:
		k = kindOfProblem{http.StatusServiceUnavailable, "Somebody else wrote the catalog", 60}
	case api.CodeSuperseded:
		k = kindOfProblem{http.StatusServiceUnavailable, "Another server holds the registry", 60}
	case api.CodeOutcomeUnknown:
		k = kindOfProblem{http.StatusGatewayTimeout, "The outcome is unknown", 5}
	case api.CodeUnsupported:
		k = kindOfProblem{http.StatusNotImplemented, "The registry does not do it", 0}
	case api.CodeCorrupt:
		k = kindOfProblem{http.StatusBadGateway, "The registry's content is damaged", 0}
	case api.CodeInternal:
		k = kindOfProblem{http.StatusInternalServerError, "The server has a defect", 0}
	default:
		return kindOfProblem{}, false
	}
	return k, true
}
